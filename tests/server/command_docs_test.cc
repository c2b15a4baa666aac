#include "server/commands/command_docs.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "resp/reply_parser.h"
#include "server/command_keys.h"
#include "tests/server/real_redis.h"

using namespace server;
using resp::Reply;
using Kind = Reply::Kind;

namespace {

void handler(CommandContext&) {}

CommandTable table_of(std::initializer_list<std::string_view> names) {
  CommandTable table;
  for (std::string_view name : names) {
    const Binding binding[] = {{name, &handler}};
    table.bind(binding);
  }
  return table;
}

// Every command that a Redis 7.0 without Sentinel serves.
CommandTable table_of_redis() {
  CommandTable table;
  for (const Command& command : table.commands()) {
    const bool sentinel = command.flags & cmd::kOnlySentinel || command.name == "sentinel";
    if (command.spec->origin != Origin::kRedis70 || sentinel) continue;
    if (command.subcommand_count > 0 && command.name != "command") continue;
    const Binding binding[] = {{command.name, &handler}};
    table.bind(binding);
  }
  return table;
}

// The reply to COMMAND with these arguments.
Reply ask(const CommandTable& table, const std::vector<std::string>& words, resp::Version version) {
  resp::OutputBuffer out;
  resp::ReplyWriter reply(out, version);
  const std::vector<std::string_view> args(words.begin(), words.end());
  const std::string sub = args.size() == 1 ? "" : words[1];
  if (sub.empty()) {
    command_info_of_all(table, reply);
  } else if (sub == "COUNT") {
    command_count(table, reply);
  } else if (sub == "LIST") {
    command_list(table, args, reply);
  } else if (sub == "INFO") {
    command_info(table, args, reply);
  } else if (sub == "DOCS") {
    command_docs(table, args, reply);
  } else if (sub == "GETKEYS") {
    command_getkeys(table, args, KeyDetail::kNames, reply);
  } else if (sub == "GETKEYSANDFLAGS") {
    command_getkeys(table, args, KeyDetail::kNamesAndFlags, reply);
  } else {
    container_help(table, "command", reply);
  }
  resp::InputBuffer in;
  std::string bytes(out.size(), '\0');
  std::vector<std::string_view> blocks(1000);
  blocks.resize(out.blocks(blocks));
  for (std::string_view block : blocks) in.append(block);
  resp::ReplyParser parser;
  REQUIRE(parser.next(in) == resp::ReplyParser::Outcome::kReply);
  CHECK(in.empty());  // One reply and no more.
  return parser.reply();
}

std::string text(const CommandTable& table, const std::vector<std::string>& words,
                 resp::Version version = resp::Version::kResp2) {
  return resp::to_text(ask(table, words, version));
}

}  // namespace

