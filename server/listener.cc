#include "server/listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "server/log.h"

namespace server {
namespace {

// Of one door per turn; the rest comes with the next, so that connected clients are served in between.
constexpr int kAcceptsPerTurn = 128;

engine::Status system_error(const std::string& what) {
  return {engine::Code::kIoError, what + ": " + std::strerror(errno)};
}

}  // namespace

struct Listeners::Door {
  uv_poll_t poll{};
  int fd = -1;
  bool unix_socket = false;
  Listeners* listeners = nullptr;

  void on_ready() const {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
      const int client = ::accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (client < 0) {
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno != EAGAIN) log_warning("Accepting client connection: accept: %s", std::strerror(errno));
        return;
      }
      listeners->owner_.on_connection(client, unix_socket);
      if (listeners->tcp_.empty() && listeners->unix_.empty()) return;  // Closed by what it called.
    }
  }
};

Listeners::~Listeners() { close(); }

void Listeners::accept_waiting() {
  const std::vector<Door*> tcp = tcp_, unix_doors = unix_;
  for (const Door* door : tcp) door->on_ready();
  for (const Door* door : unix_doors) door->on_ready();
}

engine::Status Listeners::open(const Settings& settings) {
  if (settings.port != 0) {
    if (auto status = open_tcp(settings, &tcp_, &tcp_addresses_); !status.ok()) return status;
  }
  if (!settings.unixsocket.empty()) {
    if (auto status = open_unix(settings); !status.ok()) return status;
  }
  if (tcp_.empty() && unix_.empty()) {
    return {engine::Code::kInvalid, "Configured to not listen anywhere, exiting."};
  }
  return {};
}

engine::Status Listeners::reopen_tcp(const Settings& settings) {
  // The old doors first: the new ones may overlap with them ("*" and "127.0.0.1").
  std::vector<Door*> old = std::exchange(tcp_, {});
  std::vector<Door*> opened;
  std::vector<std::string> names;
  for (Door* door : old) close_door(door);
  if (settings.port != 0) {
    if (auto status = open_tcp(settings, &opened, &names); !status.ok()) {
      for (Door* door : opened) close_door(door);
      return status;
    }
  }
  tcp_ = std::move(opened);
  tcp_addresses_ = std::move(names);
  return {};
}

engine::Status Listeners::open_tcp(const Settings& settings, std::vector<Door*>* opened,
                                   std::vector<std::string>* names) {
  for (std::string address : settings.bind) {
    const bool optional = address.starts_with('-');
    if (optional) address.erase(0, 1);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;
    hints.ai_family = AF_UNSPEC;
    const bool all_v4 = address == "*", all_v6 = address == "::*";
    if (all_v4) hints.ai_family = AF_INET;
    if (all_v6) hints.ai_family = AF_INET6;
    addrinfo* found = nullptr;
    const std::string port = std::to_string(settings.port);
    const char* host = all_v4 || all_v6 ? nullptr : address.c_str();
    const int failure = ::getaddrinfo(host, port.c_str(), &hints, &found);
    int fd = -1;
    int error = failure == 0 ? 0 : EADDRNOTAVAIL;
    std::string reason = failure == 0 ? "" : ::gai_strerror(failure);
    for (const addrinfo* at = found; at != nullptr && fd < 0; at = at->ai_next) {
      fd = ::socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      if (fd < 0) {
        error = errno;
        continue;
      }
      const int yes = 1;
      ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
      if (at->ai_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
      if (::bind(fd, at->ai_addr, at->ai_addrlen) != 0 || ::listen(fd, settings.tcp_backlog) != 0) {
        error = errno;
        ::close(fd);
        fd = -1;
      }
    }
    if (found) ::freeaddrinfo(found);
    if (fd >= 0) {
      opened->push_back(add_door(fd, false));
      names->push_back((address.find(':') != std::string::npos ? "[" + address + "]" : address) + ":" + port);
      continue;
    }
    if (reason.empty()) reason = std::strerror(error);
    const std::string sentence =
        "Could not create server TCP listening socket " + address + ":" + port + ": " + reason;
    // An address that this machine does not have is what '-' is for; one that is taken is never passed over.
    const bool missing = error == EADDRNOTAVAIL || error == ENOPROTOOPT || error == EPROTONOSUPPORT ||
                         error == ESOCKTNOSUPPORT || error == EPFNOSUPPORT || error == EAFNOSUPPORT;
    if (optional && missing) {
      log_warning("Warning: %s", sentence.c_str());
      continue;
    }
    return {engine::Code::kIoError,
            "Failed listening on port " + port + " (TCP): " + sentence +
                (error == EADDRINUSE ? ". Is a server running there? --port chooses another port." : "")};
  }
  return {};
}

engine::Status Listeners::open_unix(const Settings& settings) {
  const std::string& path = settings.unixsocket;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return {engine::Code::kInvalid, "The path of the unix socket is too long: " + path};
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  ::unlink(path.c_str());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return system_error("Failed opening Unix socket " + path);
  // The mode is right from the first moment on: a chmod() after bind() would leave a gap in which
  // anybody may connect (CVE-2023-45145).
  const mode_t wanted = settings.unixsocketperm;
  mode_t old_mask = 0;
  if (wanted != 0) old_mask = ::umask(~wanted & 0777);
  const int bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address));
  const int error = errno;
  if (wanted != 0) {
    ::umask(old_mask);
    if (bound == 0) ::chmod(path.c_str(), wanted);
  }
  if (bound != 0 || ::listen(fd, settings.tcp_backlog) != 0) {
    errno = bound != 0 ? error : errno;
    auto status = system_error("Failed opening Unix socket " + path);
    ::close(fd);
    return status;
  }
  unix_path_ = path;
  unix_.push_back(add_door(fd, true));
  return {};
}

Listeners::Door* Listeners::add_door(int fd, bool unix_socket) {
  auto* door = new Door;  // Deleted by close_door()'s callback.
  door->fd = fd;
  door->unix_socket = unix_socket;
  door->listeners = this;
  door->poll.data = door;
  INVARIANT(uv_poll_init(loop_, &door->poll, fd) == 0);
  uv_poll_start(&door->poll, UV_READABLE,
                [](uv_poll_t* handle, int, int) { static_cast<Door*>(handle->data)->on_ready(); });
  return door;
}

void Listeners::close_door(Door* door) {
  uv_close(reinterpret_cast<uv_handle_t*>(&door->poll),
           [](uv_handle_t* handle) { delete static_cast<Door*>(handle->data); });
  ::close(door->fd);
}

void Listeners::close() {
  for (Door* door : std::exchange(tcp_, {})) close_door(door);
  for (Door* door : std::exchange(unix_, {})) close_door(door);
  if (!unix_path_.empty()) ::unlink(unix_path_.c_str());
  unix_path_.clear();
  tcp_addresses_.clear();
}

}  // namespace server
