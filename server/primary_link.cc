#include "server/primary_link.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "replication/protocol.h"
#include "resp/reply_parser.h"
#include "server/authorize.h"
#include "server/client_stream.h"
#include "server/server.h"

namespace server {
namespace {

std::string request(std::initializer_list<std::string_view> words) {
  std::string text = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string_view word : words)
    text += "$" + std::to_string(word.size()) + "\r\n" + std::string(word) + "\r\n";
  return text;
}

}  // namespace

struct PrimaryLink::Lookup {
  uv_getaddrinfo_t request{};
  PrimaryLink* link = nullptr;  // Null: nobody waits any more.
};

struct PrimaryLink::Attempt {
  uv_poll_t poll{};
  int fd = -1;
  PrimaryLink* link = nullptr;

  void give_up(bool keep_socket) {
    link = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&poll),
             [](uv_handle_t* handle) { delete static_cast<Attempt*>(handle->data); });
    if (!keep_socket) ::close(fd);
  }
};

// Reads the answers to the introduction, then passes bytes on.
class PrimaryLink::Stream final : public ClientStream {
 public:
  Stream(PrimaryLink& link, int answers) : link_(&link), answers_(answers) {}

  void on_input(Client& client) override {
    while (link_ && answers_ > 0) {
      switch (parser_.next(client.input)) {
        case resp::ReplyParser::Outcome::kNeedMore: return;
        case resp::ReplyParser::Outcome::kError: return refuse("its answer is not RESP");
        case resp::ReplyParser::Outcome::kReply: break;
      }
      if (answers_ == 1 && parser_.reply().text.starts_with("ERR unknown command")) {
        answers_ = 0;
        link_->events_.on_stranger();
        break;
      }
      if (parser_.reply().is_error()) return refuse("it answers: " + parser_.reply().text);
      if (--answers_ == 0) link_->events_.on_ready();
    }
    if (!link_ || client.input.empty()) return;
    const std::string_view bytes = client.input.unread();
    client.input.consume(bytes.size());
    link_->events_.on_bytes(bytes);
    if (link_) client.read_on(link_->events_.wants_input());
  }
  void on_gone(Client&) override {
    if (PrimaryLink* link = std::exchange(link_, nullptr)) {
      link->client_ = nullptr;
      link->end("the connection is closed");
    }
  }
  bool to_primary() const override { return true; }
  void forget() { link_ = nullptr; }

 private:
  void refuse(const std::string& why) {
    PrimaryLink& link = *link_;
    link.close();
    link.end(why);
  }
  PrimaryLink* link_;
  int answers_;
  resp::ReplyParser parser_;
};

PrimaryLink::PrimaryLink(Server& server, uv_loop_t* loop, Events events)
    : server_(server), loop_(loop), events_(std::move(events)) {}

PrimaryLink::~PrimaryLink() { close(); }

void PrimaryLink::open(const std::string& host, int port) {
  close();
  lookup_ = new Lookup;
  lookup_->link = this;
  lookup_->request.data = lookup_;
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  const int status = uv_getaddrinfo(
      loop_, &lookup_->request,
      [](uv_getaddrinfo_t* done, int result, addrinfo* found) {
        auto* lookup = static_cast<Lookup*>(done->data);
        if (PrimaryLink* link = lookup->link) {
          link->addresses_ = found;
          link->looked_up(*lookup, result);
        } else {
          uv_freeaddrinfo(found);
        }
        delete lookup;
      },
      host.c_str(), std::to_string(port).c_str(), &hints);
  if (status == 0) return;
  delete std::exchange(lookup_, nullptr);
  end(uv_strerror(status));
}

void PrimaryLink::looked_up(Lookup&, int status) {
  lookup_ = nullptr;
  if (status != 0) return end(uv_strerror(status));
  next_ = addresses_;
  try_next("it has no address");
}

void PrimaryLink::try_next(const std::string& failure) {
  if (next_ == nullptr) return end(failure);
  const addrinfo& address = *std::exchange(next_, next_->ai_next);
  const int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return try_next(std::strerror(errno));
  const int yes = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
  if (::connect(fd, address.ai_addr, address.ai_addrlen) != 0 && errno != EINPROGRESS) {
    const int error = errno;
    ::close(fd);
    return try_next(std::strerror(error));
  }
  attempt_ = new Attempt;
  attempt_->fd = fd;
  attempt_->link = this;
  attempt_->poll.data = attempt_;
  INVARIANT(uv_poll_init(loop_, &attempt_->poll, fd) == 0);
  uv_poll_start(&attempt_->poll, UV_WRITABLE, [](uv_poll_t* handle, int, int) {
    auto* attempt = static_cast<Attempt*>(handle->data);
    PrimaryLink* link = attempt->link;
    if (link == nullptr) return;
    int error = 0;
    socklen_t size = sizeof(error);
    ::getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    const int socket = attempt->fd;
    link->attempt_ = nullptr;
    uv_poll_stop(&attempt->poll);
    attempt->give_up(error == 0);
    if (error != 0) return link->try_next(std::strerror(error));
    link->connected(socket);
  });
}

void PrimaryLink::connected(int fd) {
  uv_freeaddrinfo(std::exchange(addresses_, nullptr));
  // The handle that waited for the socket is still on its way out: libuv wants one handle a descriptor.
  const int own = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  ::close(fd);
  if (own < 0) return end(std::strerror(errno));
  Client& client = server_.clients().add(loop_, own, server_);
  client.created_ms = client.last_interaction_ms = server_.wall_ms();
  become_default_user(server_, client.session);
  client.session.authenticated = true;
  const Settings& settings = server_.settings();
  std::string text;
  const bool authenticates = !settings.masterauth.empty();
  if (authenticates && settings.masteruser.empty()) text = request({"AUTH", settings.masterauth});
  if (authenticates && !settings.masteruser.empty())
    text = request({"AUTH", settings.masteruser, settings.masterauth});
  text += request({replication::kSyncCommand});
  client.stream = std::make_unique<Stream>(*this, authenticates ? 2 : 1);
  client_ = &client;
  send(text);
}

void PrimaryLink::send(std::string_view bytes) {
  if (client_ == nullptr) return;
  client_->reply.raw(bytes);
  server_.output_added(*client_);
}

void PrimaryLink::read_on() {
  if (client_ != nullptr && events_.wants_input()) client_->read_on(true);
}

void PrimaryLink::close() {
  if (lookup_ != nullptr) {
    lookup_->link = nullptr;
    uv_cancel(reinterpret_cast<uv_req_t*>(&lookup_->request));
    lookup_ = nullptr;
  }
  if (attempt_ != nullptr) std::exchange(attempt_, nullptr)->give_up(false);
  if (addresses_ != nullptr) uv_freeaddrinfo(std::exchange(addresses_, nullptr));
  next_ = nullptr;
  if (Client* client = std::exchange(client_, nullptr)) {
    static_cast<Stream&>(*client->stream).forget();
    client->close();
  }
}

void PrimaryLink::end(const std::string& why) {
  if (addresses_ != nullptr) uv_freeaddrinfo(std::exchange(addresses_, nullptr));
  next_ = nullptr;
  events_.on_end(why);
}

}  // namespace server
