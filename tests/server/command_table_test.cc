#include "server/command_table.h"

#include <doctest/doctest.h>

#include <strings.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <cstring>
#include <set>
#include <string>
#include <vector>

using namespace server;

namespace {

void some_handler(CommandContext&) {}
void other_handler(CommandContext&) {}

using Args = std::vector<std::string_view>;

std::set<std::string> category_names(uint32_t categories) {
  std::set<std::string> names;
  for (int i = 0; i < acl::kCategoryCount; ++i) {
    if (categories & 1u << i) names.insert(std::string(category_name(1u << i)));
  }
  return names;
}

}  // namespace

TEST_SUITE("server/command_table") {
  TEST_CASE("all 241 commands and 147 subcommands of Redis 7.0 are known") {
    const CommandTable table;
    const auto count = [&](bool subcommands) {
      return std::count_if(table.commands().begin(), table.commands().end(), [&](const Command& c) {
        return c.spec->origin == Origin::kRedis70 && c.is_subcommand() == subcommands;
      });
    };
    CHECK(count(false) == 241);
    CHECK(count(true) == 147);
  }

  TEST_CASE("T1, T2: a container stands right before its subcommands, and ids are places") {
    const CommandTable table;
    for (size_t i = 0; i < table.commands().size(); ++i) {
      const Command& command = table.commands()[i];
      CAPTURE(command.name);
      CHECK(command.id == i);
      CHECK(command.name == command.spec->name);
      CHECK(command.is_subcommand() == (command.name.find('|') != std::string_view::npos));
      for (const Command& sub : table.subcommands(command)) {
        CHECK(sub.parent == command.id);
        CHECK(sub.name.starts_with(std::string(command.name) + "|"));
      }
    }
  }

  TEST_CASE("every command is found by its name in any case") {
    const CommandTable table;
    for (const Command& command : table.commands()) {
      CAPTURE(command.name);
      std::string name(command.name);
      CHECK(table.lookup(name) == &command);
      for (size_t i = 0; i < name.size(); i += 2) name[i] = static_cast<char>(std::toupper(name[i]));
      CHECK(table.lookup(name) == &command);
    }
  }

  TEST_CASE("a name that differs in any one byte finds another command or none") {
    const CommandTable table;
    for (const Command& command : table.commands()) {
      std::string name(command.name);
      for (size_t i = 0; i < name.size(); ++i) {
        for (int flip : {0x01, 0x40, 0x80}) {
          std::string other = name;
          other[i] = static_cast<char>(other[i] ^ flip);
          const Command* found = table.lookup(other);
          CAPTURE(other);
          if (found != nullptr) CHECK(strcasecmp(std::string(found->name).c_str(), other.c_str()) == 0);
        }
      }
      CHECK(table.lookup(name + std::string(1, '\0')) == nullptr);
      CHECK(table.lookup(name + "|") == nullptr);
      CHECK(table.lookup(name + "|nothing") == nullptr);
    }
    CHECK(table.lookup("") == nullptr);
    CHECK(table.lookup("|") == nullptr);
    CHECK(table.lookup("config|get|") == nullptr);
    CHECK(table.lookup("a name that is longer than any other name") == nullptr);
  }

  TEST_CASE("what no function is bound to is known but not served") {
    CommandTable table;
    CHECK(table.find(Args{"get", "k"}) == nullptr);
    CHECK(table.lookup("get") != nullptr);

    const Binding bindings[] = {{"get", &some_handler}, {"client|id", &other_handler}};
    table.bind(bindings);
    REQUIRE(table.find(Args{"GeT", "k"}) != nullptr);
    CHECK((table.find(Args{"GeT", "k"})->handler == &some_handler));
    CHECK(table.find(Args{"set", "k", "v"}) == nullptr);
  }

  TEST_CASE("T3: a container is served by what is bound below it") {
    CommandTable table;
    const Binding bindings[] = {{"client|id", &some_handler}};
    table.bind(bindings);
    CHECK(table.find(Args{"CLIENT", "ID"}) == table.lookup("client|id"));
    CHECK(table.find(Args{"CLIENT", "INFO"}) == nullptr);
    CHECK(table.find(Args{"CLIENT", "nothing"}) == nullptr);
    CHECK(table.find(Args{"CONFIG", "GET", "x"}) == nullptr);
    // Without a subcommand its own arity refuses the call.
    REQUIRE(table.find(Args{"CLIENT"}) == table.lookup("client"));
    CHECK_FALSE(table.lookup("client")->accepts(1));
    // COMMAND is a command by itself, if it is bound.
    const Binding count[] = {{"command|count", &some_handler}};
    table.bind(count);
    CHECK(table.find(Args{"COMMAND"}) == nullptr);
    const Binding whole[] = {{"command", &some_handler}};
    table.bind(whole);
    CHECK(table.find(Args{"COMMAND"}) == table.lookup("command"));
  }

  TEST_CASE("arity counts the name, and a negative one is a minimum") {
    const CommandTable table;
    CHECK(table.lookup("get")->accepts(2));
    CHECK_FALSE(table.lookup("get")->accepts(1));
    CHECK_FALSE(table.lookup("get")->accepts(3));
    CHECK_FALSE(table.lookup("set")->accepts(2));
    CHECK(table.lookup("set")->accepts(3));
    CHECK(table.lookup("set")->accepts(30));
    CHECK(table.lookup("config|get")->accepts(3));
    CHECK(wrong_arity_message(*table.lookup("config|get")) ==
          "wrong number of arguments for 'config|get' command");
  }

  TEST_CASE("an unknown command is echoed as Redis echoes it") {
    CommandTable table;
    const Binding bindings[] = {{"client|id", &some_handler}};
    table.bind(bindings);
    CHECK(unknown_command_message(table, Args{"foo"}) == "unknown command 'foo', with args beginning with: ");
    CHECK(unknown_command_message(table, Args{"foo", "a", "b\r\nc"}) ==
          "unknown command 'foo', with args beginning with: 'a' 'b  c' ");
    CHECK(unknown_command_message(table, Args{"Client", "fly"}) ==
          "unknown subcommand 'fly'. Try CLIENT HELP.");
    const std::string long_word(300, 'x');
    CHECK(unknown_command_message(table, Args{long_word, long_word, "b"}) ==
          "unknown command '" + std::string(128, 'x') + "', with args beginning with: '" +
              std::string(128, 'x') + "' ");
    CHECK(unknown_command_message(table, Args{"foo", std::string(100, 'a'), std::string(100, 'b'), "c"}) ==
          "unknown command 'foo', with args beginning with: '" + std::string(100, 'a') + "' '" +
              std::string(25, 'b') + "' ");
  }

  TEST_CASE("categories follow from flags where a row does not name them") {
    const CommandTable table;
    using Names = std::set<std::string>;
    CHECK(category_names(table.lookup("get")->categories) == Names{"read", "string", "fast"});
    CHECK(category_names(table.lookup("blpop")->categories) == Names{"write", "list", "slow", "blocking"});
    CHECK(category_names(table.lookup("config|set")->categories) == Names{"admin", "slow", "dangerous"});
    CHECK(category_names(table.lookup("eval_ro")->categories) == Names{"slow", "scripting"});
    CHECK(category_names(table.lookup("publish")->categories) == Names{"pubsub", "fast"});
    for (const Command& command : table.commands()) {
      CAPTURE(command.name);
      CHECK(((command.categories & acl::kFast) != 0) != ((command.categories & acl::kSlow) != 0));
      CHECK_FALSE(((command.flags & cmd::kWrite) && (command.flags & cmd::kReadonly)));
    }
    CHECK(category_of("SortedSet") == acl::kSortedSet);
    CHECK(category_of("sorted") == 0);
    CHECK(category_of("") == 0);
  }

  TEST_CASE("the old key range follows from the key specs") {
    const CommandTable table;
    const auto range = [&](const char* name) {
      const Command* c = table.lookup(name);
      return std::vector<int>{c->first_key, c->last_key, c->key_step, (c->flags & cmd::kMovableKeys) != 0};
    };
    CHECK(range("get") == std::vector<int>{1, 1, 1, 0});
    CHECK(range("mset") == std::vector<int>{1, -1, 2, 0});
    CHECK(range("bitop") == std::vector<int>{2, -1, 1, 0});
    CHECK(range("object|encoding") == std::vector<int>{2, 2, 1, 0});
    CHECK(range("sort") == std::vector<int>{1, 1, 1, 1});
    CHECK(range("eval") == std::vector<int>{0, 0, 0, 1});
    CHECK(range("xread") == std::vector<int>{0, 0, 0, 1});
    CHECK(range("ping") == std::vector<int>{0, 0, 0, 0});
  }

  TEST_CASE("every row is complete") {
    const CommandTable table;
    for (const Command& command : table.commands()) {
      const CommandSpec& spec = *command.spec;
      CAPTURE(command.name);
      CHECK(spec.arity != 0);
      CHECK(std::strlen(spec.since) >= 5);
      CHECK(std::string_view(spec.summary).ends_with('.'));
      CHECK((spec.deprecated_since != nullptr) == ((spec.doc_flags & doc::kDeprecated) != 0));
      if (spec.history != nullptr) {
        // Lines of a version, a blank, a sentence.
        for (std::string_view rest = spec.history; !rest.empty();) {
          const std::string_view line = rest.substr(0, rest.find('\n'));
          CAPTURE(line);
          const size_t blank = line.find(' ');
          CHECK(line.find_first_not_of("0123456789.") == blank);
          CHECK(line.ends_with('.'));
          rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        }
      }
      for (const KeySpec& key : spec.keys) {
        if (key.begin == Begin::kNone) continue;
        const int access = key.flags & (key::kRo | key::kRw | key::kOw | key::kRm);
        CHECK(std::popcount(static_cast<unsigned>(access)) == ((key.flags & key::kNotKey) ? 0 : 1));
        CHECK(key.step > 0);
        if (key.begin == Begin::kKeyword) CHECK(key.keyword != nullptr);
      }
    }
  }
}
