#include "server/migration.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <string_view>

#include "resp/input_buffer.h"
#include "resp/reply_parser.h"

namespace server {
namespace {

constexpr const char* kNotConnected = "IOERR error or timeout connecting to the client";
constexpr const char* kNotWritten = "IOERR error or timeout writing to target instance";
constexpr const char* kNotRead = "IOERR error or timeout reading to target instance";

class Connection {
 public:
  explicit Connection(int timeout_ms) : timeout_ms_(timeout_ms) {}
  ~Connection() {
    if (fd_ >= 0) ::close(fd_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool open(const std::string& host, const std::string& port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return false;
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(found, &::freeaddrinfo);
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
      fd_ = ::socket(one->ai_family, one->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, one->ai_protocol);
      if (fd_ < 0) continue;
      if (::connect(fd_, one->ai_addr, one->ai_addrlen) == 0) return true;
      int error = 0;
      socklen_t size = sizeof(error);
      if (errno == EINPROGRESS && ready(POLLOUT) &&
          ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
        return true;
      ::close(fd_);
      fd_ = -1;
    }
    return false;
  }

  // Whether the other end is this machine at that port: the server that asks.
  bool leads_to(int port) const {
    char here[NI_MAXHOST], there[NI_MAXHOST], service[NI_MAXSERV];
    sockaddr_storage local{}, peer{};
    socklen_t local_size = sizeof(local), peer_size = sizeof(peer);
    constexpr int kNumbers = NI_NUMERICHOST | NI_NUMERICSERV;
    return ::getsockname(fd_, reinterpret_cast<sockaddr*>(&local), &local_size) == 0 &&
           ::getpeername(fd_, reinterpret_cast<sockaddr*>(&peer), &peer_size) == 0 &&
           ::getnameinfo(reinterpret_cast<sockaddr*>(&local), local_size, here, sizeof(here), nullptr, 0,
                         kNumbers) == 0 &&
           ::getnameinfo(reinterpret_cast<sockaddr*>(&peer), peer_size, there, sizeof(there), service,
                         sizeof(service), kNumbers) == 0 &&
           std::string_view(here) == there && std::to_string(port) == service;
  }

  bool write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent > 0)
        bytes.remove_prefix(static_cast<size_t>(sent));
      else if (sent == 0 || (errno != EAGAIN && errno != EINTR) || !ready(POLLOUT))
        return false;
    }
    return true;
  }

  std::optional<resp::Reply> read() {
    for (;;) {
      switch (parser_.next(input_)) {
        case resp::ReplyParser::Outcome::kReply: return std::move(parser_.reply());
        case resp::ReplyParser::Outcome::kError: return std::nullopt;
        case resp::ReplyParser::Outcome::kNeedMore: break;
      }
      char bytes[4096];
      const ssize_t got = ::recv(fd_, bytes, sizeof(bytes), 0);
      if (got > 0)
        input_.append({bytes, static_cast<size_t>(got)});
      else if (got == 0 || (errno != EAGAIN && errno != EINTR) || !ready(POLLIN))
        return std::nullopt;
    }
  }

 private:
  bool ready(short events) {
    using Clock = std::chrono::steady_clock;
    const auto until = Clock::now() + std::chrono::milliseconds(timeout_ms_);
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
      pollfd one{fd_, events, 0};
      const int found = ::poll(&one, 1, left > 0 ? static_cast<int>(left) : 0);
      if (found > 0) return true;
      if (found == 0 || errno != EINTR) return false;
    }
  }

  const int timeout_ms_;
  int fd_ = -1;
  resp::InputBuffer input_;
  resp::ReplyParser parser_;
};

std::string request(const std::vector<std::string_view>& words) {
  std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string_view word : words) {
    bytes += "$" + std::to_string(word.size()) + "\r\n";
    bytes += word;
    bytes += "\r\n";
  }
  return bytes;
}

}  // namespace

std::optional<std::string> send_keys(const MigrationTarget& target, std::vector<MigratedKey>* keys) {
  Connection connection(target.timeout_ms);
  if (!connection.open(target.host, target.port)) return kNotConnected;
  // A key restored over itself and then deleted would be gone.
  if (connection.leads_to(target.own_port)) return "ERR the target instance is this server";
  std::optional<std::string> error;
  const auto check = [&](const resp::Reply& reply) {
    if (reply.is_error() && !error) error = "ERR Target instance replied with error: " + reply.text;
    return !reply.is_error();
  };

  std::vector<std::string> first;
  if (!target.auth.empty()) {
    std::vector<std::string_view> words = {"AUTH"};
    words.insert(words.end(), target.auth.begin(), target.auth.end());
    first.push_back(request(words));
  }
  const std::string database = std::to_string(target.database);
  first.push_back(request({"SELECT", database}));
  for (const std::string& bytes : first) {
    if (!connection.write(bytes)) return kNotWritten;
    const auto reply = connection.read();
    if (!reply) return kNotRead;
    // Without these, keys would land where nobody wants them.
    if (!check(*reply)) return error;
  }
  // One after the other: a pipeline of large values in both directions could stand still.
  for (MigratedKey& key : *keys) {
    const std::string ttl = std::to_string(key.ttl_ms);
    std::vector<std::string_view> words = {"RESTORE", key.key, ttl, key.payload};
    if (target.replace) words.emplace_back("REPLACE");
    if (!connection.write(request(words))) return kNotWritten;
    const auto reply = connection.read();
    if (!reply) return kNotRead;
    key.taken = check(*reply);
  }
  return error;
}

}  // namespace server
