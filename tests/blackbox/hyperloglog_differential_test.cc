// HyperLogLogs beside redis-server: the same replies, and the same bytes.
#include "tests/blackbox/differential.h"

using namespace differential;

namespace {

struct Words {
  Dice& dice;

  std::string key() { return dice.percent(2) ? "list" : dice.pick({"h1", "h2", "h3"}); }
  std::string element() { return std::to_string(dice.below(dice.percent(30) ? 50 : 1'000'000)); }
};

Step hll_step(Dice& dice) {
  Words w{dice};
  Command command;
  switch (dice.below(18)) {
    default: {
      command = {"PFADD", w.key()};
      for (uint64_t i = dice.below(dice.percent(20) ? 300 : 8); i > 0; --i) command.push_back(w.element());
      return {command};
    }
    case 0:
    case 1: return {{"PFCOUNT", w.key()}};
    case 2: return {{"PFCOUNT", w.key(), w.key(), w.key()}};
    case 3: return {{"PFMERGE", w.key(), w.key(), w.key()}};
    case 4:
    case 5:
    case 6: return {{"GET", w.key()}};
    case 7:
      return {{"PFDEBUG", dice.pick({"DECODE", "encoding", "encoding", "GETREG", "TODENSE", "no"}), w.key()}};
    case 8: return {dice.percent(20) ? Command{"DEL", w.key()} : Command{"PFMERGE", w.key()}};
    case 9: return {{"CONFIG", "SET", "hll-sparse-max-bytes", dice.pick({"3000", "100", "1000", "0"})}};
  }
}

// As above, between writes of bytes that are no HyperLogLog's.
Step broken_step(Dice& dice) {
  Words w{dice};
  if (dice.percent(60)) return hll_step(dice);
  switch (dice.below(5)) {
    default:  // Never a run of two bytes at the very end, where Redis reads one byte too many.
      return {{"SETRANGE", w.key(), std::to_string(dice.below(dice.percent(50) ? 17 : 16 + 200)),
               std::string(1 + dice.below(3),
                           dice.percent(50) ? '\0' : static_cast<char>(0x80 + dice.below(128)))}};
    case 0: return {{"APPEND", w.key(), std::string(1 + dice.below(2), static_cast<char>(dice.below(64)))}};
    case 1: return {{"SET", w.key(), std::string("HYLL\1\0\0\0\0\0\0\0\0\0\0\0\x7f\xff", 18)}};
    case 2: return {{"SET", w.key(), dice.pick({"", "HYLL", "HYLLxxxxxxxxxxxxxxx", "12345678901234567890"})}};
    case 3: return {{"DEL", w.key()}};
  }
}

std::vector<Command> other_types(Dice&) {
  return {{"RPUSH", "list", "a"}, {"CONFIG", "SET", "hll-sparse-max-bytes", "3000"}};
}

}  // namespace

TEST_SUITE("blackbox/hyperloglog") {
  TEST_CASE("HyperLogLogs answer as in Redis, and their bytes are the same") {
    run(8, 300, &hll_step, &other_types);
  }
  TEST_CASE("strings that are no sound HyperLogLogs give the errors that Redis gives") {
    run(12, 150, &broken_step, &other_types);
  }
}
