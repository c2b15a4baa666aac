// server/settings.h: what is set, as plain fields, for code that must not look names up.
//
// Fields are named as in CONFIG, with the unit last where there is one; what each does and may be stands in
// the table (server/config/table.cc). A parameter has a field here exactly if it acts; the rest is only
// remembered. Threads: owned by the reactor. Workers are handed copies of what they need.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "server/log.h"

namespace server {

// The order of each enum's words is that of its row in the table.
enum class AppendFsync : unsigned char { kEverySec, kAlways, kNo };
enum class BlockCompression : unsigned char { kLz4, kNone };
enum class Allowed : unsigned char { kNo, kYes, kLocal };  // kLocal: clients on loopback or the unix socket.
enum class Supervision : unsigned char { kUpstart, kSystemd, kAuto, kNo };

enum class ClientClass : unsigned char { kNormal, kReplica, kPubsub };
struct OutputBufferLimit {
  uint64_t hard_bytes = 0;  // 0: none.
  uint64_t soft_bytes = 0;
  int64_t soft_seconds = 0;
};

struct Settings {
  // Doors
  int port = 0;                   // 0: no TCP.
  std::vector<std::string> bind;  // A leading '-': no error if the address cannot be bound. "*", "::*": all.
  std::string unixsocket;         // Empty: none. Relative to dir.
  uint32_t unixsocketperm = 0;    // 0: as umask leaves it.
  int tcp_backlog = 0;
  int tcp_keepalive_seconds = 0;
  bool protected_mode = false;

  // Clients
  uint32_t maxclients = 0;
  int timeout_seconds = 0;
  std::string requirepass;
  std::string aclfile;                         // Empty: none. Relative to dir.
  bool acl_resets_channels_by_default = true;  // What a new user may listen to: nothing, or all.
  uint64_t acllog_max_len = 0;
  uint64_t proto_max_bulk_len = 0;
  uint64_t client_query_buffer_limit = 0;
  std::array<OutputBufferLimit, 3> client_output_buffer_limit;  // By ClientClass.
  uint32_t notify_keyspace_events = 0;                          // namespace notify (server/effects.h).
  uint64_t tracking_table_max_keys = 0;                         // 0: no limit.
  uint64_t busy_reply_threshold_ms = 0;                         // 0: a script is never said to be busy.
  Allowed enable_debug_command = Allowed::kNo;
  Allowed enable_protected_configs = Allowed::kNo;

  // Data
  std::string dir;  // Absolute.
  int databases = 0;
  AppendFsync appendfsync = AppendFsync::kEverySec;
  uint64_t maxmemory_bytes = 0;      // 0: derived from the machine.
  uint64_t memtable_size_bytes = 0;  // 0: derived from maxmemory.
  BlockCompression compression = BlockCompression::kLz4;
  uint32_t block_size_bytes = 0;
  uint64_t log_segment_size_bytes = 0;
  uint64_t disk_reserve_bytes = 0;

  // Replication
  std::string replicaof;  // "host port"; empty: a primary.
  std::string masterauth;
  std::string masteruser;
  bool replica_serve_stale_data = false;
  int replica_priority = 0;
  bool replica_announced = false;
  std::string replica_announce_ip;  // Empty: as the connection has it.
  int replica_announce_port = 0;    // 0: port.
  uint64_t repl_backlog_size_bytes = 0;
  int64_t repl_backlog_ttl_seconds = 0;     // 0: for ever.
  uint64_t repl_lag_size_max_bytes = 0;     // 0: any.
  uint64_t repl_checkpoint_rate_bytes = 0;  // A second, to one replica; 0: as fast as it goes.
  int repl_timeout_seconds = 0;
  int repl_ping_replica_period_seconds = 0;
  uint32_t min_replicas_to_write = 0;
  int min_replicas_max_lag_seconds = 0;
  uint32_t min_sync_replicas = 0;
  int64_t sync_replica_timeout_ms = 0;  // 0: for ever.

  // Encodings: what OBJECT ENCODING says, and within limits of our own what is kept inline.
  uint64_t hash_max_listpack_entries = 0;
  uint64_t hash_max_listpack_value_bytes = 0;
  uint64_t set_max_intset_entries = 0;
  uint64_t zset_max_listpack_entries = 0;
  uint64_t zset_max_listpack_value_bytes = 0;
  uint64_t stream_node_max_bytes = 0;    // What XTRIM ~ takes at once; 0: any number.
  uint64_t stream_node_max_entries = 0;  // The same.
  uint64_t hll_sparse_max_bytes = 0;

  // The process
  int shutdown_timeout_seconds = 0;
  uint32_t shutdown_on_sigint = 0, shutdown_on_sigterm = 0;  // Shutdown::how().
  bool daemonize = false;
  Supervision supervised = Supervision::kNo;
  std::string pidfile;  // Empty: none, unless daemonized.
  std::string logfile;  // Empty: stdout.
  LogLevel loglevel = LogLevel::kNotice;

  // Watching
  int64_t slowlog_log_slower_than_us = 0;  // -1: nothing, 0: everything.
  uint64_t slowlog_max_len = 0;
  bool latency_tracking = false;
  std::vector<double> latency_tracking_info_percentiles;
  int64_t latency_monitor_threshold_ms = 0;  // 0: off.
};

}  // namespace server
