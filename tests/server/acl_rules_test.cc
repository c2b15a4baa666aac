#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "engine/sim.h"
#include "server/acl/file.h"
#include "server/acl/password.h"
#include "server/acl/users.h"
#include "server/bindings.h"

using namespace server;

namespace {

const CommandTable& table() {
  static const CommandTable kTable = [] {
    CommandTable made;
    bind_all(made);
    return made;
  }();
  return kTable;
}
AclGround ground(bool all_channels = false) { return {table(), all_channels}; }

AclUser user_of(const std::vector<std::string>& rules, bool all_channels = false) {
  AclUser user("u", ground(all_channels));
  for (const std::string& rule : rules) {
    CAPTURE(rule);
    CHECK(user.apply(ground(all_channels), rule) == AclError::kNone);
  }
  return user;
}
AclError error_of(const std::vector<std::string>& before, const std::string& rule) {
  AclUser user = user_of(before);
  return user.apply(ground(), rule);
}

// "", or what is refused: "get", "key 1", "channel 2".
std::string refused(const AclUser& user, const std::vector<std::string_view>& args) {
  const Command* command = table().find(args);
  REQUIRE(command != nullptr);
  const Verdict verdict = user.check(*command, args);
  switch (verdict.denial) {
    case Denial::kNone: return "";
    case Denial::kCommand: return std::string(command->name);
    case Denial::kKey: return "key " + std::to_string(verdict.argument);
    case Denial::kChannel: return "channel " + std::to_string(verdict.argument);
  }
  return "?";
}

}  // namespace