TEST_SUITE("server/command_docs") {
  TEST_CASE("only what is served is told of") {
    const CommandTable table = table_of({"get", "config|get"});
    CHECK(text(table, {"COMMAND", "COUNT"}) == "2");
    CHECK(text(table, {"COMMAND", "LIST"}) == R"(["get", "config", "config|get"])");
    CHECK(text(table, {"COMMAND", "INFO", "set", "config|set", "nothing", "get|x"}) ==
          "[nil, nil, nil, nil]");
    CHECK(text(table, {"COMMAND", "DOCS", "set"}) == "[]");
    CHECK(text(table, {"COMMAND", "DOCS", "set"}, resp::Version::kResp3) == "{}");
    CHECK(text(table, {"COMMAND", "GETKEYS", "set", "a", "b"}) == "(error) ERR Invalid command specified");
  }

  TEST_CASE("COMMAND INFO tells flags, keys, categories and subcommands") {
    const CommandTable table = table_of({"get", "config|get"});
    CHECK(text(table, {"COMMAND", "INFO", "GET"}) ==
          R"([["get", 2, [readonly, fast], 1, 1, 1, [@read, @string, @fast], [], )"
          R"([["flags", [RO, access], "begin_search", ["type", "index", "spec", ["index", 1]], )"
          R"("find_keys", ["type", "range", "spec", ["lastkey", 0, "keystep", 1, "limit", 0]]]], []]])");
    CHECK(
        text(table, {"COMMAND", "INFO", "config"}) ==
        R"([["config", -2, [], 0, 0, 0, [@slow], [], [], [["config|get", -3, [admin, noscript, loading, stale], )"
        R"(0, 0, 0, [@admin, @slow, @dangerous], [], [], []]]]])");
    CHECK(ask(table, {"COMMAND"}, resp::Version::kResp2) ==
          ask(table, {"COMMAND", "INFO"}, resp::Version::kResp2));
  }

  TEST_CASE("COMMAND DOCS tells arguments, history and subcommands") {
    const CommandTable table = table_of({"lpop", "config|get"});
    CHECK(
        text(table, {"COMMAND", "DOCS", "lpop"}) ==
        R"(["lpop", ["summary", "Take elements off the front of a list.", "since", "1.0.0", "group", "list", )"
        R"("complexity", "O(N) with N elements returned", "history", [["6.2.0", "Argument `count`."]], )"
        R"("arguments", [["name", "key", "type", "key", "key_spec_index", 0], )"
        R"(["name", "count", "type", "integer", "since", "6.2.0", "flags", [optional]]]]])");
    const Reply config = ask(table, {"COMMAND", "DOCS", "config"}, resp::Version::kResp3);
    CHECK(config.kind == Kind::kMap);
    CHECK(config.items[1].items.back().items[0].text == "config|get");
  }

  TEST_CASE("COMMAND LIST filters by category and by pattern, and knows no modules") {
    const CommandTable table = table_of({"get", "getdel", "set", "config|get", "config|set"});
    CHECK(text(table, {"COMMAND", "LIST", "filterby", "PATTERN", "*GET*"}) ==
          R"(["get", "getdel", "config|get"])");
    CHECK(text(table, {"COMMAND", "LIST", "FILTERBY", "aclcat", "Admin"}) ==
          R"(["config|get", "config|set"])");
    CHECK(text(table, {"COMMAND", "LIST", "FILTERBY", "ACLCAT", "nothing"}) == "[]");
    CHECK(text(table, {"COMMAND", "LIST", "FILTERBY", "MODULE", "json"}) == "[]");
    for (const std::vector<std::string>& wrong :
         std::vector<std::vector<std::string>>{{"COMMAND", "LIST", "FILTERBY"},
                                               {"COMMAND", "LIST", "FILTERBY", "PATTERN"},
                                               {"COMMAND", "LIST", "FILTERBY", "PATTERN", "*", "x"},
                                               {"COMMAND", "LIST", "FILTERBY", "COLOUR", "red"},
                                               {"COMMAND", "LIST", "PATTERN", "*"}}) {
      CHECK(text(table, wrong) == "(error) ERR syntax error");
    }
  }

  TEST_CASE("COMMAND GETKEYS tells why there are none") {
    const CommandTable table = table_of({"get", "ping", "eval", "zunionstore", "config|get"});
    CHECK(text(table, {"COMMAND", "GETKEYS", "get", "k"}) == R"(["k"])");
    CHECK(text(table, {"COMMAND", "GETKEYSANDFLAGS", "get", "k"}) == R"([["k", [RO, access]]])");
    CHECK(text(table, {"COMMAND", "GETKEYS", "eval", "s", "0"}) == "[]");
    CHECK(text(table, {"COMMAND", "GETKEYS", "ping"}) == "(error) ERR The command has no key arguments");
    CHECK(text(table, {"COMMAND", "GETKEYS", "config"}) == "(error) ERR The command has no key arguments");
    CHECK(text(table, {"COMMAND", "GETKEYS", "config", "x"}) == "(error) ERR Invalid command specified");
    CHECK(text(table, {"COMMAND", "GETKEYS", "get"}) ==
          "(error) ERR Invalid number of arguments specified for command");
    CHECK(text(table, {"COMMAND", "GETKEYS", "zunionstore", "d", "5", "a"}) ==
          "(error) ERR Invalid arguments specified for command");
  }

  TEST_CASE("HELP of a container is made from its subcommands") {
    const CommandTable table = table_of({"command|count", "command|getkeys"});
    CHECK(text(table, {"COMMAND", "HELP"}) ==
          "[COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:, COUNT,     Count the "
          "commands., "
          "GETKEYS,     Tell which arguments of a command line are keys.]");
  }

  TEST_CASE("the whole table can be told of") {
    const CommandTable table = table_of_redis();
    for (resp::Version version : {resp::Version::kResp2, resp::Version::kResp3}) {
      CHECK(ask(table, {"COMMAND"}, version).items.size() == 240);
      CHECK(ask(table, {"COMMAND", "DOCS"}, version).items.size() == 480);
    }
  }
}

