#include "server/pubsub.h"

#include <algorithm>

#include "server/client.h"
#include "server/glob.h"

namespace server {

std::string push_frame(resp::Version version, std::initializer_list<std::string_view> parts) {
  std::string frame;
  size_t bytes = 16;
  for (const std::string_view part : parts) bytes += part.size() + 16;
  frame.reserve(bytes);
  frame += version == resp::Version::kResp3 ? '>' : '*';
  frame += std::to_string(parts.size());
  frame += "\r\n";
  for (const std::string_view part : parts) {
    frame += '$';
    frame += std::to_string(part.size());
    frame += "\r\n";
    frame += part;
    frame += "\r\n";
  }
  return frame;
}

// ------------------------------------------------------------------ who listens

bool PubSub::subscribe(Client& client, Kind kind, std::string_view name) {
  const auto at = static_cast<size_t>(kind);
  Topics& named = topics(kind);
  auto found = named.find(name);
  const bool first = found == named.end();
  if (first) found = named.emplace(std::string(name), Topic()).first;
  NamedTopic& topic = *found;
  auto& own = listeners_[&client][at];
  const auto index = static_cast<uint32_t>(topic.second.clients.size());
  if (!own.emplace(&topic, Place{index, next_order_}).second) return false;
  ++next_order_;
  topic.second.clients.push_back(&client);
  if (first && kind == Kind::kPattern) index_pattern(topic);
  ++client.session.subscriptions[at];
  return true;
}

bool PubSub::unsubscribe(Client& client, Kind kind, std::string_view name) {
  const auto at = static_cast<size_t>(kind);
  const auto listener = listeners_.find(&client);
  const auto found = topics(kind).find(name);
  if (listener == listeners_.end() || found == topics(kind).end()) return false;
  const auto own = listener->second[at].find(&*found);
  if (own == listener->second[at].end()) return false;
  const uint32_t index = own->second.index;
  listener->second[at].erase(own);
  leave(client, kind, *found, index);
  --client.session.subscriptions[at];
  if (!client.session.subscribed()) listeners_.erase(listener);
  return true;
}

// The last listener takes the place that becomes free.
void PubSub::leave(Client& client, Kind kind, NamedTopic& topic, uint32_t index) {
  std::vector<Client*>& clients = topic.second.clients;
  INVARIANT(clients[index] == &client);
  if (Client* last = clients.back(); last != &client) {
    clients[index] = last;
    listeners_.at(last)[static_cast<size_t>(kind)].at(&topic).index = index;
  }
  clients.pop_back();
  if (!clients.empty()) return;
  if (kind == Kind::kPattern) unindex_pattern(topic);
  topics(kind).erase(topics(kind).find(topic.first));
}

std::vector<std::string> PubSub::subscriptions(const Client& client, Kind kind) const {
  std::vector<std::string> names;
  const auto listener = listeners_.find(&client);
  if (listener == listeners_.end()) return names;
  std::vector<std::pair<uint64_t, const NamedTopic*>> ordered;
  for (const auto& [topic, place] : listener->second[static_cast<size_t>(kind)])
    ordered.emplace_back(place.order, topic);
  std::sort(ordered.begin(), ordered.end());
  for (const auto& [order, topic] : ordered) names.push_back(topic->first);
  return names;
}

void PubSub::forget(Client& client) {
  const auto listener = listeners_.find(&client);
  if (listener == listeners_.end()) return;
  for (const Kind kind : {Kind::kChannel, Kind::kPattern, Kind::kShard}) {
    for (const auto& [topic, place] : listener->second[static_cast<size_t>(kind)])
      leave(client, kind, *topic, place.index);
  }
  listeners_.erase(listener);
  client.session.subscriptions = {};
}

size_t PubSub::listeners(Kind kind, std::string_view name) const {
  const auto found = topics(kind).find(name);
  return found == topics(kind).end() ? 0 : found->second.clients.size();
}

// ------------------------------------------------------------------ patterns

void PubSub::index_pattern(NamedTopic& pattern) {
  const std::string prefix = literal_prefix(pattern.first).bytes;
  auto found = patterns_by_prefix_.find(prefix);
  if (found == patterns_by_prefix_.end()) {
    found = patterns_by_prefix_.emplace(prefix, std::vector<NamedTopic*>()).first;
    ++prefix_sizes_[prefix.size()];
  }
  pattern.second.place = static_cast<uint32_t>(found->second.size());
  found->second.push_back(&pattern);
}

void PubSub::unindex_pattern(NamedTopic& pattern) {
  const auto found = patterns_by_prefix_.find(literal_prefix(pattern.first).bytes);
  std::vector<NamedTopic*>& alike = found->second;
  alike[pattern.second.place] = alike.back();
  alike[pattern.second.place]->second.place = pattern.second.place;
  alike.pop_back();
  if (!alike.empty()) return;
  const auto size = prefix_sizes_.find(found->first.size());
  if (--size->second == 0) prefix_sizes_.erase(size);
  patterns_by_prefix_.erase(found);
}

// Calls f(pattern) for those that match.
template <typename F>
void PubSub::each_match(std::string_view channel, F f) const {
  for (const auto& [size, count] : prefix_sizes_) {
    if (size > channel.size()) break;
    const auto found = patterns_by_prefix_.find(channel.substr(0, size));
    if (found == patterns_by_prefix_.end()) continue;
    for (const NamedTopic* pattern : found->second)
      if (glob_match(pattern->first, channel)) f(*pattern);
  }
}

// ------------------------------------------------------------------ messages

size_t PubSub::receivers(std::string_view channel, bool sharded) const {
  if (sharded) return listeners(Kind::kShard, channel);
  size_t count = listeners(Kind::kChannel, channel);
  each_match(channel, [&](const NamedTopic& pattern) { count += pattern.second.clients.size(); });
  return count;
}

void PubSub::publish(std::string_view channel, std::string_view text, bool sharded, const Send& send) const {
  // One frame for all that speak alike.
  const auto send_all = [&send](const Topic& topic, auto make_frame) {
    std::string frames[2];
    for (Client* client : topic.clients) {
      const resp::Version version = client->reply.version();
      std::string& frame = frames[version == resp::Version::kResp3];
      if (frame.empty()) frame = make_frame(version);
      send(*client, frame);
    }
  };
  const Topics& named = topics(sharded ? Kind::kShard : Kind::kChannel);
  if (const auto found = named.find(channel); found != named.end()) {
    send_all(found->second, [&](resp::Version version) {
      return push_frame(version, {sharded ? "smessage" : "message", channel, text});
    });
  }
  if (sharded) return;
  each_match(channel, [&](const NamedTopic& pattern) {
    send_all(pattern.second, [&](resp::Version version) {
      return push_frame(version, {"pmessage", pattern.first, channel, text});
    });
  });
}

}  // namespace server
