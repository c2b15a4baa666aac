// Streams and their groups beside redis-server.
#include "tests/blackbox/differential.h"

using namespace differential;

namespace {

void append(Command* command, const Command& more) {
  command->insert(command->end(), more.begin(), more.end());
}

struct Words {
  Dice& dice;

  std::string key() { return dice.percent(2) ? "text" : dice.pick({"x1", "x1", "x1", "x2", "x3"}); }
  std::string group() { return dice.pick({"g1", "g1", "g1", "g2", "none"}); }
  std::string consumer() { return dice.pick({"alice", "bob", "carol", ""}); }
  std::string bad_id() {
    return dice.pick({"", "x", "1-x", "-", "+", "$", ">", "1-", "-1-1", "1--1", "007-01", " 3-1", "+4",
                      "18446744073709551616", "1-2-3", "(5", "*", "5-*"});
  }
  // Of what is likely to be there: small numbers.
  std::string id() {
    if (dice.percent(2)) return bad_id();
    if (dice.percent(10)) return std::to_string(dice.below(60));
    return std::to_string(dice.below(60)) + "-" + std::to_string(dice.below(3));
  }
  std::string new_id() {
    if (dice.percent(3)) {
      const std::string bad = bad_id();
      return bad == "*" ? "x-*" : bad;  // Two servers do not ask their clocks in the same millisecond.
    }
    if (dice.percent(40)) return std::to_string(dice.below(60)) + "-*";
    if (dice.percent(1)) return "18446744073709551615-18446744073709551615";
    return std::to_string(40 + dice.below(30)) + "-" + std::to_string(dice.below(4));
  }
  std::string bound() {
    if (dice.percent(30)) return dice.pick({"-", "+"});
    if (dice.percent(2))
      return dice.pick({"(0-0", "(18446744073709551615-18446744073709551615", "(-", "(x", "("});
    return (dice.percent(20) ? "(" : "") + id();
  }
  std::string count() {
    if (dice.percent(4)) return dice.pick({"0", "-1", "x", "9223372036854775807", "-9223372036854775808"});
    return std::to_string(1 + dice.below(12));
  }
  std::string idle() { return dice.percent(3) ? dice.pick({"x", "-5"}) : dice.pick({"0", "0", "1000000"}); }
  Command trim() {
    Command words;
    if (dice.percent(50))
      words = {"MAXLEN", std::to_string(dice.below(50))};
    else
      words = {"MINID", id()};
    if (dice.percent(40)) {
      words.insert(words.begin() + 1, dice.percent(80) ? "~" : "=");
      if (dice.percent(30)) append(&words, {"LIMIT", dice.pick({"0", "1", "5", "20", "-1", "x"})});
    }
    return words;
  }
};

Command read_command(Words& w) {
  Dice& dice = w.dice;
  const bool grouped = dice.percent(70);
  Command command = {grouped ? "XREADGROUP" : "XREAD"};
  if (grouped && dice.percent(98)) append(&command, {"GROUP", w.group(), w.consumer()});
  if (dice.percent(60)) append(&command, {"COUNT", w.count()});
  if (dice.percent(grouped ? 15 : 1)) command.push_back("NOACK");
  command.push_back("STREAMS");
  const uint64_t streams = 1 + (dice.percent(20) ? 1 + dice.below(2) : 0);
  for (uint64_t i = 0; i < streams; ++i) command.push_back(w.key());
  for (uint64_t i = 0; i < streams; ++i) {
    const bool odd = dice.percent(3);
    if (grouped)
      command.push_back(odd ? w.bad_id() : dice.percent(70) ? ">" : dice.pick({"0", "0", "5-1", "30"}));
    else
      command.push_back(odd ? w.bad_id() : dice.percent(10) ? "$" : w.id());
  }
  if (dice.percent(1)) command.pop_back();
  return command;
}

Step stream_step(Dice& dice) {
  Words w{dice};
  Command command;
  switch (dice.below(40)) {
    default: {
      command = {"XADD", w.key()};
      if (dice.percent(5)) command.push_back("NOMKSTREAM");
      if (dice.percent(15)) append(&command, w.trim());
      command.push_back(w.new_id());
      for (uint64_t i = 1 + dice.below(2); i > 0; --i)
        append(&command, {"field" + std::to_string(i), std::to_string(dice.below(1000))});
      if (dice.percent(1)) command.pop_back();
      return {command};
    }
    case 0: return {{"XLEN", w.key()}};
    case 1:
    case 2:
      command = {dice.pick({"XRANGE", "XREVRANGE"}), w.key(), w.bound(), w.bound()};
      if (dice.percent(40)) append(&command, {"COUNT", w.count()});
      return {command};
    case 3:
      command = {"XTRIM", w.key()};
      append(&command, w.trim());
      return {command};
    case 4:
    case 5: {
      command = {"XDEL", w.key()};
      for (uint64_t i = 1 + dice.below(4); i > 0; --i) command.push_back(w.id());
      return {command};
    }
    case 6:
      command = {"XSETID", w.key(), dice.percent(70) ? "70-1" : w.id()};
      if (dice.percent(40)) append(&command, {"ENTRIESADDED", dice.pick({"0", "100", "1000", "-1", "x"})});
      if (dice.percent(40)) append(&command, {"MAXDELETEDID", w.id()});
      return {dice.percent(40) ? command : Command{"XLEN", "x1"}};
    case 7:
    case 8:
      command = {"XGROUP", "CREATE", w.key(), w.group(),
                 dice.percent(20) ? "$" : dice.pick({"0", "0", "10-1"})};
      if (dice.percent(40)) command.push_back("MKSTREAM");
      if (dice.percent(20)) append(&command, {"ENTRIESREAD", dice.pick({"3", "-1", "-2", "x", "0"})});
      return {command};
    case 9:
      command = {"XGROUP", "SETID", w.key(), w.group(),
                 dice.percent(20) ? dice.pick({"$", "-", "+"}) : w.id()};
      if (dice.percent(30)) append(&command, {"ENTRIESREAD", dice.pick({"3", "-1", "0"})});
      return {dice.percent(40) ? command : Command{"XINFO", "GROUPS", "x1"}};
    case 10:
      return {dice.percent(15) ? Command{"XGROUP", "DESTROY", w.key(), w.group()} : Command{"TYPE", w.key()}};
    case 11: return {{"XGROUP", "CREATECONSUMER", w.key(), w.group(), w.consumer()}};
    case 12:
      return {dice.percent(30) ? Command{"XGROUP", "DELCONSUMER", w.key(), w.group(), w.consumer()}
                               : Command{"XINFO", "GROUPS", w.key()}};
    case 13:
    case 14:
    case 15:
    case 16:
    case 17:
    case 18: return {read_command(w)};
    case 19:
    case 20: {
      command = {"XACK", w.key(), w.group()};
      for (uint64_t i = 1 + dice.below(6); i > 0; --i) command.push_back(w.id());
      return {command};
    }
    case 21: return {{"XPENDING", w.key(), w.group()}};
    case 22:
    case 23:
      command = {"XPENDING", w.key(), w.group()};
      if (dice.percent(30)) append(&command, {"IDLE", w.idle()});
      append(&command, {w.bound(), w.bound(), w.count()});
      if (dice.percent(50)) command.push_back(w.consumer());
      return {command, Compare::kClocks};
    case 24:
    case 25:
    case 26: {
      command = {"XCLAIM", w.key(), w.group(), w.consumer(), w.idle()};
      for (uint64_t i = 1 + dice.below(5); i > 0; --i) command.push_back(w.id());
      if (dice.percent(25)) append(&command, {"IDLE", dice.pick({"5000000", "x", "-9223372036854775808"})});
      if (dice.percent(10)) append(&command, {"TIME", dice.pick({"1000", "99999999999999", "x"})});
      if (dice.percent(20)) append(&command, {"RETRYCOUNT", dice.pick({"7", "0", "-1"})});
      if (dice.percent(30)) command.push_back("FORCE");
      if (dice.percent(30)) command.push_back("JUSTID");
      if (dice.percent(10)) append(&command, {"LASTID", w.id()});
      if (dice.percent(2)) command.push_back("WHAT");
      return {command};
    }
    case 27:
    case 28:
      command = {"XAUTOCLAIM", w.key(), w.group(), w.consumer(), w.idle(), w.bound()};
      if (dice.percent(50)) append(&command, {"COUNT", w.count()});
      if (dice.percent(30)) command.push_back("JUSTID");
      return {command};
    case 29:
    case 30: return {{"XINFO", "STREAM", w.key()}, Compare::kClocks};
    case 31:
      command = {"XINFO", "STREAM", w.key(), dice.percent(97) ? "FULL" : "WHAT"};
      if (dice.percent(50)) append(&command, {"COUNT", dice.pick({"0", "2", "30", "-1", "x"})});
      return {command, Compare::kClocks};
    case 32: return {{"XINFO", "GROUPS", w.key()}};
    case 33: return {{"XINFO", "CONSUMERS", w.key(), w.group()}, Compare::kClocks};
    case 34: return {dice.percent(10) ? Command{"DEL", w.key()} : Command{"EXISTS", w.key()}};
    case 35: return {dice.percent(20) ? Command{"RENAME", "x2", "x3"} : Command{"SET", "text", "x"}};
    case 36: return {dice.percent(30) ? Command{"COPY", "x1", "x2", "REPLACE"} : Command{"TTL", w.key()}};
    case 37: return {{"OBJECT", "ENCODING", "x1"}};
  }
}

std::vector<Command> small_blocks(Dice& dice) {
  return {{"CONFIG", "SET", "stream-node-max-entries", dice.pick({"1", "3", "10", "100"})}};
}

}  // namespace

TEST_SUITE("blackbox/stream") {
  TEST_CASE("streams and groups answer as in Redis, whatever is asked in whatever order") {
    run(8, 600, &stream_step, &small_blocks);
  }
}