namespace {

// Sentences are ours, and the order among equals is anybody's: blanks the former, settles the latter.
void normalize(Reply* reply) {
  const bool pairs = reply->kind == Kind::kMap || reply->kind == Kind::kArray;
  for (size_t i = 0; i < reply->items.size(); ++i) {
    Reply& item = reply->items[i];
    if (pairs && i + 1 < reply->items.size() && item.kind == Kind::kBulk) {
      Reply& next = reply->items[i + 1];
      if (item.text == "summary" || item.text == "complexity" || item.text == "notes") next.text = "...";
      if (item.text == "history") {
        for (Reply& change : next.items) change.items[1].text = "...";
      }
    }
    normalize(&item);
  }
  // Lists of subcommands and flags. (Arguments are arrays of maps, whose order means something.)
  const auto all = [&](auto predicate) {
    return std::all_of(reply->items.begin(), reply->items.end(), predicate);
  };
  const bool flags = all([](const Reply& r) { return r.kind == Kind::kSimple; });
  const bool infos = all([](const Reply& r) { return r.kind == Kind::kArray && r.items.size() == 10; });
  if (reply->kind == Kind::kSet || (reply->kind == Kind::kArray && (flags || infos))) {
    std::sort(reply->items.begin(), reply->items.end(),
              [](const Reply& a, const Reply& b) { return resp::to_text(a) < resp::to_text(b); });
  }
  // Subcommands' documentation: name, map, name, map ... (An info begins with such a name too, then a
  // number.)
  const auto is_name = [](const Reply& r) { return r.text.find('|') != std::string::npos; };
  if (reply->items.size() >= 2 && is_name(reply->items[0]) && reply->items[1].kind != Kind::kInteger) {
    std::vector<std::pair<Reply, Reply>> docs;
    for (size_t i = 0; i + 1 < reply->items.size(); i += 2)
      docs.emplace_back(reply->items[i], reply->items[i + 1]);
    std::sort(docs.begin(), docs.end(),
              [](const auto& a, const auto& b) { return a.first.text < b.first.text; });
    reply->items.clear();
    for (auto& [name, facts] : docs) {
      reply->items.push_back(std::move(name));
      reply->items.push_back(std::move(facts));
    }
  }
}

// What Varve's SET, SCAN and HSCAN take beyond Redis 7.0's: IFEQ and its kin, RANGE, NOVALUES.
void remove_additions(Reply* reply) {
  std::erase_if(reply->items, [](const Reply& item) {
    const std::string text = resp::to_text(item);
    const bool argument = text.starts_with(R"(["name", ")") || text.starts_with(R"({"name": ")");
    return argument &&
           (text.find("\"8.4.0\"") != std::string::npos || text.find("\"7.4.0\"") != std::string::npos ||
            text.find("\"RANGE\"") != std::string::npos) &&
           text.find("\"NX\"") == std::string::npos;
  });
  for (Reply& item : reply->items) remove_additions(&item);
}

std::vector<std::string> sorted_texts(const Reply& list) {
  std::vector<std::string> texts;
  for (const Reply& item : list.items) texts.push_back(item.text);
  std::sort(texts.begin(), texts.end());
  return texts;
}

}  // namespace

TEST_SUITE("slow/server/command_docs") {
  TEST_CASE("but for sentences, Redis 7.0 describes its commands as we do") {
    const auto redis = RealRedis::start();
    if (!redis) {
      MESSAGE("no redis-server to compare with");
      return;
    }
    const CommandTable table = table_of_redis();
    for (resp::Version version : {resp::Version::kResp2, resp::Version::kResp3}) {
      REQUIRE(redis->ask(std::vector<std::string>{"HELLO", version == resp::Version::kResp2 ? "2" : "3"}));
      const std::vector<std::string> list = {"COMMAND", "LIST"}, count = {"COMMAND", "COUNT"};
      CHECK(sorted_texts(ask(table, list, version)) == sorted_texts(redis->ask(list).value()));
      CHECK(ask(table, count, version) == redis->ask(count).value());
      for (const Command& command : table.commands()) {
        if (!command.served) continue;
        for (const char* what : {"INFO", "DOCS"}) {
          const std::vector<std::string> question = {"COMMAND", what, std::string(command.name)};
          Reply ours = ask(table, question, version), theirs = redis->ask(question).value();
          normalize(&ours);
          normalize(&theirs);
          if (command.name == "set" || command.name == "scan" || command.name == "hscan")
            remove_additions(&ours);
          CAPTURE(command.name);
          CHECK(resp::to_text(ours) == resp::to_text(theirs));
          CHECK(ours == theirs);
        }
      }
      for (int i = 0; i < acl::kCategoryCount; ++i) {
        const std::vector<std::string> category = {"COMMAND", "LIST", "FILTERBY", "ACLCAT",
                                                   std::string(category_name(1u << i))};
        CHECK(sorted_texts(ask(table, category, version)) == sorted_texts(redis->ask(category).value()));
      }
    }
  }

  TEST_CASE("Redis 7.0 finds the keys that we find") {
    const auto redis = RealRedis::start();
    if (!redis) {
      MESSAGE("no redis-server to compare with");
      return;
    }
    const CommandTable table = table_of_redis();
    const uint32_t seed = 7015;
    CAPTURE(seed);
    std::mt19937 random(seed);
    const char* vocabulary[] = {"",      "a",     "b",         "0",       "1",     "2",       "3",
                                "-1",    "1x",    "store",     "keys",    "KEYS",  "streams", "limit",
                                "get",   "by",    "storedist", "auth",    "auth2", "set",     "group",
                                "block", "count", "incrby",    "overflow"};
    for (const Command& command : table.commands()) {
      if (!command.served) continue;
      for (int round = 0; round < 60; ++round) {
        std::vector<std::string> question = {"COMMAND", "GETKEYSANDFLAGS"};
        const size_t bar = command.name.find('|');
        question.emplace_back(command.name.substr(0, bar));
        if (bar != std::string_view::npos) question.emplace_back(command.name.substr(bar + 1));
        for (size_t n = 1 + random() % 10; n > 0; --n)
          question.emplace_back(vocabulary[random() % std::size(vocabulary)]);
        // Where a number of keys is none ("1x"), Redis falls back to a reader that takes the digits.
        const bool counted = std::any_of(std::begin(command.spec->keys), std::end(command.spec->keys),
                                         [](const KeySpec& s) { return s.find == Find::kKeyNum; });
        if (counted && std::find(question.begin(), question.end(), "1x") != question.end()) continue;
        std::string line;
        for (const std::string& word : question) line += "'" + word + "' ";
        CAPTURE(line);
        CHECK(text(table, question) == resp::to_text(redis->ask(question).value()));
      }
    }
  }
}
