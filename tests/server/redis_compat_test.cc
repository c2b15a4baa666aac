// Holds redis-compat.md to what is true.
#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "server/bindings.h"
#include "server/command_table.h"
#include "server/units.h"

using namespace server;

namespace {

struct Row {
  std::string mark;
  std::string note;
};

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(' ');
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(' ') + 1 - first);
}

// The rows below "## Commands", by the command's full name. A name that stands there twice is in `twice`.
std::map<std::string, Row> rows(std::vector<std::string>* twice) {
  std::ifstream page(VARVE_TESTS_DIR "/../../redis-compat.md");
  REQUIRE(page.good());
  std::map<std::string, Row> out;
  bool in_commands = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("## ")) in_commands = line == "## Commands";
    if (!in_commands || !line.starts_with("| `")) continue;
    CAPTURE(line);
    const size_t end_of_name = line.find('`', 3), end_of_mark = line.find('|', end_of_name + 4);
    REQUIRE(end_of_mark != std::string::npos);
    REQUIRE(line.ends_with("|"));
    std::string name = lower(line.substr(3, end_of_name - 3));
    if (const size_t blank = name.find(' '); blank != std::string::npos) name[blank] = '|';
    const Row row{trimmed(line.substr(end_of_name + 3, end_of_mark - end_of_name - 3)),
                  trimmed(line.substr(end_of_mark + 1, line.size() - end_of_mark - 2))};
    if (!out.emplace(name, row).second) twice->push_back(name);
  }
  return out;
}

}  // namespace

TEST_SUITE("server/redis_compat") {
  TEST_CASE("redis-compat.md names every command once, and no other") {
    std::vector<std::string> twice;
    const auto page = rows(&twice);
    CHECK(twice == std::vector<std::string>{});
    const CommandTable table;
    for (const Command& command : table.commands()) {
      CAPTURE(command.name);
      CHECK(page.contains(std::string(command.name)));
    }
    for (const auto& [name, row] : page) {
      CAPTURE(name);
      CHECK(table.lookup(name) != nullptr);
    }
  }

  TEST_CASE("a mark is same, differs or missing, and what differs says how") {
    std::vector<std::string> twice;
    for (const auto& [name, row] : rows(&twice)) {
      CAPTURE(name);
      CHECK((row.mark == "same" || row.mark == "differs" || row.mark == "missing"));
      if (row.mark == "differs") CHECK_FALSE(row.note.empty());
    }
  }

  TEST_CASE("missing is what has no handler, and nothing else") {
    std::vector<std::string> twice;
    const auto page = rows(&twice);
    CommandTable table;
    bind_all(table);
    for (const Command& command : table.commands()) {
      const auto row = page.find(std::string(command.name));
      if (row == page.end()) continue;  // Another test says so.
      CAPTURE(command.name);
      CHECK((row->second.mark == "missing") == !command.served);
    }
  }

  TEST_CASE("notes tell which commands Redis 7.0 does not have") {
    std::vector<std::string> twice;
    const auto page = rows(&twice);
    const CommandTable table;
    for (const Command& command : table.commands()) {
      const auto row = page.find(std::string(command.name));
      if (row == page.end()) continue;  // Another test says so.
      CAPTURE(command.name);
      const std::string& note = row->second.note;
      CHECK(note.starts_with("from Redis ") == (command.spec->origin == Origin::kLaterRedis));
      CHECK(note.starts_with("Varve's own") == (command.spec->origin == Origin::kVarve));
    }
  }
}
