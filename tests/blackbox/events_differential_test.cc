// Keyspace events beside redis-server: the same random commands, and what a listener hears of them.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/blackbox/random_commands.h"

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
        Command command = dice.percent(1) ? Command{"SELECT", dice.pick({"0", "1"})} : random_command(dice);
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
