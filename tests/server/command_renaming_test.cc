#include "server/command_renaming.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "server/bindings.h"

using namespace server;

namespace {

using Args = std::vector<std::string_view>;

Entry renaming(std::vector<std::string> words) {
  Entry entry;
  entry.name = "rename-command";
  entry.words = std::move(words);
  entry.source = "/w/varve.conf";
  entry.line = 7;
  return entry;
}

std::string renamed(CommandTable& table, const std::vector<Entry>& directives) {
  return rename_commands(directives, table).message();
}

CommandTable full_table() {
  CommandTable table;
  bind_all(table);
  return table;
}

}  // namespace

TEST_SUITE("server/command_renaming") {
  TEST_CASE("T4: a renamed command is found by its new name only, and known by its own to rules") {
    CommandTable table = full_table();
    const Command* const get = table.find(Args{"get", "k"});
    const Command* const config_get = table.find(Args{"config", "get"});
    REQUIRE(get != nullptr);
    REQUIRE(config_get != nullptr);
    // As redis.conf suggests it: longer than any command's own name.
    const std::string secret = "B840fc02d524045429941cc15f59e41cb7be6c52";
    CHECK(renamed(table, {renaming({"CONFIG", secret}), renaming({"GET", "Fetch"})}) == "");
    CHECK(table.find(Args{"FETCH", "k"}) == get);
    CHECK(table.find(Args{"get", "k"}) == nullptr);
    CHECK(table.find(Args{"b840FC02d524045429941cc15f59e41cb7be6c52", "GET"}) == config_get);
    CHECK(table.find(Args{"config", "get"}) == nullptr);
    CHECK(table.lookup("get") == get);
    CHECK(table.lookup("config|get") == config_get);
    CHECK(table.lookup("fetch") == nullptr);
    CHECK(get->served);
    CHECK(unknown_command_message(table, Args{"config", "get"}) ==
          "unknown command 'config', with args beginning with: 'get' ");
    CHECK(unknown_command_message(table, Args{secret, "fly"}) ==
          "unknown subcommand 'fly'. Try CONFIG HELP.");
  }

  TEST_CASE("one that is given no name is gone, with its subcommands, and all others stay") {
    CommandTable table = full_table();
    std::vector<const Command*> others;
    for (const Command& command : table.commands())
      if (command.served && !command.is_subcommand() && command.name != "config") others.push_back(&command);
    CHECK(renamed(table, {renaming({"config", ""})}) == "");
    CHECK(table.find(Args{"config", "get"}) == nullptr);
    CHECK(!table.lookup("config")->served);
    CHECK(!table.lookup("config|get")->served);
    REQUIRE(others.size() > 100);
    for (const Command* command : others) {
      CAPTURE(command->name);
      CHECK(table.find(Args{command->name}) == command);
    }
  }

  TEST_CASE("names can be exchanged by way of a third, and given again") {
    CommandTable table = full_table();
    const Command* const get = table.find(Args{"get", "k"});
    const Command* const set = table.find(Args{"set", "k", "v"});
    CHECK(renamed(table, {renaming({"get", "a-name-of-more-than-24-bytes"}), renaming({"set", "get"}),
                          renaming({"A-NAME-of-more-than-24-bytes", "set"})}) == "");
    CHECK(table.find(Args{"set", "k"}) == get);
    CHECK(table.find(Args{"get", "k", "v"}) == set);
    CHECK(table.find(Args{"a-name-of-more-than-24-bytes", "k"}) == nullptr);
  }

  TEST_CASE("what cannot be is refused, naming the place") {
    CommandTable table = full_table();
    const std::string where = "/w/varve.conf:7: 'rename-command': ";
    CHECK(renamed(table, {renaming({"nosuch", "x"})}) == where + "No such command in rename-command: nosuch");
    CHECK(renamed(table, {renaming({"get", "SET"})}) == where + "Target command name already exists: SET");
    CHECK(renamed(table, {renaming({"get"})}) ==
          where + "takes a command's name and its new one, \"\" for none");
    CHECK(renamed(table, {renaming({"get", ""}), renaming({"get", "x"})}) ==
          where + "No such command in rename-command: get");
    CHECK(table.find(Args{"set", "k", "v"}) != nullptr);
  }
}