TEST_SUITE("server/acl/rules") {
  TEST_CASE("a new user may do nothing but say who it is") {
    const AclUser user("u", ground());
    CHECK(refused(user, {"get", "a"}) == "get");
    CHECK(refused(user, {"auth", "a"}) == "");
    CHECK_FALSE(user.knows(""));
    CHECK(user.rules(table()) == "off resetchannels -@all");
  }

  TEST_CASE("a command is allowed by name, with its container, alone of it, or by its category") {
    CHECK(refused(user_of({"+get", "~*"}), {"GET", "a"}) == "");
    CHECK(refused(user_of({"+get", "~*"}), {"set", "a", "b"}) == "set");
    CHECK(refused(user_of({"+config"}), {"config", "get", "a"}) == "");
    CHECK(refused(user_of({"+config|get"}), {"config", "get", "a"}) == "");
    CHECK(refused(user_of({"+config|get"}), {"config", "set", "a", "b"}) == "config|set");
    CHECK(refused(user_of({"+@all", "-config|set"}), {"config", "get", "a"}) == "");
    CHECK(refused(user_of({"+@all", "-config|set"}), {"config", "set", "a", "b"}) == "config|set");
    CHECK(refused(user_of({"+@string", "~*"}), {"set", "a", "b"}) == "");
    CHECK(refused(user_of({"+@string", "~*"}), {"hget", "a", "b"}) == "hget");
  }

  TEST_CASE("a first argument allows a command that is not allowed as such, until it is") {
    const AclUser user = user_of({"+select|0", "+select|7"});
    CHECK(refused(user, {"select", "0"}) == "");
    CHECK(refused(user, {"select", "1"}) == "select");
    CHECK(user.rules(table()) == "off resetchannels -@all +select|0 +select|7");
    CHECK(user_of({"+select|0", "+select"}).rules(table()) == "off resetchannels -@all +select");
    CHECK(refused(user_of({"+select|0", "-select"}), {"select", "0"}) == "select");
  }

  TEST_CASE("a key must match a pattern that allows what the command does with it") {
    const AclUser user = user_of({"+@all", "~both:*", "%R~read:*", "%W~write:*"});
    CHECK(refused(user, {"get", "both:1"}) == "");
    CHECK(refused(user, {"get", "read:1"}) == "");
    CHECK(refused(user, {"get", "write:1"}) == "key 1");
    CHECK(refused(user, {"set", "write:1", "v"}) == "");
    CHECK(refused(user, {"set", "read:1", "v"}) == "key 1");
    CHECK(refused(user, {"set", "write:1", "v", "get"}) == "key 1");
    CHECK(refused(user, {"incr", "read:1"}) == "key 1");
    CHECK(refused(user, {"copy", "read:1", "write:1"}) == "");
    CHECK(refused(user, {"copy", "write:1", "read:1"}) == "key 1");
    CHECK(refused(user, {"mget", "both:1", "read:1", "other"}) == "key 3");
    CHECK(refused(user, {"strlen", "write:1"}) == "");  // It lets nothing of the value out.
  }

  TEST_CASE("patterns of one text are one pattern") {
    CHECK(user_of({"%R~a", "%W~a", "%RW~b", "~c", "%r~d"}).selectors()[0].key_rules() == "~a ~b ~c %R~d");
  }

  TEST_CASE("several selectors allow what one of them allows as a whole") {
    const AclUser user = user_of({"+get", "~a", "(+set ~b)", "(+@list ~c &x)"});
    CHECK(refused(user, {"get", "a"}) == "");
    CHECK(refused(user, {"set", "b", "v"}) == "");
    CHECK(refused(user, {"set", "a", "v"}) == "key 1");
    CHECK(refused(user, {"get", "b"}) == "key 1");
    CHECK(refused(user, {"hget", "a", "f"}) == "hget");
    AclUser cleared = user;
    CHECK(cleared.apply(ground(), "clearselectors") == AclError::kNone);
    CHECK(refused(cleared, {"set", "b", "v"}) == "set");
    CHECK(cleared.selectors().size() == 1);
  }

  TEST_CASE("channels are matched by pattern, and patterns of channels by their very text") {
    const std::vector<std::string> patterns{"news.*", "a?"};
    CHECK(allows_channel(patterns, "news.1", false));
    CHECK_FALSE(allows_channel(patterns, "olds.1", false));
    CHECK(allows_channel(patterns, "news.*", true));
    CHECK_FALSE(allows_channel(patterns, "news.1*", true));
  }

  TEST_CASE("what is wrong with a rule is told, and then nothing has changed") {
    CHECK(error_of({}, "+nope") == AclError::kUnknownCommand);
    CHECK(error_of({}, "-config|nope") == AclError::kUnknownCommand);
    CHECK(error_of({}, "+config|nope") == AclError::kUnknownCommand);
    CHECK(error_of({}, "+@nope") == AclError::kUnknownCommand);
    CHECK(error_of({}, "+config|get|x") == AclError::kFirstArgumentOfSubcommand);
    CHECK(error_of({}, "+select|") == AclError::kSyntax);
    CHECK(error_of({}, "nope") == AclError::kSyntax);
    CHECK(error_of({}, "~a b") == AclError::kSyntax);
    CHECK(error_of({}, std::string("&a\0b", 4)) == AclError::kSyntax);
    for (const char* rule : {"%", "%~a", "%RR~a", "%X~a", "%R"}) {
      CAPTURE(rule);
      CHECK((error_of({}, rule) == AclError::kSyntax) == (std::string(rule) != "%R"));
    }
    CHECK(error_of({"~*"}, "~a") == AclError::kAfterAllKeys);
    CHECK(error_of({"allchannels"}, "&a") == AclError::kAfterAllChannels);
    CHECK(error_of({}, "<a") == AclError::kNoSuchPassword);
    CHECK(error_of({}, "#abc") == AclError::kBadHash);
    CHECK(error_of({}, "!" + std::string(64, 'A')) == AclError::kBadHash);
    CHECK(error_of({}, "(+get +nope)") == AclError::kUnknownCommand);
    AclUser user = user_of({"+get"});
    CHECK(user.apply(ground(), "(+set +nope)") != AclError::kNone);
    CHECK(user.selectors().size() == 1);
  }

  TEST_CASE("passwords are kept as SHA-256, any of them opens, none opens a user that is off") {
    CHECK(password_hash("foo") == "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae");
    AclUser user = user_of({"on", ">foo", ">bar", ">foo"});
    CHECK(user.passwords().size() == 2);
    CHECK(user.knows("foo"));
    CHECK(user.knows("bar"));
    CHECK_FALSE(user.knows(""));
    CHECK(user.apply(ground(), "<foo") == AclError::kNone);
    CHECK_FALSE(user.knows("foo"));
    CHECK(user.apply(ground(), "!" + password_hash("bar")) == AclError::kNone);
    CHECK_FALSE(user.knows("bar"));
    CHECK(user.apply(ground(), "#" + password_hash("baz")) == AclError::kNone);
    CHECK(user.knows("baz"));
    CHECK(user.apply(ground(), "nopass") == AclError::kNone);
    CHECK(user.knows("anything"));
    CHECK(user.apply(ground(), ">foo") == AclError::kNone);
    CHECK_FALSE(user.knows("anything"));
    CHECK(user.apply(ground(), "off") == AclError::kNone);
    CHECK_FALSE(user.knows("foo"));
  }

  TEST_CASE("reset leaves a user as if it were new, with the channels that new ones have") {
    CHECK(user_of({"on", ">a", "~*", "&*", "+@all", "(+get)", "reset"}).rules(table()) ==
          "off sanitize-payload resetchannels -@all");
    CHECK(user_of({"resetchannels", "reset"}, true).rules(table()) == "off sanitize-payload &* -@all");
  }

  TEST_CASE("only who may do everything is unrestricted") {
    CHECK(user_of({"+@all", "~*", "&*"}).unrestricted());
    CHECK_FALSE(user_of({"+@all", "~*", "&*", "-debug"}).unrestricted());
    CHECK_FALSE(user_of({"+@all", "~*"}).unrestricted());
    CHECK_FALSE(user_of({"+@all", "~*", "&*", "resetkeys"}).unrestricted());
    CHECK(user_of({"(+@all ~* &*)"}).unrestricted());
  }

  TEST_CASE("rules are described by the categories that fit best") {
    const auto described = [](const std::vector<std::string>& rules) {
      return user_of(rules).selectors()[0].command_rules(table());
    };
    CHECK(described({"+@all"}) == "+@all");
    CHECK(described({"+@all", "-get"}) == "+@all -get");
    CHECK(described({"+@hash"}) == "-@all +@hash");
    CHECK(described({"+@all", "-@dangerous"}) == "+@all -@dangerous");
    CHECK(described({"+client", "-client|kill"}) == "-@all +client -client|kill");
    CHECK(described({"+@all", "-client", "+client|id"}) == "+@all -client +client|id");
  }

  TEST_CASE("rules made at random are described by rules that make the same user") {
    const uint64_t seed = 7;
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const auto commands = table().commands();
    for (int round = 0; round < 60; ++round) {
      AclUser user("u", ground());
      std::string all;
      const size_t count = random() % 12;
      for (size_t i = 0; i < count; ++i) {
        std::string rule = random() % 2 ? "+" : "-";
        switch (random() % 8) {
          case 0: rule += "@all"; break;
          case 1:
          case 2:
            rule += "@" + std::string(category_name(uint32_t{1} << (random() % acl::kCategoryCount)));
            break;
          case 3:
            rule = random() % 2 ? "~k" + std::to_string(random() % 3) : "%R~k" + std::to_string(random() % 3);
            break;
          case 4: rule = "+select|" + std::to_string(random() % 3); break;
          default: rule += commands[random() % commands.size()].name;
        }
        all += " " + rule;
        (void)user.apply(ground(), rule);
      }
      CAPTURE(all);
      const std::string text = user.rules(table());
      AclUsers users(table());
      const auto parsed = parse_acl_file(ground(), "user u " + text + "\n", "f");
      REQUIRE_MESSAGE(parsed.ok(), parsed.status().message());
      const AclUser* again = parsed.value().find("u");
      REQUIRE(again != nullptr);
      CHECK(again->rules(table()) == text);
      for (const Command& command : commands) {
        const std::vector<std::string_view> args{command.name, "1"};
        CHECK(again->check(command, args).denial == user.check(command, args).denial);
      }
    }
  }

  TEST_CASE("a selector's rule may be spread over several words") {
    size_t open = 99;
    const auto merged = [&](std::vector<std::string_view> words) { return merged_rules(words, &open); };
    CHECK(merged({"on", "(+get", "~a", "+set)", "off"}) ==
          std::vector<std::string>{"on", "(+get ~a +set)", "off"});
    CHECK(merged({"(+get)", "(", ")"}) == std::vector<std::string>{"(+get)", "( )"});
    CHECK_FALSE(merged({"on", "(+get", "~a"}));
    CHECK(open == 1);
  }
}

