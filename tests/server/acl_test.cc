#include "server/acl/acl.h"

#include <string>
#include <vector>

#include "tests/server/server_harness.h"

using namespace server;

namespace {

bool has_ended(Harness& h, Peer& peer) {
  for (int i = 0; i < 20 && !peer.closed(); ++i) {
    h.step();
    peer.received();
  }
  return peer.closed();
}

}  // namespace

TEST_SUITE("server/acl") {
  TEST_CASE("a user does what it may, and is told why not") {
    Harness h(1);
    const auto peer = h.connect();
    CHECK(h.call(*peer, {"acl", "setuser", "bob", "on", ">pw", "~a*", "+get", "+acl|whoami",
                         "(%W~w +set)"}) == "OK");
    CHECK(h.call(*peer, {"auth", "bob", "no"}).find("WRONGPASS") != std::string::npos);
    CHECK(h.call(*peer, {"auth", "bob", "pw"}) == "OK");
    CHECK(h.call(*peer, {"acl", "whoami"}) == "\"bob\"");
    CHECK(h.call(*peer, {"get", "a"}) == "nil");
    CHECK(h.call(*peer, {"set", "w", "1"}) == "OK");
    CHECK(h.call(*peer, {"get", "w"})
              .find("NOPERM this user has no permissions to access one of the keys used as "
                    "arguments") != std::string::npos);
    CHECK(h.call(*peer, {"config", "get", "a"})
              .find("NOPERM this user has no permissions to run the 'config|get' command") !=
          std::string::npos);
  }

  TEST_CASE("a deleted user's connections end, its own one after the reply") {
    Harness h(2);
    const auto admin = h.connect(), bob = h.connect(), suicidal = h.connect();
    CHECK(h.call(*admin, {"acl", "setuser", "bob", "on", "nopass", "+@all"}) == "OK");
    CHECK(h.call(*admin, {"acl", "setuser", "sue", "on", "nopass", "+@all"}) == "OK");
    CHECK(h.call(*bob, {"auth", "bob", "x"}) == "OK");
    CHECK(h.call(*suicidal, {"auth", "sue", "x"}) == "OK");
    CHECK(h.call(*admin, {"acl", "deluser", "bob", "nobody"}) == "1");
    CHECK(has_ended(h, *bob));
    CHECK(h.call(*suicidal, {"acl", "deluser", "sue"}) == "1");
    CHECK(has_ended(h, *suicidal));
    CHECK(h.call(*admin, {"acl", "users"}) == h.call(*h.connect(), {"acl", "users"}));
    CHECK(h.call(*admin, {"acl", "deluser", "default"}).find("cannot be removed") != std::string::npos);
  }

  TEST_CASE("a change of a user counts for connections that are open already") {
    Harness h(3);
    const auto peer = h.connect(), other = h.connect();
    CHECK(h.call(*other, {"get", "a"}) == "nil");
    CHECK(h.call(*peer, {"acl", "setuser", "default", "-get"}) == "OK");
    CHECK(h.call(*other, {"get", "a"}).find("NOPERM") != std::string::npos);
    CHECK(h.call(*peer, {"acl", "setuser", "default", "+get"}) == "OK");
    CHECK(h.call(*other, {"get", "a"}) == "nil");
  }

  TEST_CASE("who listens to what it may not hear any more is closed, others stay") {
    Harness h(7);
    const auto admin = h.connect(), exact = h.connect(), pattern = h.connect(), shard = h.connect(),
               other = h.connect();
    CHECK(h.call(*admin, {"acl", "setuser", "bob", "on", "nopass", "+@all", "&a*", "&b"}) == "OK");
    for (Peer* peer : {exact.get(), pattern.get(), shard.get(), other.get()}) {
      CHECK(h.call(*peer, {"auth", "bob", "x"}) == "OK");
    }
    h.call(*exact, {"subscribe", "a1"});
    h.call(*pattern, {"psubscribe", "a*"});
    h.call(*shard, {"ssubscribe", "b"});
    CHECK(h.call(*other, {"subscribe", "c"}).find("NOPERM") != std::string::npos);
    CHECK(h.call(*other, {"psubscribe", "a"}).find("NOPERM") !=
          std::string::npos);  // Patterns by their very text.
    CHECK(h.call(*admin, {"acl", "setuser", "bob", "&c"}) == "OK");
    CHECK(h.call(*admin, {"acl", "setuser", "bob", "resetchannels", "&a1", "&b"}) == "OK");
    CHECK(has_ended(h, *pattern));
    CHECK_FALSE(has_ended(h, *exact));
    CHECK_FALSE(has_ended(h, *shard));
    CHECK(h.call(*admin, {"acl", "setuser", "bob", "resetchannels"}) == "OK");
    CHECK(has_ended(h, *exact));
    CHECK(has_ended(h, *shard));
    CHECK_FALSE(has_ended(h, *other));
  }

  TEST_CASE("requirepass is the default user's password, and empty again it asks for none") {
    Harness h(4, {"--requirepass", "sesame"});
    const auto peer = h.connect();
    CHECK(h.call(*peer, {"get", "a"}).find("NOAUTH") != std::string::npos);
    CHECK(h.call(*peer, {"auth", "sesame"}) == "OK");
    CHECK(h.call(*peer, {"config", "set", "requirepass", ""}) == "OK");
    CHECK(h.call(*h.connect(), {"get", "a"}) == "nil");
    CHECK(h.call(*peer, {"config", "set", "requirepass", "other"}) == "OK");
    CHECK(h.call(*peer, {"get", "a"}) == "nil");  // It has said who it is.
    CHECK(h.call(*h.connect(), {"get", "a"}).find("NOAUTH") != std::string::npos);
    CHECK(h.call(*peer, {"acl", "setuser", "default", "off"}) == "OK");
    CHECK(h.call(*h.connect(), {"auth", "other"}).find("WRONGPASS") != std::string::npos);
  }

  TEST_CASE("what was refused is logged, the same within a minute as one entry") {
    Harness h(5);
    const auto admin = h.connect(), bob = h.connect();
    CHECK(h.call(*admin, {"acl", "setuser", "bob", "on", ">pw", "~a", "+get"}) == "OK");
    for (const char* password : {"x", "y"}) h.call(*bob, {"AUTH", "bob", password});
    CHECK(h.call(*bob, {"auth", "bob", "pw"}) == "OK");
    for (int i = 0; i < 3; ++i) h.call(*bob, {"get", "secret"});
    h.call(*bob, {"config", "get", "x"});
    const auto& entries = h.server->acl().log.entries();
    REQUIRE(entries.size() == 3);
    CHECK(entries[0].reason == AclLogEntry::Reason::kCommand);
    CHECK(entries[0].object == "config|get");
    CHECK(entries[1].reason == AclLogEntry::Reason::kKey);
    CHECK(entries[1].object == "secret");
    CHECK(entries[1].count == 3);
    CHECK(entries[1].user == "bob");
    CHECK(entries[2].reason == AclLogEntry::Reason::kAuth);
    CHECK(entries[2].object == "AUTH");
    CHECK(entries[2].count == 2);
    CHECK(h.call(*admin, {"config", "set", "acllog-max-len", "1"}) == "OK");
    h.call(*bob, {"config", "set", "x", "y"});
    CHECK(entries.size() == 1);
    CHECK(h.call(*admin, {"acl", "log", "reset"}) == "OK");
    CHECK(entries.empty());
  }

  TEST_CASE("the users of an ACL file are there from the start, and LOAD replaces them all or none") {
    auto disk = std::make_unique<engine::SimDisk>();
    engine::FileSystem& files = *disk;
    REQUIRE(files.make_directory("/acl").ok());
    const auto write = [&](const std::string& text) {
      if (files.exists("/acl/users").value()) REQUIRE(files.remove("/acl/users").ok());
      auto file = files.open("/acl/users", engine::OpenMode::kCreate);
      REQUIRE(file.ok());
      REQUIRE(file.value()->write(0, text).ok());
    };
    write("user ann on >a +@all ~*\nuser bob on nopass +ping\n");
    Harness h(6, {"--aclfile", "/acl/users"}, 0, std::move(disk));
    const auto admin = h.connect(), ann = h.connect(), bob = h.connect();
    CHECK(h.call(*ann, {"auth", "ann", "a"}) == "OK");
    CHECK(h.call(*bob, {"auth", "bob", "x"}) == "OK");
    write("user ann off\nuser bob +nope\n");
    CHECK(h.call(*admin, {"acl", "load"}).find("no change to the previously active ACL") !=
          std::string::npos);
    CHECK(h.call(*ann, {"get", "x"}) == "nil");
    write("user cat on nopass +@all\nuser default on nopass +acl +ping\n");
    CHECK(h.call(*admin, {"acl", "load"}) == "OK");
    CHECK(has_ended(h, *ann));
    CHECK(has_ended(h, *bob));
    CHECK(h.call(*admin, {"ping"}) == "PONG");
    CHECK(h.call(*admin, {"get", "x"}).find("NOPERM") != std::string::npos);
    CHECK(h.call(*admin, {"acl", "setuser", "dan", "on", ">d", "+get"}) == "OK");
    CHECK(h.call(*admin, {"acl", "save"}) == "OK");
    CHECK(h.call(*admin, {"acl", "load"}) == "OK");
    CHECK(h.call(*h.connect(), {"auth", "dan", "d"}) == "OK");
  }

  TEST_CASE("users of the configuration are written back by CONFIG REWRITE") {
    engine::SimDisk disk;
    engine::FileSystem& files = disk;
    REQUIRE(files.make_directory("/etc").ok());
    for (const std::string path : {"/etc/v.conf", "/etc/v.toml"}) {
      CAPTURE(path);
      const bool toml = path.ends_with("toml");
      auto file = files.open(path, engine::OpenMode::kCreate);
      REQUIRE(file.ok());
      REQUIRE(file.value()
                  ->write(0, toml ? "user = [\"ann on >a +get\", \"bob off\"]\nport = 7\n"
                                  : "user ann on >a +get\nuser bob off\nport 7\n")
                  .ok());
      CommandTable table;
      const auto started = [&](Config& config, Acl& acl) {
        static constexpr std::string_view kUnderstood[] = {"user"};
        const char* words[] = {path.c_str()};
        auto line = parse_command_line(words);
        REQUIRE(line.ok());
        const auto loaded = config.load(files, line.value(), "", kUnderstood);
        REQUIRE_MESSAGE(loaded.ok(), loaded.message());
        const auto status = acl.start(files);
        REQUIRE_MESSAGE(status.ok(), status.message());
      };
      std::vector<std::string> lines;
      {
        Config config("/");
        Acl acl(table, config);
        started(config, acl);
        CHECK(acl.users.find("ann")->knows("a"));
        acl.users.remove("bob");
        const std::vector<std::string_view> rules{"on", "~k", "(+set", "~x)"};
        acl.users.adopt(acl.users.drafted(acl.ground(), "cat", rules).value());
        lines = acl.lines_of_config();
        CHECK(config.rewrite(files, &lines) == "");
      }
      Config config("/");
      Acl acl(table, config);
      started(config, acl);
      CHECK(acl.lines_of_config() == lines);
      CHECK(acl.users.all().size() == 3);
      CHECK(acl.users.find("cat")->selectors().size() == 2);
      CHECK(config.settings().port == 7);
    }
  }

  TEST_CASE("who has one default user without a password has nothing to say of users") {
    Config config("/");
    CommandTable table;
    Acl acl(table, config);
    engine::SimDisk files;
    REQUIRE(acl.start(files).ok());
    CHECK(acl.lines_of_config().empty());
    CHECK(acl.users.default_user().apply(acl.ground(), ">x") == AclError::kNone);
    CHECK(acl.lines_of_config().size() == 1);
  }
}
