#include "tests/replication/cluster.h"

#include <algorithm>

namespace replication_test {

Node::Node(Cluster& cluster, int the_number, uint64_t seed)
    : number(the_number), world(std::make_unique<SimWorld>(seed)), cluster_(cluster) {
  replica_options_.timeout_us = primary_options_.timeout_us = cluster.options.timeout_ms * 1000;
  primary_options_.ping_period_us = cluster.options.timeout_ms * 250;
  replica_options_.ack_period_us = cluster.options.timeout_ms * 200;
  primary_options_.checkpoint_bytes_per_second = cluster.options.checkpoint_bytes_per_second;
  primary_options_.prompt = cluster.options.prompt;
  replica_options_.retry_us = 20'000;
  replica_options_.retry_max_us = 500'000;
}

Status Node::start() {
  EngineOptions options;
  options.directory = "/db";
  options.memory_bytes = 1 << 20;
  options.memtable_bytes = 4 << 10;
  options.log_segment_bytes = 16 << 10;
  options.log_keep_bytes = cluster_.options.log_keep_bytes;
  options.reserve_bytes = 0;
  options.block_bytes = 512;
  options.sync = cluster_.options.policy;
  LogRecovery recovery;
  auto opened = Engine::open(world->env, options, schema_, &recovery);
  if (!opened.ok()) return opened.status();
  engine = std::move(opened).value();
  stopped_ = false;
  auto loaded = replication::load_history(*engine);
  if (!loaded.ok()) return loaded.status();
  history = loaded.value();
  replica = std::make_unique<Replica>(world->env, *engine, history, replica_options_, *this);
  if (follows >= 0) {
    replica->start();
  } else if (history.empty() || !recovery.clean) {
    begin_epoch(*engine, world->entropy, &history);
  }
  return {};
}

void Node::die() {
  if (!engine) return;
  sessions.clear();
  if (link != 0) disconnect();
  for (auto& [id, open] : cluster_.links)
    if (open.primary == number) cluster_.close_link(id);
  full_copies += replica->full_copies();
  continues += replica->continues();
  cuts += replica->cuts();
  replica.reset();
  world->disk->cut_power_at(0);
  if (!stopped_) {
    if (!reopening) engine->stop([](const Status&) {});
    reopening = false;
    world->executor.run_all();
  }
  engine.reset();
}

void Node::kill() {
  auto disk = world->disk->copy();
  die();
  world = std::make_unique<SimWorld>(cluster_.dice.next(), std::move(disk));
}

void Node::cut_power(uint64_t seed) {
  auto disk = world->disk->crash(seed, {.junk = seed % 2 == 1});
  die();
  world = std::make_unique<SimWorld>(cluster_.dice.next(), std::move(disk));
}

void Node::follow(int whom) {
  if (whom == follows) return;
  if (!replica->off() && !replica->stop()) {
    promote_later = whom;
    return;
  }
  const bool was_primary = follows < 0;
  follows = whom;
  if (whom >= 0) return replica->start();
  if (!was_primary) begin_epoch(*engine, world->entropy, &history);
}

bool Node::write(const std::string& key, const std::string& value, Lsn* end) {
  if (reopening || engine->admission(value.size() + 100, false) != Engine::Admission::kOpen) return false;
  Batch batch;
  if (value.empty()) {
    batch.erase(key);
  } else {
    batch.put(key, value);
  }
  *end = engine->apply(batch);
  return true;
}

void Node::turn() {
  if (!reopening) engine->end_turn();
  for (auto at = sessions.begin(); at != sessions.end();) {
    Session& session = at->second;
    session.dead |= !session.session->closed().ok();
    if (session.dead && cluster_.unsent(at->first) == 0) {
      cluster_.close_link(at->first);
      at = sessions.erase(at);
    } else {
      ++at;
    }
  }
  if (reopening) return;
  for (auto& [id, session] : sessions)
    if (!session.dead) session.session->pump();
  replica->progressed();
  if (promote_later != -2 && replica->state() != Replica::State::kInstalling) {
    const int whom = promote_later;
    promote_later = -2;
    follow(whom);
  }
}

void Node::tick() {
  if (reopening) return;
  engine->tick();
  for (auto& [id, session] : sessions)
    if (!session.dead) session.session->tick();
  replica->tick();
}

Data Node::read_all() {
  Data data;
  const auto reader = engine->snapshot()->reader();
  const auto records = reader->iterator("", "");
  auto state = records->seek_first();
  for (; state == Iterator::State::kAt; state = records->next())
    if (records->key() != replication::kHistoryKey) data.emplace(records->key(), records->value());
  REQUIRE(state == Iterator::State::kEnd);
  return data;
}

void Node::connect() { cluster_.open_link(number, follows); }
void Node::send(std::string bytes) {
  if (link != 0) cluster_.links.at(link).to_primary.push_back(std::move(bytes));
}
void Node::disconnect() {
  if (link != 0) cluster_.close_link(std::exchange(link, 0));
}
void Node::apply(const Batch& record) {
  engine->apply_foreign(record);
  history.learn(record);
}
void Node::reopen(std::function<void(Status)> done) {
  sessions.clear();
  for (auto& [id, open] : cluster_.links)
    if (open.primary == number) cluster_.close_link(id);
  reopening = true;
  engine->reopen([this, done = std::move(done)](const Status& status) {
    if (!world->disk->power_is_cut()) {
      INFO(status.message());
      REQUIRE(status.ok());
    }
    reopening = false;
    if (!status.ok()) {
      stopped_ = true;
      return;
    }
    history = replication::load_history(*engine).value();
    done(status);
  });
}

Cluster::Cluster(uint64_t seed, int count, ClusterOptions the_options) : dice(seed), options(the_options) {
  for (int i = 0; i < count; ++i) nodes.push_back(std::make_unique<Node>(*this, i, dice.next()));
}
Cluster::~Cluster() {
  for (auto& node : nodes) node->die();
}

void Cluster::open_link(int replica, int primary) {
  Node& from = *nodes[static_cast<size_t>(replica)];
  const uint64_t id = ++last_link_;
  from.link = id;
  links[id] = {replica, primary, {}, {}, false};
  // The answer to connect() comes as everything else does.
  links[id].to_replica.push_back("");
}

void Cluster::close_link(uint64_t id) {
  const auto found = links.find(id);
  if (found == links.end()) return;
  found->second.cut = true;
  // The end of the stream is delivered like bytes are, if its turn comes; a timeout tells otherwise.
  found->second.to_primary.clear();
  found->second.to_replica.clear();
}

size_t Cluster::unsent(uint64_t id) const {
  const auto found = links.find(id);
  if (found == links.end()) return 0;
  size_t bytes = 0;
  for (const std::string& part : found->second.to_replica) bytes += part.size();
  return bytes;
}

// A piece of what is on its way on one link, in one direction.
void Cluster::deliver(uint64_t id) {
  Link& open = links.at(id);
  Node& replica = *nodes[static_cast<size_t>(open.replica)];
  Node& primary = *nodes[static_cast<size_t>(open.primary)];
  if (open.cut) {
    if (roll(3) != 0) return;  // It takes a while until it is noticed.
    const bool known = replica.link == id;
    primary.sessions.erase(id);
    links.erase(id);
    if (known) {
      replica.link = 0;
      if (replica.up()) replica.replica->disconnected("the link is cut");
    }
    return;
  }
  const bool up = roll(2) == 0;
  auto& queue = up ? open.to_primary : open.to_replica;
  if (queue.empty()) return;
  std::string bytes = std::move(queue.front());
  queue.pop_front();
  if (bytes.size() > 20 && roll(4) == 0) {  // In two pieces.
    queue.push_front(bytes.substr(bytes.size() / 2));
    bytes.resize(bytes.size() / 2);
  }
  if (up) {
    const auto session = primary.sessions.find(id);
    if (session == primary.sessions.end() || primary.reopening) return close_link(id);
    if (!session->second.dead) session->second.session->received(bytes);
    return;
  }
  if (!bytes.empty()) {
    if (replica.link == id && replica.replica->wants_input()) {
      replica.replica->received(bytes);
    } else if (replica.link == id) {
      queue.push_front(std::move(bytes));
    }
    return;
  }
  // connect() comes to an end.
  if (!primary.up() || primary.reopening) return close_link(id);
  Node::Session& session = primary.sessions[id];
  session.session = std::make_unique<PrimarySession>(
      primary.world->env, *primary.engine, primary.history, primary.primary_options_,
      PrimarySession::Peer{[this, id](std::string part) {
                             const auto found = links.find(id);
                             if (found != links.end() && !found->second.cut)
                               found->second.to_replica.push_back(std::move(part));
                           },
                           [this, id] { return unsent(id); }, [] {},
                           [&primary](Lsn lsn) {
                             Lsn& from = primary.primary_options_.readable_from;
                             from = std::max(from, lsn + 1);
                           },
                           nullptr});
  replica.replica->connected();
}

void Cluster::advance_ms(uint64_t ms) {
  for (auto& node : nodes) {
    node->world->clock.advance_ms(ms);
    if (node->up()) node->tick();
  }
}

void Cluster::step() {
  Node& node = *nodes[roll(nodes.size())];
  switch (roll(4)) {
    case 0:
    case 1:
      if (node.up()) {
        node.world->executor.run_one();
        if (node.up()) node.turn();
      }
      return;
    case 2: {
      std::vector<uint64_t> ids;
      for (const auto& [id, open] : links) ids.push_back(id);
      if (!ids.empty()) deliver(ids[roll(ids.size())]);
      return;
    }
    default: advance_ms(roll(4) == 0 ? roll(20) : 1); return;
  }
}

}  // namespace replication_test
