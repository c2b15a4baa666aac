#include "server/tracking.h"

#include <algorithm>
#include <utility>

#include "server/command_keys.h"
#include "server/server.h"

namespace server {
namespace {

constexpr size_t kTouchedMax = 1 << 16;     // More than this, and everything counts as touched.
constexpr unsigned kEvictionsAtOnce = 100;  // Keys that leave a full table in one go.

void append_bulk(std::string* out, std::string_view bytes) {
  *out += '$';
  *out += std::to_string(bytes.size());
  *out += "\r\n";
  *out += bytes;
  *out += "\r\n";
}

std::string one_key(std::string_view key) {
  std::string text = "*1\r\n";
  append_bulk(&text, key);
  return text;
}

}  // namespace

// ------------------------------------------------------------------ who tracks

void Tracking::enable(Client& client, const TrackingMode& mode, std::span<const std::string_view> prefixes) {
  TrackingMode& now = client.session.tracking;
  const bool caching = now.caching;
  clients_ += !now.on;
  now = mode;
  now.caching = caching;
  if (!mode.broadcast) return;
  const auto add = [&](std::string_view prefix) {
    prefixes_[std::string(prefix)].clients.insert(client.id);
    prefixes_of_[client.id].emplace(prefix);
  };
  if (prefixes.empty()) add("");
  for (const std::string_view prefix : prefixes) add(prefix);
}

void Tracking::disable(Client& client) {
  TrackingMode& mode = client.session.tracking;
  if (!mode.on) return;
  if (const auto own = prefixes_of_.find(client.id); own != prefixes_of_.end()) {
    for (const std::string& prefix : own->second) {
      const auto at = prefixes_.find(prefix);
      at->second.clients.erase(client.id);
      if (at->second.clients.empty()) prefixes_.erase(at);
    }
    prefixes_of_.erase(own);
  }
  mode = {};
  // What it has read stays in the table until it is touched: to look for it would take long. But where nobody
  // tracks, nobody looks whether it is.
  if (--clients_ > 0) return;
  keys_.clear();
  key_of_object_.clear();
  items_ = 0;
}

const std::set<std::string>& Tracking::prefixes(const Client& client) const {
  static const std::set<std::string> kNone;
  const auto own = prefixes_of_.find(client.id);
  return own == prefixes_of_.end() ? kNone : own->second;
}

// ------------------------------------------------------------------ what is read

bool Tracking::remembers(const TrackingMode& mode) {
  if (!mode.on || mode.broadcast) return false;
  return mode.opt_in ? mode.caching : !(mode.opt_out && mode.caching);
}

void Tracking::note(const Command& command, std::span<const std::string_view> args, size_t before,
                    size_t writes, Effects::Reads* reads) {
  const bool is_script = command.spec->group == Group::kScripting;
  const bool reads_keys = is_script ? reads->keys.size() > before : (command.flags & cmd::kReadonly) != 0;
  if (!reads_keys) return;
  if (is_script) writes = reads->keys.back().writes_before;  // It read nothing later.
  std::vector<KeyAt> keys;
  keys_of(command, args, &keys);
  for (const KeyAt& key : keys) reads->keys.push_back({std::string(args[key.position]), writes});
}

Effects::Reads Tracking::split_off_lasting(const engine::Batch& batch, Effects::Reads* reads) const {
  // How many operations there are up to the last one that touches a name, or any.
  struct LastTouches final : TouchListener {
    std::unordered_map<std::string, size_t> names;
    std::unordered_map<ObjectId, size_t> objects;
    size_t any = 0, now = 0;
    void key_touched(uint32_t, std::string_view name, Touch) override { names[std::string(name)] = now; }
    void elements_touched(ObjectId object) override { objects[object] = now; }
    void database_replaced(uint32_t, Replaced) override { any = now; }
  } touches;
  tell_touched(batch, server_.databases(), touches, &touches.now);
  const auto last_touch = [&](const std::string& name) {
    size_t last = touches.any;
    if (const auto at = touches.names.find(name); at != touches.names.end())
      last = std::max(last, at->second);
    for (const auto& [of, object] : reads->objects) {
      const auto at = of == name ? touches.objects.find(object) : touches.objects.end();
      if (at != touches.objects.end()) last = std::max(last, at->second);
    }
    return last;
  };
  Effects::Reads lasting;
  std::vector<Effects::Reads::Key> others;
  for (Effects::Reads::Key& key : reads->keys) {
    const bool lasts = last_touch(key.name) <= key.writes_before;
    (lasts ? lasting.keys : others).push_back(std::move(key));
  }
  reads->keys = std::move(others);
  lasting.objects = reads->objects;  // Of names that are not in the table nothing is remembered.
  return lasting;
}

void Tracking::remember(const Client& client, const Effects::Reads& reads) {
  for (const Effects::Reads::Key& key : reads.keys) {
    std::vector<uint64_t>& clients = keys_[key.name].clients;
    const auto at = std::lower_bound(clients.begin(), clients.end(), client.id);
    if (at != clients.end() && *at == client.id) continue;
    clients.insert(at, client.id);
    ++items_;
  }
  for (const auto& [name, object] : reads.objects) {
    const auto key = keys_.find(name);
    if (key == keys_.end()) continue;
    std::vector<ObjectId>& objects = key->second.objects;
    if (std::find(objects.begin(), objects.end(), object) != objects.end()) continue;
    objects.push_back(object);
    key_of_object_[object] = name;
  }
  limit_table();
}

// Redis's rule: somebody's knowledge has to go, and whose is left to chance.
void Tracking::limit_table() {
  const uint64_t keys_max = server_.settings().tracking_table_max_keys;
  if (keys_max == 0) return;
  for (unsigned left = kEvictionsAtOnce; keys_.size() > keys_max && left > 0; --left) {
    eviction_seed_ = eviction_seed_ * 6364136223846793005 + 1442695040888963407;
    size_t bucket = (eviction_seed_ >> 32) % keys_.bucket_count();
    while (keys_.bucket_size(bucket) == 0) bucket = (bucket + 1) % keys_.bucket_count();
    writer_ = 0;
    lsn_ = 0;
    invalidate(keys_.find(keys_.begin(bucket)->first));
  }
}

// ------------------------------------------------------------------ long reads

void Tracking::note_touched(std::string_view key, ObjectId object) {
  if (long_reads_ == 0) [[likely]]
    return;
  if (touched_keys_.size() + touched_objects_.size() >= kTouchedMax) all_touched_ = true;
  if (all_touched_) return;
  if (object != engine::kNoObject)
    touched_objects_.insert(object);
  else
    touched_keys_.emplace(key);
}

bool Tracking::touched_meanwhile(std::string_view key, const Effects::Reads& reads) const {
  if (all_touched_ || touched_keys_.contains(key)) return true;
  return std::any_of(reads.objects.begin(), reads.objects.end(), [&](const auto& read) {
    return read.first == key && touched_objects_.contains(read.second);
  });
}

void Tracking::long_read_ends(Client& client, const Effects::Reads& reads, bool remembers) {
  Effects::Reads fresh;
  const std::set<std::string>& own_prefixes = prefixes(client);
  const bool broadcast = client.session.tracking.broadcast;
  for (const Effects::Reads::Key& key : reads.keys) {
    if (!touched_meanwhile(key.name, reads)) {
      fresh.keys.push_back(key);
    } else if (broadcast
                   ? std::any_of(own_prefixes.begin(), own_prefixes.end(),
                                 [&](const std::string& prefix) { return key.name.starts_with(prefix); })
                   : remembers) {
      tell(client, one_key(key.name), server_.engine().end());
    }
  }
  for (const auto& read : reads.objects)  // The others may have moved to another key.
    if (!touched_meanwhile(read.first, reads)) fresh.objects.push_back(read);
  if (remembers) remember(client, fresh);
  long_read_dropped();
}

void Tracking::long_read_dropped() {
  if (--long_reads_ > 0) return;
  all_touched_ = false;
  touched_keys_.clear();
  touched_objects_.clear();
}

// ------------------------------------------------------------------ what is written

void Tracking::applied(const engine::Batch& batch, uint64_t writer, engine::Lsn lsn) {
  if (any()) {
    writer_ = writer;
    lsn_ = lsn;
    last_object_ = engine::kNoObject;
    tell_touched(batch, server_.databases(), *this);
  }
  looked_at_ = nullptr;
}

bool Tracking::wants_names(const Command& command) const {
  return (all_names_ || !prefixes_.empty()) && (command.flags & cmd::kWrite);
}

// Calls f(broadcast) for the prefixes that the key has: the greatest that is not above it, and from there on
// what is not above what both have in common.
template <typename F>
void Tracking::each_prefix_of(std::string_view key, F f) {
  std::string_view probe = key;
  for (;;) {
    auto at = prefixes_.upper_bound(probe);
    if (at == prefixes_.begin()) return;
    --at;
    const std::string_view prefix = at->first;
    if (key.starts_with(prefix)) {
      f(at->second);
      if (prefix.empty()) return;
      probe = key.substr(0, prefix.size() - 1);
    } else {
      const auto differ = std::mismatch(prefix.begin(), prefix.end(), key.begin(), key.end()).first;
      probe = key.substr(0, static_cast<size_t>(differ - prefix.begin()));
    }
  }
}

void Tracking::touch_prefixes(std::string_view key) {
  each_prefix_of(key, [&](Broadcast& to) {
    to.touched[std::string(key)] = writer_;
    to.lsn = std::max(to.lsn, lsn_);
  });
}

void Tracking::key_touched(uint32_t, std::string_view user_key, Touch) {
  note_touched(user_key, engine::kNoObject);
  touch_prefixes(user_key);
  if (const auto key = keys_.find(user_key); key != keys_.end()) invalidate(key);
}

void Tracking::elements_touched(ObjectId object) {
  if (object == last_object_) return;
  last_object_ = object;
  note_touched({}, object);
  if (looked_at_ && !prefixes_.empty()) {
    for (const auto& [name, its_object] : *looked_at_)
      if (its_object == object) touch_prefixes(name);
  }
  const auto of = key_of_object_.find(object);
  if (of == key_of_object_.end()) return;
  const std::string name = of->second;
  if (const auto key = keys_.find(name); key != keys_.end()) invalidate(key);
}

void Tracking::database_replaced(uint32_t, Replaced) {
  all_touched_ = long_reads_ > 0;
  if (!pending_.empty() && pending_.back().all) {
    pending_.back().lsn = lsn_;
    return;
  }
  pending_.push_back({.all = true, .key = {}, .clients = {}, .writer = writer_, .lsn = lsn_});
  keys_.clear();
  key_of_object_.clear();
  items_ = 0;
}

void Tracking::invalidate(Keys::iterator key) {
  for (const ObjectId object : key->second.objects) key_of_object_.erase(object);
  items_ -= key->second.clients.size();
  pending_.push_back({.all = false,
                      .key = key->first,
                      .clients = std::move(key->second.clients),
                      .writer = writer_,
                      .lsn = lsn_});
  keys_.erase(key);
}

// ------------------------------------------------------------------ telling

void Tracking::send() {
  if (pending_.empty()) [[likely]]
    return;
  for (const Pending& pending : std::exchange(pending_, {})) {
    if (pending.all) {
      server_.clients().each([&](Client& client) {
        if (client.session.tracking.on) tell(client, {}, pending.lsn);
      });
      continue;
    }
    const std::string keys = one_key(pending.key);
    for (const uint64_t id : pending.clients) {
      Client* client = server_.clients().find(id);
      if (client == nullptr) continue;
      const TrackingMode& mode = client->session.tracking;
      if (!mode.on || mode.broadcast || (mode.no_loop && id == pending.writer)) continue;
      tell(*client, keys, pending.lsn);
    }
  }
}

void Tracking::end_turn() {
  if (!any()) [[likely]] {
    pending_.clear();
    return;
  }
  limit_table();
  send();
  for (auto& [prefix, to] : prefixes_)
    if (!to.touched.empty()) broadcast(to);
}

void Tracking::broadcast(Broadcast& to) {
  const auto touched = std::exchange(to.touched, {});
  const engine::Lsn lsn = std::exchange(to.lsn, 0);
  // All keys that `except` did not write itself; empty if it did write them all.
  const auto keys_of = [&touched](uint64_t except) {
    size_t count = 0;
    std::string bulks;
    for (const auto& [key, writer] : touched) {
      if (writer == except) continue;
      append_bulk(&bulks, key);
      ++count;
    }
    return count == 0 ? std::string() : "*" + std::to_string(count) + "\r\n" + bulks;
  };
  std::string all;
  for (const uint64_t id : to.clients) {
    Client* client = server_.clients().find(id);
    if (client == nullptr) continue;
    if (client->session.tracking.no_loop) {
      const std::string own = keys_of(id);
      if (!own.empty()) tell(*client, own, lsn);
      continue;
    }
    if (all.empty()) all = keys_of(UINT64_MAX);
    tell(*client, all, lsn);
  }
}

void Tracking::tell(Client& tracker, std::string_view keys, engine::Lsn lsn) {
  TrackingMode& mode = tracker.session.tracking;
  Client* to = &tracker;
  if (mode.redirect != 0) {
    to = server_.clients().find(mode.redirect);
    if (to == nullptr) {
      mode.redirect_broken = true;
      if (tracker.reply.version() == resp::Version::kResp3) {
        server_.push(tracker,
                     ">2\r\n$21\r\ntracking-redir-broken\r\n:" + std::to_string(mode.redirect) + "\r\n", lsn);
      }
      return;
    }
  }
  const bool resp3 = to->reply.version() == resp::Version::kResp3;
  // RESP2 has messages only where they are expected: on a connection that listens to channels.
  if (!resp3 && (mode.redirect == 0 || !to->session.subscribed())) return;
  std::string frame =
      resp3 ? ">2\r\n$10\r\ninvalidate\r\n" : "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n";
  if (keys.empty())
    frame += resp3 ? "_\r\n" : "$-1\r\n";
  else
    frame += keys;
  server_.push(*to, frame, lsn);
}

}  // namespace server
