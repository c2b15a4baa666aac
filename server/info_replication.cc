#include "server/info_replication.h"

#include <algorithm>
#include <string>

#include "server/config.h"
#include "server/info_text.h"
#include "server/replication.h"
#include "server/server.h"

namespace server {
namespace {

// Of the connection to the primary, whichever kind that is.
struct LinkFacts {
  bool up, in_sync;
  uint64_t last_io_us, down_since_us;
  int64_t offset, offset_read;
  uint64_t sync_total, sync_read, sync_left;
};

LinkFacts link_facts(Server& server) {
  const Replication& replication = server.replication();
  if (const RedisFollower& redis = replication.redis(); redis.active()) {
    const uint64_t total = redis.sync_bytes_total(), read = redis.sync_bytes_read();
    return {redis.link_up(),
            redis.in_sync(),
            redis.last_io_us(),
            redis.down_since_us(),
            static_cast<int64_t>(redis.offset()),
            static_cast<int64_t>(redis.offset_read()),
            total,
            read,
            total > read ? total - read : 0};
  }
  const replication::Replica& link = replication.link();
  const auto offset = static_cast<int64_t>(server.engine().end());
  return {link.link_up(),
          link.in_sync(),
          link.last_io_us(),
          link.down_since_us(),
          offset,
          std::max(offset, static_cast<int64_t>(link.primary_end())),
          link.sync_bytes_total(),
          link.sync_bytes_read(),
          link.sync_bytes_left()};
}

void section_of_replica(Server& server, InfoText& out) {
  const Replication& replication = server.replication();
  const LinkFacts link = link_facts(server);
  const Settings& settings = server.settings();
  const uint64_t now = server.env().clock.monotonic_us();
  const auto seconds_since = [now](uint64_t us) { return static_cast<int64_t>((now - us) / 1'000'000); };
  out.field("master_host", replication.primary_host());
  out.field("master_port", replication.primary_port());
  out.field("master_link_status", link.up ? "up" : "down");
  out.field("master_last_io_seconds_ago", link.up ? seconds_since(link.last_io_us) : -1);
  out.field("master_sync_in_progress", link.in_sync ? 1 : 0);
  out.field("slave_read_repl_offset", link.offset_read);
  out.field("slave_repl_offset", link.offset);
  if (link.in_sync) {
    const uint64_t total = link.sync_total, read = link.sync_read;
    out.field("master_sync_total_bytes", total);
    out.field("master_sync_read_bytes", read);
    out.field("master_sync_left_bytes", link.sync_left);
    out.fixed("master_sync_perc",
              total == 0 ? 0.0 : 100.0 * static_cast<double>(read) / static_cast<double>(total), 2);
    out.field("master_sync_last_io_seconds_ago", seconds_since(link.last_io_us));
  }
  if (!link.up) out.field("master_link_down_since_seconds", seconds_since(link.down_since_us));
  out.field("slave_priority", settings.replica_priority);
  out.field("slave_read_only", 1);
  out.field("replica_announced", settings.replica_announced ? 1 : 0);
}

const char* failover_word(Replication::Failover state) {
  switch (state) {
    case Replication::Failover::kNone: return "no-failover";
    case Replication::Failover::kWaiting: return "waiting-for-sync";
    case Replication::Failover::kHandingOver: return "failover-in-progress";
  }
  return "no-failover";
}

}  // namespace

void section_replication(Server& server, InfoText& out) {
  Replication& replication = server.replication();
  const Settings& settings = server.settings();
  const uint64_t now = server.env().clock.monotonic_us();
  out.field("role", replication.is_replica() ? "slave" : "master");
  if (replication.is_replica()) section_of_replica(server, out);
  Replicas& replicas = replication.replicas();
  const std::vector<RedisReplicas::Facts> redises = replication.redis_replicas().facts();
  out.field("connected_slaves", replicas.size() + redises.size());
  out.field("redis_replicas", replication.redis_replicas().size());
  if (settings.min_replicas_to_write > 0 && settings.min_replicas_max_lag_seconds > 0) {
    out.field("min_slaves_good_slaves", replication.good_replicas());
  }
  size_t number = 0;
  const auto line = [&](const std::string& ip, uint64_t port, const char* state, engine::Lsn offset,
                        uint64_t last_heard_us) {
    const std::string name = "slave" + std::to_string(number++);
    out.field(name.c_str(), "ip=" + ip + ",port=" + std::to_string(port) + ",state=" + state +
                                ",offset=" + std::to_string(offset) +
                                ",lag=" + std::to_string((now - last_heard_us) / 1'000'000));
  };
  replicas.each([&](const Client& client, const replication::PrimarySession& session) {
    line(replica_ip(client, session), session.hello().port, replica_state(session), session.ack().written,
         session.last_ack_us());
  });
  for (const RedisReplicas::Facts& redis : redises)
    line(redis.ip, static_cast<uint64_t>(redis.port), redis.online ? "online" : "send_bulk", redis.lsn,
         redis.last_heard_us);
  out.field("master_failover_state", failover_word(replication.failover_state()));
  const replication::History& history = replication.history();
  const replication::Epoch* before = history.empty() ? nullptr : history.previous();
  out.field("master_replid", history.empty() ? std::string(40, '0') : history.present().id);
  out.field("master_replid2", before ? before->id : std::string(40, '0'));
  out.field("master_repl_offset", server.engine().end());
  out.field("second_repl_offset", before ? static_cast<int64_t>(history.present().begin) + 1 : int64_t{-1});
  const engine::Lsn begin = server.engine().log_begin();
  out.field("repl_backlog_active", replication.keeps_log() ? 1 : 0);
  out.field("repl_backlog_size", settings.repl_backlog_size_bytes);
  out.field("repl_backlog_first_byte_offset", begin);
  out.field("repl_backlog_histlen", server.engine().end() - begin);
}

}  // namespace server
