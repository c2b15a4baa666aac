#include "tests/support/client.h"

#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace support {
namespace {

constexpr timeval kPatience = {60, 0};

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error("client: " + what); }

resp::Reply reply_of(const redisReply& from) {
  using Kind = resp::Reply::Kind;
  resp::Reply reply;
  switch (from.type) {
    case REDIS_REPLY_STATUS: reply.kind = Kind::kSimple; break;
    case REDIS_REPLY_ERROR: reply.kind = Kind::kError; break;
    case REDIS_REPLY_STRING: reply.kind = Kind::kBulk; break;
    case REDIS_REPLY_NIL: return reply;
    case REDIS_REPLY_INTEGER:
      reply.kind = Kind::kInteger;
      reply.integer = from.integer;
      return reply;
    case REDIS_REPLY_ARRAY:
      reply.kind = Kind::kArray;
      for (size_t i = 0; i < from.elements; ++i) reply.items.push_back(reply_of(*from.element[i]));
      return reply;
    default: fail("a reply of an unknown type");
  }
  reply.text.assign(from.str, static_cast<size_t>(from.len));
  return reply;
}

int connected(int domain, const sockaddr* address, socklen_t length) {
  const int fd = ::socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ::connect(fd, address, length) != 0) fail(std::string("connect: ") + std::strerror(errno));
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  return fd;
}

}  // namespace

HiredisClient::HiredisClient(const ServerProcess& server)
    : context_(redisConnectWithTimeout("127.0.0.1", server.port(), kPatience)) {
  if (context_ == nullptr) fail("no memory");
  if (context_->err != 0) {
    const std::string what = context_->errstr;
    redisFree(context_);
    fail("connect: " + what);
  }
  redisSetTimeout(context_, kPatience);
}

HiredisClient::~HiredisClient() { redisFree(context_); }

resp::Reply HiredisClient::command(const Command& words) {
  append(words);
  return read();
}

std::vector<resp::Reply> HiredisClient::pipeline(const std::vector<Command>& commands) {
  for (const Command& words : commands) append(words);
  std::vector<resp::Reply> replies;
  for (size_t i = 0; i < commands.size(); ++i) replies.push_back(read());
  return replies;
}

void HiredisClient::append(const Command& words) {
  std::vector<const char*> argv;
  std::vector<size_t> lengths;
  for (const std::string& word : words) {
    argv.push_back(word.data());
    lengths.push_back(word.size());
  }
  if (redisAppendCommandArgv(context_, static_cast<int>(words.size()), argv.data(), lengths.data()) !=
      REDIS_OK) {
    fail(context_->errstr);
  }
}

resp::Reply HiredisClient::read() {
  void* raw = nullptr;
  if (redisGetReply(context_, &raw) != REDIS_OK) fail(context_->errstr);
  resp::Reply reply = reply_of(*static_cast<redisReply*>(raw));
  freeReplyObject(raw);
  return reply;
}

Client Client::over_tcp(const ServerProcess& server) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(server.port()));
  const int fd = connected(AF_INET, reinterpret_cast<sockaddr*>(&address), sizeof address);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return Client(fd);
}

Client Client::over_unix_socket(const ServerProcess& server) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = server.unix_socket();
  if (path.size() >= sizeof address.sun_path) fail("the socket's path is too long");
  std::memcpy(address.sun_path, path.c_str(), path.size());
  return Client(connected(AF_UNIX, reinterpret_cast<sockaddr*>(&address), sizeof address));
}

Client::~Client() {
  if (fd_ >= 0) ::close(fd_);
}

Client::Client(Client&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      in_(std::move(other.in_)),
      parser_(std::move(other.parser_)),
      pushes_(std::move(other.pushes_)) {}

resp::Reply Client::command(const Command& words) {
  send(words);
  return read();
}

void Client::send_raw(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(std::string("send: ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

resp::Reply Client::read() {
  for (;;) {
    resp::Reply reply = read_any();
    if (reply.kind != resp::Reply::Kind::kPush) return reply;
    pushes_.push_back(std::move(reply));
  }
}

resp::Reply Client::read_push() {
  if (pushes_.empty()) {
    resp::Reply reply = read_any();
    if (reply.kind != resp::Reply::Kind::kPush) fail("expected a push, got " + resp::to_text(reply));
    return reply;
  }
  resp::Reply reply = std::move(pushes_.front());
  pushes_.erase(pushes_.begin());
  return reply;
}

bool Client::closed_by_server() { return in_->empty() && !fill(); }

void Client::shutdown_writing() { ::shutdown(fd_, SHUT_WR); }

std::string Client::encode(const Command& words) {
  std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) bytes += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  return bytes;
}

// Reads some bytes; false at the end of the stream (a reset ends it too).
bool Client::fill() {
  for (;;) {
    const std::span<char> room = in_->room(parser_.wanted());
    const ssize_t n = ::recv(fd_, room.data(), room.size(), 0);
    if (n > 0) {
      in_->received(static_cast<size_t>(n));
      return true;
    }
    if (n == 0 || errno == ECONNRESET) return false;
    if (errno != EINTR) fail(std::string("receive: ") + std::strerror(errno));
  }
}

resp::Reply Client::read_any() {
  for (;;) {
    switch (parser_.next(*in_)) {
      case resp::ReplyParser::Outcome::kReply: return std::move(parser_.reply());
      case resp::ReplyParser::Outcome::kError:
        fail("the server sent no RESP: " + std::string(parser_.error()));
      case resp::ReplyParser::Outcome::kNeedMore:
        if (!fill()) fail("the server closed the connection");
    }
  }
}

}  // namespace support
