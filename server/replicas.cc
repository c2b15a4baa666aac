#include "server/replicas.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "server/client_stream.h"
#include "server/log.h"
#include "server/server.h"

namespace server {

using replication::PrimarySession;

namespace {
constexpr unsigned kLastWordTicks = 10;  // A second.
constexpr uint64_t kHeldOnFullDiskMax = 64 << 20;
}  // namespace

class Replicas::Stream final : public ClientStream {
 public:
  Stream(Replicas& owner, uint64_t id) : owner_(&owner), id_(id) {}
  void on_input(Client& client) override {
    const std::string_view bytes = client.input.unread();
    client.input.consume(bytes.size());
    client.last_interaction_ms = owner_->server_.wall_ms();
    if (const auto found = owner_->by_id_.find(id_); found != owner_->by_id_.end())
      found->second->session.received(bytes);
  }
  void on_sent(Client&) override {
    const auto found = owner_->by_id_.find(id_);
    if (found == owner_->by_id_.end() || !found->second->session.wants_room()) return;
    // In a turn of its own: this one's sending is under way.
    owner_->server_.env().executor.post(engine::Task([owner = owner_, id = id_] {
      if (const auto one = owner->by_id_.find(id); one != owner->by_id_.end()) one->second->session.pump();
    }));
  }
  void on_gone(Client& client) override {
    if (owner_->by_id_.erase(id_) == 0) return;
    log_notice("Connection with replica %s lost.", client.peer_address().c_str());
    owner_->note_wishes();
    owner_->events_.acknowledged();
  }
  bool to_primary() const override { return false; }

