#include "tests/support/link_proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

namespace support {
namespace {

constexpr size_t kChunkBytes = 64 << 10;
constexpr size_t kWaitingMax = 1 << 20;  // Of a way; then the sender feels it.

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

void prepare(int fd) {
  const int yes = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
}

bool would_block() { return errno == EAGAIN || errno == EINTR; }

}  // namespace

struct LinkProxy::Link {
  Link(int client, int target) {
    there.from = back.to = client;
    there.to = back.from = target;
  }
  ~Link() {
    ::close(there.from);
    ::close(there.to);
  }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  Way there, back;
};

LinkProxy::LinkProxy(int target_port) : target_port_(target_port) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in address = loopback(0);
  socklen_t length = sizeof address;
  if (listener_ < 0 || ::bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::listen(listener_, 16) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0 ||
      ::pipe2(wake_, O_CLOEXEC | O_NONBLOCK) != 0)
    throw std::runtime_error("no proxy");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

LinkProxy::~LinkProxy() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake();
  thread_.join();
  links_.clear();
  for (const int fd : {listener_, wake_[0], wake_[1]}) ::close(fd);
}

void LinkProxy::wake() {
  [[maybe_unused]] const ssize_t n = ::write(wake_[1], "!", 1);  // Full: it wakes up anyway.
}

void LinkProxy::aim(int target_port) {
  const std::lock_guard lock(mutex_);
  target_port_ = target_port;
  links_.clear();
  wake();
}

void LinkProxy::cut() {
  const std::lock_guard lock(mutex_);
  links_.clear();
  wake();
}

void LinkProxy::cut_after(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  cut_at_ = bytes == 0 ? 0 : from_target_ + bytes;
}

void LinkProxy::freeze(bool frozen) {
  const std::lock_guard lock(mutex_);
  frozen_ = frozen;
  wake();
}

void LinkProxy::delay(std::chrono::milliseconds by) {
  const std::lock_guard lock(mutex_);
  delay_ = by;
  wake();
}

void LinkProxy::heal() {
  const std::lock_guard lock(mutex_);
  frozen_ = false;
  delay_ = {};
  cut_at_ = 0;
  wake();
}

void LinkProxy::accept_one() {
  const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return;
  const int target = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(target_port_);
  if (target < 0 || ::connect(target, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(client);
    if (target >= 0) ::close(target);
    return;
  }
  prepare(client);
  prepare(target);
  links_.push_back(std::make_unique<Link>(client, target));
}

// False: the link is to be cut.
bool LinkProxy::read(Way& way, bool from_target) {
  std::string bytes(kChunkBytes, '\0');
  const ssize_t n = ::recv(way.from, bytes.data(), bytes.size(), 0);
  if (n < 0) return would_block();
  if (n == 0) {
    way.ended = true;
    return true;
  }
  bytes.resize(static_cast<size_t>(n));
  way.waiting_bytes += bytes.size();
  way.pieces.push_back({Clock::now() + delay_, std::move(bytes)});
  if (!from_target) return true;
  from_target_ += static_cast<uint64_t>(n);
  if (cut_at_ == 0 || from_target_ < cut_at_) return true;
  cut_at_ = 0;
  ++cuts_;
  return false;
}

bool LinkProxy::write(Way& way) {
  while (!way.pieces.empty() && way.pieces.front().due <= Clock::now()) {
    std::string& bytes = way.pieces.front().bytes;
    const ssize_t n = ::send(way.to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0) return would_block();
    way.waiting_bytes -= static_cast<size_t>(n);
    bytes.erase(0, static_cast<size_t>(n));
    if (!bytes.empty()) return true;
    way.pieces.pop_front();
  }
  return !(way.ended && way.pieces.empty());
}

void LinkProxy::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    // What happened while it was not looking is settled without asking poll() which: sockets say so soon.
    if (!frozen_) {
      accept_one();
      std::erase_if(links_, [this](const std::unique_ptr<Link>& link) {
        for (Way* way : {&link->there, &link->back}) {
          if (!way->ended && way->waiting_bytes < kWaitingMax && !read(*way, way == &link->back)) return true;
          if (!write(*way)) return true;
        }
        return false;
      });
    }
    std::vector<pollfd> watched{{wake_[0], POLLIN, 0}};
    int wait_ms = 1000;
    if (!frozen_) {
      watched.push_back({listener_, POLLIN, 0});
      for (const auto& link : links_) {
        for (const Way* way : {&link->there, &link->back}) {
          if (!way->ended && way->waiting_bytes < kWaitingMax) watched.push_back({way->from, POLLIN, 0});
          if (way->pieces.empty()) continue;
          const auto until_due =
              std::chrono::ceil<std::chrono::milliseconds>(way->pieces.front().due - Clock::now());
          if (until_due.count() <= 0)
            watched.push_back({way->to, POLLOUT, 0});
          else
            wait_ms = std::min(wait_ms, static_cast<int>(until_due.count()));
        }
      }
    }
    lock.unlock();
    ::poll(watched.data(), watched.size(), wait_ms);
    char ignored[64];
    while (::read(wake_[0], ignored, sizeof ignored) > 0) {
    }
    lock.lock();
  }
}

}  // namespace support
