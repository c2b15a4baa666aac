#include "server/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>

#include "server/key_watch.h"
#include "server/transaction.h"

namespace server {
namespace {

constexpr size_t kBlocksPerWrite = 64;

// "ADDRESS:PORT", IPv6 in brackets, as CLIENT LIST prints it.
std::string address_text(const sockaddr_storage& address, bool* loopback) {
  char text[INET6_ADDRSTRLEN] = "?";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
    *loopback = (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
    return std::string(text) + ":" + std::to_string(ntohs(v4.sin_port));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
  *loopback = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) ||
              (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) && v6.sin6_addr.s6_addr[12] == 127);
  return std::string("[").append(text).append("]:") + std::to_string(ntohs(v6.sin6_port));
}

}  // namespace

Client::Client(uv_loop_t* loop, int fd, uint64_t client_id, ClientOwner& owner)
    : id(client_id), reply(output), owner_(owner), fd_(fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  if (address.ss_family == AF_UNIX) {
    unix_socket_ = loopback_ = true;
    local_address_ = std::string(reinterpret_cast<sockaddr_un&>(address).sun_path) + ":0";
    peer_address_ = local_address_;
  } else {
    bool local_loopback = false;
    local_address_ = address_text(address, &local_loopback);
    size = sizeof(address);
    ::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size);
    peer_address_ = address_text(address, &loopback_);
  }
  INVARIANT(uv_poll_init(loop, &poll_, fd) == 0);
  poll_.data = this;
  read_on(true);
}

Client::~Client() { INVARIANT(handle_closed_); }

void Client::read_on(bool wanted) {
  if (want_read_ == wanted || closed_) return;
  want_read_ = wanted;
  update_poll();
}

void Client::watch_for_end(bool wanted) {
  if (watch_for_end_ == wanted || closed_) return;
  watch_for_end_ = wanted;
  update_poll();
}

void Client::update_poll() {
  if (closed_) return;
  const int events =
      (want_read_ ? UV_READABLE : 0) | (want_write_ ? UV_WRITABLE : 0) | (watch_for_end_ ? UV_DISCONNECT : 0);
  if (events == polled_events_) return;
  polled_events_ = events;
  if (events == 0) {
    uv_poll_stop(&poll_);
  } else {
    uv_poll_start(&poll_, events, [](uv_poll_t* handle, int status, int happened) {
      static_cast<Client*>(handle->data)->on_poll(status, happened);
    });
  }
}

void Client::on_poll(int status, int events) {
  if (status < 0) return close();
  if ((events & UV_DISCONNECT) && watch_for_end_) return close();
  if (events & UV_WRITABLE) {
    want_write_ = false;
    update_poll();
    owner_.on_writable(*this);
  }
  if ((events & UV_READABLE) && want_read_ && !closed_) on_readable();
}

void Client::on_readable() {
  const std::span<char> room = input.room(parser.wanted());
  const ssize_t n = ::read(fd_, room.data(), room.size());
  if (n > 0) {
    input.received(static_cast<size_t>(n));
    owner_.on_input(*this, static_cast<size_t>(n));
    return;
  }
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  // The peer has said all that it had to say, or is gone. It may still be listening: what it asked for is
  // answered (under `always` the answer may be waiting for the disk), and if nobody listens the write fails.
  if (n == 0 && !output.empty()) {
    read_on(false);
    close_after_reply();
    owner_.on_writable(*this);
    return;
  }
  close();
}

Client::Sent Client::send(const CommitPoint& commit) {
  if (closed_) return Sent::kGone;
  if (want_write_) return Sent::kSome;
  const uint64_t until = gate.open_until(commit, output.end_position());
  std::array<std::string_view, kBlocksPerWrite> blocks;
  std::array<iovec, kBlocksPerWrite> vectors;
  while (output.begin_position() < until) {
    const size_t count = output.blocks(blocks, until - output.begin_position());
    size_t bytes = 0;
    for (size_t i = 0; i < count; ++i) {
      vectors[i] = {const_cast<char*>(blocks[i].data()), blocks[i].size()};
      bytes += blocks[i].size();
    }
    const ssize_t n = count == 1 ? ::write(fd_, vectors[0].iov_base, vectors[0].iov_len)
                                 : ::writev(fd_, vectors.data(), static_cast<int>(count));
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        want_write_ = true;
        update_poll();
        return Sent::kSome;
      }
      close();
      return Sent::kGone;
    }
    output.consume(static_cast<size_t>(n));
    bytes_out += static_cast<uint64_t>(n);
    if (static_cast<size_t>(n) < bytes) {
      want_write_ = true;
      update_poll();
      return Sent::kSome;
    }
  }
  if (!output.empty()) return Sent::kSome;
  if (close_after_reply_ && requests.empty() && !waiting) {
    close();
    return Sent::kGone;
  }
  return Sent::kAll;
}

void Client::close() {
  if (closed_) return;
  closed_ = true;
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_), [](uv_handle_t* handle) {
    auto* self = static_cast<Client*>(handle->data);
    self->handle_closed_ = true;
    self->owner_.on_gone(*self);
  });
  ::close(fd_);
  owner_.on_gone(*this);
}

}  // namespace server
