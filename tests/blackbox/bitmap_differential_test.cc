// Strings as bitmaps beside redis-server.
#include "tests/blackbox/differential.h"

using namespace differential;

namespace {

struct Words {
  Dice& dice;

  std::string key() { return dice.percent(2) ? "list" : dice.pick({"b1", "b2", "b3", "b4"}); }
  // Around the borders of bytes, words, inline values and chunks, and far out.
  std::string offset() {
    if (dice.percent(3)) return dice.pick({"x", "-1", "4294967296", "", "1.5", "9223372036854775807"});
    switch (dice.below(5)) {
      case 0: return std::to_string(dice.below(200));
      case 1: return std::to_string(65'536 * (1 + dice.below(5)) - 40 + dice.below(80));
      case 2: return std::to_string(dice.below(800'000));
      default: return std::to_string(dice.below(3000));
    }
  }
  std::string index(bool bits) {
    if (dice.percent(3)) return dice.pick({"x", "9223372036854775807", "-9223372036854775808", ""});
    const int64_t around = bits ? 400'000 : 50'000;
    if (dice.percent(30)) return std::to_string(static_cast<int64_t>(dice.below(20)) - 10);
    return std::to_string(static_cast<int64_t>(dice.below(static_cast<uint64_t>(2 * around))) - around);
  }
  std::string type() {
    if (dice.percent(3)) return dice.pick({"u64", "i65", "u0", "x8", "i", "", "u-1"});
    return (dice.percent(50) ? "u" : "i") + std::to_string(1 + dice.below(dice.percent(50) ? 63 : 12));
  }
  std::string field_offset() { return dice.percent(30) ? "#" + std::to_string(dice.below(900)) : offset(); }
  std::string number() {
    if (dice.percent(5))
      return dice.pick({"x", "9223372036854775807", "-9223372036854775808", "4294967296", "-1"});
    return std::to_string(static_cast<int64_t>(dice.below(2000)) - 1000);
  }
  std::string bytes() {
    const std::string unit =
        dice.pick({"a", "\xff", "\xff\xff\xff\xf0", "abc", "\1"}) + std::string(dice.below(3), '\0');
    std::string out;
    for (uint64_t i = dice.below(dice.percent(20) ? 12'000 : 30); i > 0; --i) out += unit;
    return out;
  }
};

void append(Command* command, const Command& more) {
  command->insert(command->end(), more.begin(), more.end());
}

Command field_command(Words& w) {
  Command command = {w.dice.percent(15) ? "BITFIELD_RO" : "BITFIELD", w.key()};
  for (uint64_t i = w.dice.below(6); i > 0; --i) {
    switch (w.dice.below(4)) {
      case 0: append(&command, {"GET", w.type(), w.field_offset()}); break;
      case 1: append(&command, {"SET", w.type(), w.field_offset(), w.number()}); break;
      case 2: append(&command, {"INCRBY", w.type(), w.field_offset(), w.number()}); break;
      case 3: append(&command, {"OVERFLOW", w.dice.pick({"WRAP", "sat", "FAIL", "fail", "no"})}); break;
    }
  }
  if (w.dice.percent(2)) command.pop_back();
  return command;
}

Step bitmap_step(Dice& dice) {
  Words w{dice};
  Command command;
  switch (dice.below(22)) {
    default: return {{"SETBIT", w.key(), w.offset(), dice.percent(97) ? dice.pick({"0", "1", "1"}) : "2"}};
    case 0: return {{"GETBIT", w.key(), w.offset()}};
    case 1:
    case 2: {
      command = {"BITCOUNT", w.key()};
      const bool bits = dice.percent(50);
      if (dice.percent(80)) append(&command, {w.index(bits), w.index(bits)});
      if (dice.percent(50)) command.push_back(bits ? "BIT" : dice.pick({"BYTE", "byte", "bits"}));
      return {command};
    }
    case 3:
    case 4: {
      command = {"BITPOS", w.key(), dice.percent(97) ? dice.pick({"0", "1"}) : dice.pick({"2", "x"})};
      const bool bits = dice.percent(50);
      if (dice.percent(80)) command.push_back(w.index(bits));
      if (dice.percent(70)) command.push_back(w.index(bits));
      if (dice.percent(50)) command.push_back(bits ? "bit" : dice.pick({"BYTE", "byte", "bits"}));
      return {command};
    }
    case 5:
    case 6: {
      command = {"BITOP", dice.pick({"AND", "or", "XOR", "NOT", "NOT", "no"}), w.key(), w.key()};
      while (dice.percent(command[1] == "NOT" ? 5 : 50))
        command.push_back(dice.percent(10) ? "absent" : w.key());
      return {command};
    }
    case 7:
    case 8:
    case 9: return {field_command(w)};
    case 10: return {{"STRLEN", w.key()}};
    case 11:
    case 12: return {{"GETRANGE", w.key(), w.index(false), w.index(false)}};
    case 13: return {{"SETRANGE", w.key(), std::to_string(dice.below(60'000)), w.bytes()}};
    case 14: return {{"APPEND", w.key(), w.bytes()}};
    case 15:
      return {dice.percent(50) ? Command{"SET", w.key(), w.bytes()}
                               : Command{"COPY", w.key(), w.key(), "REPLACE"}};
    case 16: return {{"GET", w.key()}};
    case 17: return {dice.percent(20) ? Command{"DEL", w.key()} : Command{"TYPE", w.key()}};
  }
}

}  // namespace

TEST_SUITE("blackbox/bitmap") {
  TEST_CASE("strings as bitmaps answer as in Redis, whatever is asked in whatever order") {
    run(8, 400, &bitmap_step, [](Dice&) { return std::vector<Command>{{"RPUSH", "list", "a"}}; });
  }
}
