// server/commands/replication.cc: REPLICAOF, ROLE, WAIT, FAILOVER and what replicas say.
#include <string>
#include <vector>

#include "server/bindings.h"
#include "server/command.h"
#include "server/errors.h"
#include "server/log.h"
#include "server/replication.h"
#include "server/server.h"
#include "server/units.h"

namespace server {
namespace {

using Wait = Replication::Wait;

constexpr size_t kAddressBytesMax = 255;  // Of a name, as DNS has it.

void replicaof(CommandContext& c) {
  Replication& replication = c.server.replication();
  if (replication.failover_state() != Replication::Failover::kNone)
    return c.reply.error("ERR REPLICAOF not allowed while failing over.");
  if (equals_ignoring_case(c.args[1], "no") && equals_ignoring_case(c.args[2], "one")) {
    replication.promote();
    return c.reply.ok();
  }
  if (c.client.stream) return c.reply.error("ERR Command is not valid when client is a replica.");
  const auto port = parse_integer(c.args[2]);
  if (!port || *port < 0 || *port > 65535) return c.reply.error("ERR Invalid master port");
  if (c.args[1].empty() || c.args[1].find(' ') != std::string_view::npos)
    return c.reply.error("ERR Invalid master host");
  if (replication.primary_host() == c.args[1] && replication.primary_port() == *port)
    return c.reply.simple("OK Already connected to specified master");
  replication.follow(std::string(c.args[1]), static_cast<int>(*port));
  c.reply.ok();
}

const char* link_word(replication::Replica::State state) {
  switch (state) {
    case replication::Replica::State::kOff:
    case replication::Replica::State::kWaiting: return "connect";
    case replication::Replica::State::kConnecting:
    case replication::Replica::State::kGreeting: return "connecting";
    case replication::Replica::State::kCheckpoint:
    case replication::Replica::State::kInstalling: return "sync";
    case replication::Replica::State::kStreaming: return "connected";
  }
  return "connect";
}

const char* link_word(RedisFollower::State state) {
  switch (state) {
    case RedisFollower::State::kOff:
    case RedisFollower::State::kWaiting: return "connect";
    case RedisFollower::State::kConnecting:
    case RedisFollower::State::kGreeting: return "connecting";
    case RedisFollower::State::kPromised:
    case RedisFollower::State::kLoading:
    case RedisFollower::State::kTail: return "sync";
    case RedisFollower::State::kStreaming: return "connected";
  }
  return "connect";
}

void role(CommandContext& c) {
  Replication& replication = c.server.replication();
  if (replication.is_replica()) {
    c.reply.array(5);
    c.reply.bulk("slave");
    c.reply.bulk(replication.primary_host());
    c.reply.integer(replication.primary_port());
    const RedisFollower& redis = replication.redis();
    c.reply.bulk(redis.active() ? link_word(redis.state()) : link_word(replication.link().state()));
    if (!replication.link_up()) return c.reply.integer(-1);
    return c.reply.integer(static_cast<int64_t>(redis.active() ? redis.offset() : c.server.engine().end()));
  }
  std::vector<RedisReplicas::Facts> online = replication.redis_replicas().facts();
  std::erase_if(online, [](const RedisReplicas::Facts& redis) { return !redis.online; });
  replication.replicas().each([&](const Client& client, const auto& session) {
    if (!session.online()) return;
    online.push_back({replica_ip(client, session), static_cast<int>(session.hello().port), true,
                      session.ack().written, session.last_ack_us()});
  });
  c.reply.array(3);
  c.reply.bulk("master");
  c.reply.integer(static_cast<int64_t>(c.server.engine().end()));
  c.reply.array(online.size());
  for (const RedisReplicas::Facts& replica : online) {
    c.reply.array(3);
    c.reply.bulk(replica.ip);
    c.reply.bulk(std::to_string(replica.port));
    c.reply.bulk(std::to_string(replica.lsn));
  }
}

void varvesync(CommandContext& c) {
  if (c.client.stream || c.server.replication().switching())
    return c.reply.error("ERR Not now: the store is being exchanged");
  c.server.replication().replicas().attach(c.client);
  c.reply.ok();
}

// From here on the connection gets what a replica of Redis gets (server/redis_replicas.h).
bool can_serve_redis(CommandContext& c) {
  if (!c.client.stream && !c.server.replication().switching() && !c.server.replication().is_replica())
    return true;
  c.reply.error("NOMASTERLINK Can't SYNC: only a primary serves replicas of Redis");
  return false;
}

void psync(CommandContext& c) {
  if (can_serve_redis(c)) c.server.replication().redis_replicas().attach(c.client, true);
}

void sync(CommandContext& c) {
  if (can_serve_redis(c)) c.server.replication().redis_replicas().attach(c.client, false);
}

// What a Redis says before it asks for PSYNC.
void replconf(CommandContext& c) {
  if (c.args.size() % 2 == 0) return c.reply.error(kSyntaxError);
  for (size_t i = 1; i < c.args.size(); i += 2) {
    const std::string_view option = c.args[i];
    bool known = false;
    for (const std::string_view name :
         {"listening-port", "ip-address", "capa", "version", "ack", "getack", "rdb-only", "rdb-filter-only"})
      known |= equals_ignoring_case(option, name);
    if (!known) return c.reply.error("ERR Unrecognized REPLCONF option: " + std::string(option));
    RedisReplicas& replicas = c.server.replication().redis_replicas();
    if (equals_ignoring_case(option, "listening-port")) {
      const auto port = parse_integer(c.args[i + 1]);
      if (!port || *port < 0 || *port > 65535) return c.reply.error(kNotAnInteger);
      replicas.announce_port(c.client, static_cast<int>(*port));
    } else if (equals_ignoring_case(option, "ip-address")) {
      replicas.announce_ip(c.client, c.args[i + 1].substr(0, kAddressBytesMax));
    }
  }
  c.reply.ok();
}

// ------------------------------------------------------------------ waiting

// Milliseconds from now; false: an error has been replied.
bool deadline(CommandContext& c, std::string_view text, uint64_t* deadline_us) {
  const auto timeout = parse_integer(text);
  if (!timeout || *timeout > INT64_MAX / 2000) {
    c.reply.error("ERR timeout is not an integer or out of range");
    return false;
  }
  if (*timeout < 0) {
    c.reply.error("ERR timeout is negative");
    return false;
  }
  if (*timeout > 0)
    *deadline_us = c.server.env().clock.monotonic_us() + static_cast<uint64_t>(*timeout) * 1000;
  return true;
}

void wait_or_answer(CommandContext& c, const Wait& wait) {
  Replication& replication = c.server.replication();
  // In a transaction or a script nobody can wait: it is told what there is.
  if (c.block == nullptr || replication.reached(wait)) return replication.answer(c.reply, wait);
  replication.wait(c.client, wait);
}

void wait(CommandContext& c) {
  Wait wait;
  const auto replicas = parse_integer(c.args[1]);
  if (!replicas) return c.reply.error(kNotAnInteger);
  if (c.server.replication().is_replica()) {
    return c.reply.error(
        "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica "
        "is configured to be writable (which is not the default) writes to replicas are just local and are "
        "not propagated.");
  }
  if (!deadline(c, c.args[2], &wait.deadline_us)) return;
  wait.lsn = c.client.last_write_lsn;
  wait.replicas = *replicas < 0 ? 0 : static_cast<size_t>(*replicas);
  wait_or_answer(c, wait);
}

void waitaof(CommandContext& c) {
  Wait wait;
  wait.what = Wait::For::kSynced;
  const auto local = parse_integer(c.args[1]);
  if (!local || *local < 0 || *local > 1)
    return c.reply.error("ERR value is out of range, must be between 0 and 1");
  const auto replicas = parse_integer(c.args[2]);
  if (!replicas || *replicas < 0) return c.reply.error("ERR value is out of range, must be positive");
  if (!deadline(c, c.args[3], &wait.deadline_us)) return;
  if (c.server.replication().is_replica()) {
    return c.reply.error(
        "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are "
        "just "
        "local and are not propagated.");
  }
  wait.lsn = c.client.last_write_lsn;
  wait.replicas = static_cast<size_t>(*replicas);
  wait.local = *local == 1;
  wait_or_answer(c, wait);
}

// WAITLSN: where this connection's last write ended. WAITLSN lsn timeout: until this server has come there.
void waitlsn(CommandContext& c) {
  if (c.args.size() == 1) return c.reply.integer(static_cast<int64_t>(c.client.last_write_lsn));
  if (c.args.size() != 3) return c.reply.error(kSyntaxError);
  Wait wait;
  wait.what = Wait::For::kHere;
  const auto lsn = parse_integer(c.args[1]);
  if (!lsn || *lsn < 0) return c.reply.error(kNotAnInteger);
  wait.lsn = static_cast<engine::Lsn>(*lsn);
  if (!deadline(c, c.args[2], &wait.deadline_us)) return;
  wait_or_answer(c, wait);
}

// ------------------------------------------------------------------ FAILOVER

void failover(CommandContext& c) {
  std::string host;
  int64_t port = 0;
  uint64_t timeout_ms = 0;
  bool has_timeout = false, force = false, abort = false;
  for (size_t i = 1; i < c.args.size(); ++i) {
    if (equals_ignoring_case(c.args[i], "to") && i + 2 < c.args.size() && host.empty()) {
      host = c.args[i + 1];
      const auto number = parse_integer(c.args[i + 2]);
      if (!number) return c.reply.error(kNotAnInteger);
      port = *number;
      i += 2;
    } else if (equals_ignoring_case(c.args[i], "timeout") && i + 1 < c.args.size() && !has_timeout) {
      const auto number = parse_integer(c.args[++i]);
      if (!number) return c.reply.error(kNotAnInteger);
      if (*number <= 0 || *number > INT64_MAX / 2000)
        return c.reply.error("ERR FAILOVER timeout must be greater than 0");
      timeout_ms = static_cast<uint64_t>(*number);
      has_timeout = true;
    } else if (equals_ignoring_case(c.args[i], "force") && !force) {
      force = true;
    } else if (equals_ignoring_case(c.args[i], "abort") && c.args.size() == 2) {
      abort = true;
    } else {
      return c.reply.error(kSyntaxError);
    }
  }
  Replication& replication = c.server.replication();
  if (abort) {
    if (!replication.abort_failover()) return c.reply.error("ERR No failover in progress.");
    return c.reply.ok();
  }
  if (force && (!has_timeout || host.empty()))
    return c.reply.error("ERR FAILOVER with force option requires both a timeout and target HOST and IP.");
  const std::string error = replication.fail_over(std::move(host), static_cast<int>(port), force, timeout_ms);
  if (!error.empty()) return c.reply.error(error);
  c.reply.ok();
}

constexpr Binding kBindings[] = {{"replicaof", &replicaof}, {"slaveof", &replicaof}, {"role", &role},
                                 {"varvesync", &varvesync}, {"psync", &psync},       {"sync", &sync},
                                 {"replconf", &replconf},   {"wait", &wait},         {"waitaof", &waitaof},
                                 {"waitlsn", &waitlsn},     {"failover", &failover}};

}  // namespace

void bind_replication_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