 private:
  Replicas* owner_;
  const uint64_t id_;
};

Replicas::One::One(Client* of, PrimarySession::Peer peer, Replicas& owner)
    : client(of),
      session(owner.server_.env(), owner.server_.engine(), owner.history_, owner.options, std::move(peer)) {}

Replicas::Replicas(Server& server, const replication::History& history, Events events)
    : server_(server), history_(history), events_(std::move(events)) {}

Replicas::~Replicas() = default;

void Replicas::attach(Client& client) {
  const uint64_t id = client.id;
  client.stream = std::make_unique<Stream>(*this, id);
  PrimarySession::Peer peer;
  peer.send = [this, &client](std::string bytes) {
    client.output.append(std::move(bytes));
    server_.output_added(client);
  };
  peer.unsent = [&client] { return client.output.size(); };
  peer.changed = [this, id] { changed(id); };
  peer.take_over = events_.take_over;
  peer.unreadable = [this](engine::Lsn lsn) {
    options.readable_from = std::max(options.readable_from, lsn + 1);
    log_warning("The log cannot be read at LSN %llu: who needs it gets a full copy",
                static_cast<unsigned long long>(lsn));
  };
  by_id_[id] = std::make_unique<One>(&client, std::move(peer), *this);
  log_notice("Replica %s asks for synchronization", client.peer_address().c_str());
}

void Replicas::changed(uint64_t client_id) {
  One& one = *by_id_.at(client_id);
  const PrimarySession& session = one.session;
  if (!session.closed().ok()) {
    log_warning("Replica %s: %s", one.client->peer_address().c_str(), session.closed().message().c_str());
    one.client->close_after_reply();
    server_.output_added(*one.client);
  } else if (!one.counted && session.state() != PrimarySession::State::kWaiting) {
    one.counted = true;
    const std::string& why = session.why_copied();
    ++(why.empty() ? continues : full_copies);
    log_notice("Replica %s %s", one.client->peer_address().c_str(),
               why.empty() ? "continues from its place in the log" : ("gets a checkpoint: " + why).c_str());
  }
  note_wishes();
  events_.acknowledged();
}

void Replicas::note_wishes() {
  uint32_t wanted = 0;
  for (const auto& [id, one] : by_id_) wanted |= one->session.events();
  if (wanted == events_wanted_) return;
  events_wanted_ = wanted;
  events_.wishes_changed();
}

void Replicas::pump() {
  uint64_t due_us = 0;
  for (auto& [id, one] : by_id_) {
    one->session.pump();
    const uint64_t its_us = one->session.due_us();
    if (its_us != 0 && (due_us == 0 || its_us < due_us)) due_us = its_us;
  }
  if (due_us != 0) server_.wake_at(due_us);
}

// The log stays as long as a replica has not got it. One that falls back and back would fill the disk.
void Replicas::let_go_of_slow() {
  const bool full = server_.engine().refusal().code() == engine::Code::kNoSpace;
  for (auto& [id, one] : by_id_) {
    PrimarySession& session = one->session;
    if (!session.closed().ok()) continue;
    const uint64_t held = server_.engine().end() - session.holds_from();
    // Whoever still gets its copy is not sent back to its beginning, unless there is no other way.
    if (full && held > kHeldOnFullDiskMax) {
      session.let_go("the disk is full, and the replica holds back " + std::to_string(held) +
                     " bytes of log");
    } else if (lag_bytes_max != 0 && session.online() && held > lag_bytes_max) {
      session.let_go("the replica holds back " + std::to_string(held) +
                     " bytes of log, more than repl-lag-size-max");
    }
  }
}

void Replicas::tick() {
  let_go_of_slow();
  std::vector<Client*> over;
  for (auto& [id, one] : by_id_) {
    one->session.tick();
    // What it was told last has had its time: a frozen replica takes nothing.
    if (!one->session.closed().ok() && ++one->over_for > kLastWordTicks) over.push_back(one->client);
  }
  for (Client* client : over) client->close();
}

void Replicas::publish(const replication::Published& message) {
  for (auto& [id, one] : by_id_) one->session.publish(message);
}

void Replicas::tell(const replication::Event& event) {
  for (auto& [id, one] : by_id_) one->session.tell(event);
}

void Replicas::drop_all() {
  while (!by_id_.empty()) by_id_.begin()->second->client->close();  // Comes back through on_gone().
}

size_t Replicas::online() const {
  return static_cast<size_t>(std::count_if(by_id_.begin(), by_id_.end(),
                                           [](const auto& of) { return of.second->session.online(); }));
}

size_t Replicas::good(uint64_t max_lag_us) const {
  const uint64_t now = server_.env().clock.monotonic_us();
  return static_cast<size_t>(std::count_if(by_id_.begin(), by_id_.end(), [&](const auto& of) {
    const PrimarySession& session = of.second->session;
    return session.online() && now - session.last_ack_us() <= max_lag_us;
  }));
}

size_t Replicas::count(engine::Lsn lsn, bool synced) const {
  return static_cast<size_t>(std::count_if(by_id_.begin(), by_id_.end(), [&](const auto& of) {
    const PrimarySession& session = of.second->session;
    return session.online() && (synced ? session.ack().synced : session.ack().written) >= lsn;
  }));
}

engine::Lsn Replicas::reached_by(size_t k, bool synced) const {
  std::vector<engine::Lsn> reached;
  for (const auto& [id, one] : by_id_) {
    if (one->session.online())
      reached.push_back(synced ? one->session.ack().synced : one->session.ack().written);
  }
  if (reached.size() < k) return 0;
  std::nth_element(reached.begin(), reached.begin() + static_cast<ptrdiff_t>(k) - 1, reached.end(),
                   std::greater<>());
  return reached[k - 1];
}

std::string peer_ip(const Client& client) {
  const std::string& address = client.peer_address();
  std::string ip = address.substr(0, address.rfind(':'));
  if (ip.size() > 2 && ip.front() == '[') ip = ip.substr(1, ip.size() - 2);
  return ip;
}

std::string replica_ip(const Client& client, const PrimarySession& session) {
  return session.hello().announce_ip.empty() ? peer_ip(client) : session.hello().announce_ip;
}

const char* replica_state(const PrimarySession& session) {
  switch (session.state()) {
    case PrimarySession::State::kWaiting:
    case PrimarySession::State::kOffering:
    case PrimarySession::State::kOffered: return "wait_bgsave";
    case PrimarySession::State::kTables: return "send_bulk";
    case PrimarySession::State::kStreaming: return session.online() ? "online" : "send_bulk";
  }
  return "online";
}

}  // namespace server