TEST_SUITE("server/acl/file") {
  TEST_CASE("what is saved is what is loaded") {
    engine::SimDisk disk;
    AclUsers users(table());
    users.adopt(user_of({"on", ">foo", "~a*", "%R~b", "&c", "+@all", "-@admin", "(+get ~x)"}));
    REQUIRE(disk.make_directory("/d").ok());
    for (int i = 0; i < 2; ++i) REQUIRE(save_acl_file(disk, users, table(), "/d/users.acl").ok());
    const auto loaded = load_acl_file(disk, ground(), "/d/users.acl");
    REQUIRE_MESSAGE(loaded.ok(), loaded.status().message());
    REQUIRE(loaded.value().all().size() == 2);
    for (const auto& [name, user] : users.all()) {
      CHECK(loaded.value().find(name)->rules(table()) == user->rules(table()));
    }
  }

  TEST_CASE("every wrong line of a file is told of, and none of it counts") {
    const auto parsed =
        parse_acl_file(ground(), "user a on\r\n\n  user b +nope\nbob on\nuser a off\nuser c (+get\n", "f");
    REQUIRE_FALSE(parsed.ok());
    CHECK(parsed.status().message() ==
          "f:3: Error in applying operation '+nope': Unknown command or category name in ACL. "
          "f:4 should start with user keyword followed by the username. "
          "WARNING: Duplicate user 'a' found on line 5. "
          "f:6: Unmatched parenthesis in selector definition."
          "WARNING: ACL errors detected, no change to the previously active ACL rules was performed");
  }

  TEST_CASE("a file that does not name the default user leaves it open") {
    const auto parsed = parse_acl_file(ground(), "user a on nopass", "f");
    REQUIRE(parsed.ok());
    CHECK(parsed.value().default_user().is_open());
    CHECK(parsed.value().default_user().unrestricted());
  }
}
