// Keyspace events beside redis-server: the same random commands, and what a listener hears of them.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/blackbox/differential.h"

using namespace differential;

namespace {

// A connection that hears all events. After each command a message to a channel of its own says that no more
// are to come.
class Listener {
 public:
  explicit Listener(const std::string& socket) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(socket.size() < sizeof(address.sun_path));
    std::memcpy(address.sun_path, socket.data(), socket.size());
    REQUIRE(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    const std::string request = support::Client::encode({"PSUBSCRIBE", "__key*@*", "end"});
    REQUIRE(send(fd_, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size()));
    next();
    next();
  }
  ~Listener() { close(fd_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  std::vector<std::string> until_end() {
    std::vector<std::string> heard;
    for (;;) {
      const resp::Reply message = next();
      if (message.items.at(2).text == "end") return heard;
      heard.push_back(message.items.at(2).text + " " + message.items.at(3).text);
    }
  }

 private:
  resp::Reply next() {
    while (parser_.next(in_) != resp::ReplyParser::Outcome::kReply) {
      char bytes[4096];
      const ssize_t got = recv(fd_, bytes, sizeof(bytes), 0);
      if (got <= 0) throw std::runtime_error("the listener was cut off");
      in_.append({bytes, static_cast<size_t>(got)});
    }
    return parser_.reply();
  }

  const int fd_;
  resp::InputBuffer in_;
  resp::ReplyParser parser_;
};

struct Words {
  Dice& dice;

  std::string key() { return dice.pick({"a", "b", "c", "d"}); }
  // Mostly of the type that a command wants, so that it has something to do.
  std::string key(const char* kind) {
    return dice.percent(10) ? key() : kind + std::to_string(dice.below(3));
  }
  std::string word() { return dice.pick({"x", "y", "z", "1", "2", "3"}); }
  std::string number() { return std::to_string(static_cast<int>(dice.below(9)) - 4); }
  std::string end() { return dice.pick({"LEFT", "RIGHT"}); }
  std::string place() { return dice.pick({"1.5", "1.6", "20"}); }
};

Command string_command(Dice& dice) {
  Words w{dice};
  const std::string key = w.key("s"), other = w.key("s");
  switch (dice.below(22)) {
    case 0: return {"SET", key, w.word()};
    case 1: return {"SET", key, w.word(), "EX", "1000"};
    case 2: return {"SET", key, w.word(), dice.pick({"NX", "XX", "GET", "KEEPTTL"})};
    case 3: return {"SET", key, w.word(), dice.pick({"NX", "XX", "GET"}), "PXAT", "99999999999999"};
    case 4: return {"SETNX", key, w.word()};
    case 5: return {"SETEX", key, "1000", w.word()};
    case 6: return {"PSETEX", key, "1000000", w.word()};
    case 7: return {"GETSET", key, w.word()};
    case 8: return {"GETDEL", key};
    case 9: return {"GETEX", key};
    case 10:
      return {"GETEX", key, dice.pick({"EX", "PX", "EXAT", "PXAT"}), dice.pick({"1000000", "99999999999"})};
    case 11: return {"GETEX", key, "PERSIST"};
    case 12: return {"MSET", key, w.word(), other, w.word(), key, w.word()};
    case 13: return {"MSETNX", key, w.word(), other, w.word()};
    case 14: return {"APPEND", key, dice.pick({"", "t"})};
    case 15: return {"SETRANGE", key, dice.pick({"0", "3"}), dice.pick({"", "t"})};
    case 16: return {dice.pick({"INCR", "DECR"}), key};
    case 17: return {dice.pick({"INCRBY", "DECRBY"}), key, w.number()};
    case 18: return {"INCRBYFLOAT", key, "1.5"};
    case 19: return {dice.pick({"GET", "STRLEN", "TTL", "TYPE", "EXISTS", "TOUCH", "PTTL"}), key};
    case 20: return {"MGET", key, other};
    default: return {"LCS", key, other};
  }
}

Command key_command(Dice& dice) {
  Words w{dice};
  const auto any = [&] { return w.key(dice.pick({"s", "h", "l", "t", "z"}).c_str()); };
  const std::string key = any(), other = any();
  switch (dice.below(10)) {
    case 0: return {dice.pick({"DEL", "UNLINK"}), key, other, key};
    case 1: return {dice.pick({"EXPIRE", "PEXPIRE"}), key, dice.pick({"1000000", "-1", "2000000"})};
    case 2: return {"EXPIRE", key, dice.pick({"1000", "5000", "-1"}), dice.pick({"NX", "XX", "GT", "LT"})};
    case 3: return {dice.pick({"EXPIREAT", "PEXPIREAT"}), key, dice.pick({"1", "99999999999"})};
    case 4: return {"PERSIST", key};
    case 5: return {dice.pick({"RENAME", "RENAMENX"}), key, other};
    case 6: return {"MOVE", key, dice.pick({"0", "1"})};
    case 7: return {"COPY", key, other};
    case 8: return {"COPY", key, other, "REPLACE"};
    default: return {"COPY", key, other, "DB", "1", "REPLACE"};
  }
}

Command hash_command(Dice& dice) {
  Words w{dice};
  const std::string key = w.key("h");
  switch (dice.below(9)) {
    case 0:
    case 1: return {dice.pick({"HSET", "HMSET"}), key, w.word(), w.word(), w.word(), w.word()};
    case 2: return {"HSETNX", key, w.word(), w.word()};
    case 3:
    case 4: return {"HDEL", key, w.word(), w.word(), w.word()};
    case 5: return {"HINCRBY", key, w.word(), w.number()};
    case 6: return {"HINCRBYFLOAT", key, w.word(), "0.5"};
    case 7: return {dice.pick({"HGET", "HEXISTS", "HSTRLEN"}), key, w.word()};
    default: return {dice.pick({"HGETALL", "HLEN", "HKEYS", "HRANDFIELD"}), key};
  }
}

Command list_command(Dice& dice) {
  Words w{dice};
  const std::string key = w.key("l"), other = w.key("l");
  switch (dice.below(17)) {
    case 0:
    case 1: return {dice.pick({"LPUSH", "RPUSH"}), key, w.word(), w.word()};
    case 2: return {dice.pick({"LPUSHX", "RPUSHX"}), key, w.word()};
    case 3: return {"LINSERT", key, dice.pick({"BEFORE", "AFTER"}), w.word(), w.word()};
    case 4: return {dice.pick({"LPOP", "RPOP"}), key};
    case 5: return {dice.pick({"LPOP", "RPOP"}), key, dice.pick({"0", "1", "2", "9"})};
    case 6: return {"LSET", key, w.number(), w.word()};
    case 7: return {"LTRIM", key, w.number(), w.number()};
    case 8: return {"LREM", key, w.number(), w.word()};
    case 9: return {"LMOVE", key, other, w.end(), w.end()};
    case 10: return {"RPOPLPUSH", key, other};
    case 11: return {"LMPOP", "2", key, other, w.end(), "COUNT", dice.pick({"1", "2", "9"})};
    case 12: return {dice.pick({"BLPOP", "BRPOP"}), key, other, "0.001"};
    case 13: return {"BLMOVE", key, other, w.end(), w.end(), "0.001"};
    case 14: return {"BRPOPLPUSH", key, other, "0.001"};
    case 15: return {"BLMPOP", "0.001", "2", key, other, w.end(), "COUNT", dice.pick({"1", "9"})};
    default: return {"LRANGE", key, "0", "-1"};
  }
}

// What is popped by chance would differ: all of it goes.
Command set_command(Dice& dice) {
  Words w{dice};
  const std::string key = w.key("t"), other = w.key("t");
  switch (dice.below(9)) {
    case 0:
    case 1: return {"SADD", key, w.word(), w.word()};
    case 2: return {"SREM", key, w.word(), w.word(), w.word()};
    case 3: return {"SMOVE", key, other, w.word()};
    case 4: return {"SPOP", key, dice.pick({"0", "100"})};
    case 5:
    case 6: return {dice.pick({"SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"}), w.key("t"), key, other};
    case 7: return {dice.pick({"SMEMBERS", "SCARD", "SRANDMEMBER"}), key};
    default: return {dice.pick({"SINTER", "SUNION", "SDIFF"}), key, other};
  }
}

Command zset_command(Dice& dice) {
  Words w{dice};
  const std::string key = w.key("z"), other = w.key("z"), to = w.key("z");
  switch (dice.below(19)) {
    case 0:
    case 1: return {"ZADD", key, w.number(), w.word(), w.number(), w.word()};
    case 2: return {"ZADD", key, dice.pick({"NX", "XX", "GT", "LT", "CH"}), w.number(), w.word()};
    case 3: return {"ZADD", key, dice.pick({"NX", "XX", "CH"}), "INCR", w.number(), w.word()};
    case 4: return {"ZINCRBY", key, w.number(), w.word()};
    case 5: return {"ZREM", key, w.word(), w.word()};
    case 6: return {dice.pick({"ZPOPMIN", "ZPOPMAX"}), key};
    case 7: return {dice.pick({"ZPOPMIN", "ZPOPMAX"}), key, dice.pick({"0", "1", "9"})};
    case 8: return {"ZREMRANGEBYRANK", key, w.number(), w.number()};
    case 9: return {"ZREMRANGEBYSCORE", key, "-1", "1"};
    case 10: return {"ZREMRANGEBYLEX", key, "-", dice.pick({"+", "[1"})};
    case 11: return {"ZRANGESTORE", to, key, w.number(), w.number()};
    case 12: return {dice.pick({"ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE"}), to, "2", key, other};
    case 13: return {"ZMPOP", "2", key, other, dice.pick({"MIN", "MAX"}), "COUNT", dice.pick({"1", "9"})};
    case 14: return {dice.pick({"BZPOPMIN", "BZPOPMAX"}), key, other, "0.001"};
    case 15: return {"GEOADD", key, w.place(), w.place(), w.word()};
    case 16: return {"GEOSEARCHSTORE", to, key, "FROMLONLAT", "1.5", "1.5", "BYRADIUS", "100", "km"};
    case 17: return {"GEORADIUS", key, "1.5", "1.5", "100", "km", "STORE", to};
    default: return {dice.pick({"ZCARD", "ZRANDMEMBER"}), key};
  }
}

Command command_of(Dice& dice) {
  switch (dice.below(6)) {
    case 0: return string_command(dice);
    case 1: return key_command(dice);
    case 2: return hash_command(dice);
    case 3: return list_command(dice);
    case 4: return set_command(dice);
    default: return zset_command(dice);
  }
}

std::string text_of(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += word + "; ";
  return text;
}

}  // namespace

TEST_SUITE("blackbox/events_differential") {
  TEST_CASE("a listener hears of random commands what it hears from redis-server, in the same order") {
    const auto redis = RealRedis::start();
    if (redis == nullptr) {
      MESSAGE("no redis-server here");
      return;
    }
    const support::ServerProcess varve;
    support::Client client = support::Client::over_tcp(varve);
    for (const Command& command :
         {Command{"CONFIG", "SET", "notify-keyspace-events", "KEAnm"}, Command{"SELECT", "0"}}) {
      client.command(command);
      REQUIRE(redis->ask(command).has_value());
    }
    Listener ours(varve.unix_socket()), theirs(redis->socket());
    uint64_t first = 1, last = 4;
    if (const char* given = std::getenv("VARVE_DIFFERENTIAL_SEEDS")) {
      unsigned long long from = 0, to = 0;
      if (std::sscanf(given, "%llu-%llu", &from, &to) == 2) first = from, last = to;
    }
    size_t events = 0;
    for (uint64_t seed = first; seed <= last; ++seed) {
      CAPTURE(seed);
      Dice dice(seed);
      client.command({"FLUSHALL"});
      REQUIRE(redis->ask(Command{"FLUSHALL"}).has_value());
      for (int i = 0; i < 1500; ++i) {
        Command command = dice.percent(1) ? Command{"SELECT", dice.pick({"0", "1"})} : command_of(dice);
        const std::string text = text_of(command);
        CAPTURE(i);
        CAPTURE(text);
        const resp::Reply our_reply = client.command(command);
        const auto their_reply = redis->ask(command);
        REQUIRE(their_reply.has_value());
        CAPTURE(to_text(our_reply));
        CAPTURE(to_text(*their_reply));
        client.command({"PUBLISH", "end", ""});
        REQUIRE(redis->ask(Command{"PUBLISH", "end", ""}).has_value());
        const auto expected = theirs.until_end(), heard = ours.until_end();
        const std::string expected_text = text_of(expected), heard_text = text_of(heard);
        REQUIRE(heard_text == expected_text);
        events += expected.size();
      }
    }
    CHECK(events > 5000);
  }
}
