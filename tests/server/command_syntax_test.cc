#include "server/command_syntax.h"

#include <doctest/doctest.h>

#include <string>
#include <tuple>

#include "server/command_table.h"

using namespace server;
using Type = Argument::Type;

namespace {
std::string text_of(std::string_view synopsis) { return synopsis_text(read_synopsis(synopsis).value()); }
}  // namespace

TEST_SUITE("server/command_syntax") {
  TEST_CASE("a plain argument has a name, a type, a key spec and versions") {
    const auto arguments =
        read_synopsis("key#0 value count:integer ip~2.8.12 when:unix-time@7.0.0 by:pattern#1");
    REQUIRE(arguments.has_value());
    REQUIRE(arguments->size() == 6);
    const auto& [key, value, count, ip, when, by] = std::tie(
        (*arguments)[0], (*arguments)[1], (*arguments)[2], (*arguments)[3], (*arguments)[4], (*arguments)[5]);
    CHECK((key.name == "key" && key.type == Type::kKey && key.key_spec == 0));
    CHECK((value.type == Type::kString && value.key_spec == -1 && !value.token && !value.optional));
    CHECK(count.type == Type::kInteger);
    CHECK(ip.deprecated_since == "2.8.12");
    CHECK((when.type == Type::kUnixTime && when.since == "7.0.0"));
    CHECK((by.type == Type::kPattern && by.key_spec == 1));
  }

  TEST_CASE("tokens stand alone, before a value, or in quotes") {
    const auto arguments =
        read_synopsis("NX CH=change:token EX=seconds:integer '='=equal:token 'yes/no' ''=none:token");
    REQUIRE(arguments.has_value());
    CHECK(((*arguments)[0].token == "NX" && (*arguments)[0].name == "nx"));
    CHECK((*arguments)[0].type == Type::kPureToken);
    CHECK(((*arguments)[1].token == "CH" && (*arguments)[1].name == "change"));
    CHECK(((*arguments)[2].token == "EX" && (*arguments)[2].type == Type::kInteger));
    CHECK(((*arguments)[3].token == "=" && (*arguments)[3].type == Type::kPureToken));
    CHECK(((*arguments)[4].name == "yes/no" && (*arguments)[4].type == Type::kString));
    CHECK(((*arguments)[5].token == "" && (*arguments)[5].type == Type::kPureToken));
  }

  TEST_CASE("choices and blocks nest, and repeat with or without their token") {
    const auto arguments =
        read_synopsis("[how@6.2.0(XX | LIMIT=limit{a:integer b}...)] [GET=p@6.2.0*...] ID=id@7.0.0...");
    REQUIRE(arguments.has_value());
    const Argument& how = (*arguments)[0];
    CHECK((how.optional && how.since == "6.2.0" && how.type == Type::kOneOf && how.arguments.size() == 2));
    const Argument& limit = how.arguments[1];
    CHECK((limit.type == Type::kBlock && limit.token == "LIMIT" && limit.multiple && !limit.multiple_token));
    CHECK((limit.arguments.size() == 2 && limit.arguments[0].type == Type::kInteger));
    CHECK(((*arguments)[1].multiple && (*arguments)[1].multiple_token && (*arguments)[1].optional));
    CHECK(((*arguments)[1].since == "6.2.0" && (*arguments)[2].since == "7.0.0" && (*arguments)[2].multiple));
  }

  TEST_CASE("what is no synopsis is refused") {
    for (const char* wrong : {"",          " ",       "a  b", "[a",  "a]",   "a(b",   "a(b |)", "a{b", "a{}",
                              "a:nothing", "a:oneof", "a#",   "a#x", "a#10", "'a",    "=a",     "A=",  "a@",
                              "a~",        "a@1.",    "''",   "a..", "a*",   "a....", "a b "}) {
      CAPTURE(wrong);
      CHECK_FALSE(read_synopsis(wrong).has_value());
    }
  }

  TEST_CASE("people read it as in documentation") {
    CHECK(text_of("key#0 [key#0...]") == "key [key [key ...]]");
    CHECK(text_of("key#0 [condition(NX | XX)] [EX=seconds:integer]") == "key [NX|XX] [EX seconds]");
    CHECK(text_of("enabled(ON | OFF) data{field value}...") == "<ON|OFF> field value [field value ...]");
    CHECK(text_of("[GET=pattern*...] ID=id:integer...") == "[GET pattern [GET pattern ...]] ID id [id ...]");
    CHECK(text_of("where(BEFORE | AFTER) TYPE=t(A | B)") == "<BEFORE|AFTER> TYPE <A|B>");
  }

  TEST_CASE("every row of the command table has a synopsis that can be read, and its key specs exist") {
    const CommandTable table;
    const auto check = [](const auto& self, const Command& command,
                          const std::vector<Argument>& arguments) -> void {
      for (const Argument& argument : arguments) {
        CAPTURE(argument.name);
        if (argument.key_spec >= 0) {
          CHECK(argument.key_spec < kKeySpecsMax);
          CHECK(command.spec->keys[argument.key_spec].begin != Begin::kNone);
        }
        CHECK((argument.type == Type::kKey) == (argument.key_spec >= 0 && argument.type != Type::kPattern));
        self(self, command, argument.arguments);
      }
    };
    for (const Command& command : table.commands()) {
      CAPTURE(command.name);
      if (command.spec->arguments == nullptr) continue;
      const auto arguments = read_synopsis(command.spec->arguments);
      REQUIRE(arguments.has_value());
      check(check, command, *arguments);
    }
  }
}
