// SORT beside redis-server.
#include "tests/blackbox/differential.h"

using namespace differential;

namespace {

struct Words {
  Dice& dice;

  std::string element() {
    return dice.percent(3) ? dice.pick({"x", "", "1.5", "nan", " 7"}) : std::to_string(dice.below(30));
  }
  std::string key() { return dice.pick({"list", "list", "set", "zset", "numbers", "string", "absent"}); }
  std::string pattern() {
    return dice.pick(
        {"w_*", "w_*", "h_*->f", "h_*->g", "w_*->f", "#", "fixed", "*", "h_*->", "w_*_x", "list*"});
  }
  std::string number() {
    if (dice.percent(3)) return dice.pick({"x", "9223372036854775807", "-9223372036854775808"});
    return std::to_string(static_cast<int64_t>(dice.below(30)) - 4);
  }
};

void append(Command* command, const Command& more) {
  command->insert(command->end(), more.begin(), more.end());
}

Step sort_step(Dice& dice) {
  Words w{dice};
  Command command;
  switch (dice.below(16)) {
    case 0: return {{"RPUSH", dice.pick({"list", "numbers"}), w.element(), w.element()}};
    case 1: return {{"SADD", "set", w.element(), w.element()}};
    case 2: return {{"ZADD", "zset", w.number(), w.element()}};
    case 3:
    case 4: return {{"SET", "w_" + w.element(), w.element()}};
    case 5:
    case 6: return {{"HSET", "h_" + w.element(), dice.pick({"f", "g"}), w.element()}};
    case 7: return {{dice.pick({"LRANGE"}), dice.pick({"stored", "numbers"}), "0", "-1"}};
    case 8: return {dice.percent(30) ? Command{"DEL", w.key()} : Command{"LPOP", "list"}};
    default: break;
  }
  const std::string key = w.key();
  const bool read_only = dice.percent(15);
  command = {read_only ? "SORT_RO" : "SORT", key};
  // Of equal weights Redis's order is that of its qsort: with ALPHA only by weights that differ.
  const bool alphabetic = dice.percent(40);
  bool sorts = true;
  if (dice.percent(50)) {
    const std::string by = alphabetic ? dice.pick({"fixed", "u_*"}) : w.pattern();
    append(&command, {"BY", by});
    sorts = by.find('*') != std::string::npos;
  }
  if (alphabetic) command.push_back("ALPHA");
  if (dice.percent(40)) append(&command, {"LIMIT", w.number(), w.number()});
  while (dice.percent(35)) append(&command, {"GET", w.pattern()});
  if (dice.percent(50)) command.push_back(dice.pick({"asc", "DESC"}));
  const bool stores = dice.percent(20);
  if (stores) append(&command, {"STORE", dice.pick({"stored", "numbers", "string2"})});
  if (dice.percent(2)) command.pop_back();
  // A set as it comes has an order of each server's own.
  return {command, key == "set" && !sorts && !stores ? Compare::kLength : Compare::kAll};
}

}  // namespace

TEST_SUITE("blackbox/sort") {
  TEST_CASE("SORT answers as in Redis, whatever is sorted and by what") {
    run(10, 500, &sort_step, [](Dice& dice) {
      std::vector<Command> commands{{"SET", "string", "a"}};
      int weight = 100;
      for (const char* odd : {"x", "", "1.5", "nan", " 7"})
        commands.push_back({"SET", "u_" + std::string(odd), std::to_string(weight++)});
      for (int i = 0; i < 30; ++i)
        commands.push_back({"SET", "u_" + std::to_string(i), std::to_string((i * 7 + 3) % 31)});
      for (int i = 0; i < 40; ++i) {
        commands.push_back({"RPUSH", "list", std::to_string(dice.below(30))});
        commands.push_back({"SADD", "set", std::to_string(dice.below(30))});
        commands.push_back({"ZADD", "zset", std::to_string(dice.below(30)), std::to_string(dice.below(30))});
      }
      return commands;
    });
  }
}
