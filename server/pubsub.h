// server/pubsub.h: who listens to which channels, patterns and shard channels, and the frames they are sent.
//
//     topics_[kind]:   name ──▶ Topic: listeners ──▶ Client      a message finds its listeners
//     listeners_:      Client ──▶ [kind]: Topic, place           a client that goes finds its topics
//
// A listener's place in its topic's list is kept on both sides, so subscribing and unsubscribing are O(1),
// with however many of either. Patterns lie by the bytes with which they begin, so a message is held
// against those only that might match.
//
// A client that is closed is forgotten before it is destroyed. Session::subscriptions is kept here.
//
// Threads: the reactor. Not here: when a message leaves (Server::deliver, Server::push).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "resp/reply_writer.h"

namespace server {

class Client;

// One push frame: its parts as bulk strings. RESP2 has arrays for it.
std::string push_frame(resp::Version version, std::initializer_list<std::string_view> parts);

class PubSub {
 public:
  enum class Kind : uint8_t { kChannel, kPattern, kShard };

  // False: it did so already.
  bool subscribe(Client& client, Kind kind, std::string_view name);
  // False: it did not listen.
  bool unsubscribe(Client& client, Kind kind, std::string_view name);
  // In the order in which it subscribed.
  std::vector<std::string> subscriptions(const Client& client, Kind kind) const;
  // The client listens to nothing any more.
  void forget(Client& client);

  // Nobody listens to anything.
  bool silent() const { return listeners_.empty(); }
  // Names that somebody listens to.
  size_t size(Kind kind) const { return topics(kind).size(); }
  // How many listen to this very name.
  size_t listeners(Kind kind, std::string_view name) const;
  template <typename F>
  void each_name(Kind kind, F f) const {
    for (const auto& [name, topic] : topics(kind)) f(std::string_view(name));
  }
  // To how many a message would go: a client that listens to the channel and to matching patterns gets it as
  // often.
  size_t receivers(std::string_view channel, bool sharded) const;

  // Calls send(client, frame) for each of them. `send` must not change who listens.
  using Send = std::function<void(Client& client, std::string_view frame)>;
  void publish(std::string_view channel, std::string_view text, bool sharded, const Send& send) const;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  template <typename T>
  using ByName = std::unordered_map<std::string, T, Hash, std::equal_to<>>;

  struct Topic {
    std::vector<Client*> clients;
    uint32_t place = 0;  // A pattern's, among those that begin alike.
  };
  using Topics = ByName<Topic>;
  using NamedTopic = Topics::value_type;
  struct Place {
    uint32_t index;  // In Topic::clients.
    uint64_t order;  // Of subscribing.
  };
  using Listener = std::array<std::unordered_map<NamedTopic*, Place>, 3>;

  Topics& topics(Kind kind) { return topics_[static_cast<size_t>(kind)]; }
  const Topics& topics(Kind kind) const { return topics_[static_cast<size_t>(kind)]; }
  void leave(Client& client, Kind kind, NamedTopic& topic, uint32_t index);
  void index_pattern(NamedTopic& pattern);
  void unindex_pattern(NamedTopic& pattern);
  template <typename F>
  void each_match(std::string_view channel, F f) const;

  std::array<Topics, 3> topics_;
  std::unordered_map<const Client*, Listener> listeners_;
  ByName<std::vector<NamedTopic*>> patterns_by_prefix_;
  std::map<size_t, size_t> prefix_sizes_;  // Of the keys of patterns_by_prefix_: how many have that size.
  uint64_t next_order_ = 0;
};

}  // namespace server
