// What others hear of a command that has been applied: Server::deliver and what goes with it.
#include <string>

#include "server/pubsub.h"
#include "server/replication.h"
#include "server/server.h"

namespace server {

namespace {

uint32_t own_events(const Settings& settings) {
  const uint32_t classes = settings.notify_keyspace_events;
  return classes & (notify::kKeyspace | notify::kKeyevent) ? classes : 0;
}

}  // namespace

uint32_t Server::wanted_events() const {
  uint32_t theirs = replication_->replicas().events_wanted();
  if (theirs & notify::kGeneric) theirs |= notify::kExpired;  // Which they hear of as "del".
  return own_events(settings()) | theirs;
}

void Server::deliver(Effects& effects, engine::Lsn lsn) {
  for (const Effects::Entry& entry : effects.entries()) {
    if (entry.kind == Effects::Entry::Kind::kEvent) {
      if (entry.expired) ++stats_.expired_keys;
      notify(entry.event_class, entry.name, entry.database, entry.key, lsn);
    } else if (entry.kind == Effects::Entry::Kind::kLogLine) {
      log_line(entry.level, entry.text);
    } else {
      replication_->publish(entry.key, entry.text, entry.kind == Effects::Entry::Kind::kShardMessage);
      pubsub_->publish(entry.key, entry.text, entry.kind == Effects::Entry::Kind::kShardMessage,
                       [this, lsn](Client& client, std::string_view frame) { push(client, frame, lsn); });
    }
  }
  effects.clear();
}

void Server::publish_here(std::string_view channel, std::string_view text, bool sharded) {
  pubsub_->publish(channel, text, sharded,
                   [this](Client& client, std::string_view frame) { push(client, frame, engine_.end()); });
}

void Server::notify(uint32_t event_class, std::string_view name, uint32_t database, std::string_view key,
                    engine::Lsn lsn) {
  notify_here(event_class, name, database, key, lsn);
  if (replication_->replicas().events_wanted() != 0) replication_->tell(event_class, name, database, key);
}

void Server::notify_here(uint32_t event_class, std::string_view name, uint32_t database, std::string_view key,
                         engine::Lsn lsn) {
  const uint32_t own = own_events(settings());
  if (pubsub_->silent() || !(own & event_class)) return;
  const auto send = [this, lsn](Client& client, std::string_view frame) { push(client, frame, lsn); };
  const std::string at = "@" + std::to_string(database) + "__:";
  if (own & notify::kKeyspace) pubsub_->publish("__keyspace" + at + std::string(key), name, false, send);
  if (own & notify::kKeyevent) pubsub_->publish("__keyevent" + at + std::string(name), key, false, send);
}

void Server::push(Client& client, std::string_view bytes, engine::Lsn lsn) {
  if (client.closed() || client.closing_after_reply()) return;
  if (Dispatcher::say_behind_reply(client, bytes, lsn)) return;
  const uint64_t mark = client.reply.mark();
  client.reply.raw(bytes);
  const Durability durability = client.session.durability.value_or(default_durability());
  if (lsn > commit_.of(durability)) {
    client.gate.hold(mark, lsn, durability, 0, frame_);
    if (durability == Durability::kSynced) sync_wanted();
  }
  output_added(client);
}

// What expires on its own does so in a batch of its own, which has been applied just now.
void Server::key_expired(uint32_t database, std::string_view user_key) {
  ++stats_.expired_keys;
  notify(notify::kExpired, "expired", database, user_key, engine_.end());
}

void Server::fields_expired(uint32_t database, std::string_view user_key, bool all) {
  notify(notify::kHash, "hexpired", database, user_key, engine_.end());
  if (all) notify(notify::kGeneric, "del", database, user_key, engine_.end());
}

}  // namespace server
