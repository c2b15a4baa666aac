// The table of all settings: every parameter of Redis 7.0, and Varve's own.
//
// A row: name, alias, range or words, default, flags, the field of Settings it sets, one sentence. No field
// means that it is accepted: checked, remembered, shown and written by CONFIG REWRITE, so that people's files
// and tools carry over, without any effect. Defaults are Redis's but for appendonly. To make a parameter act,
// give it a field. What would be dangerous to accept without effect is refused by the last column.
#include <array>
#include <climits>
#include <type_traits>

#include "server/config/parameter.h"
#include "server/units.h"

namespace server {
namespace {

constexpr int64_t kInt = INT_MAX;
constexpr int64_t kIntMin = INT_MIN;
constexpr int64_t kUint = UINT_MAX;
constexpr int64_t kLong = INT64_MAX;
constexpr int64_t kUlong = -1;  // Compared as unsigned.

// Sets one field of Settings from a value, as the field's type wants it.
template <auto kField>
void into(Settings& settings, const Value& value) {
  auto& field = settings.*kField;
  using Field = std::remove_reference_t<decltype(field)>;
  if constexpr (std::is_integral_v<Field> || std::is_enum_v<Field>) {
    field = static_cast<Field>(value.number);
  } else if constexpr (std::is_same_v<Field, std::string>) {
    field = value.text;
  } else if constexpr (std::is_same_v<Field, std::vector<std::string>>) {
    field = split_at_blanks(value.text);
  } else if constexpr (std::is_same_v<Field, std::vector<double>>) {
    field.clear();
    for (const std::string& word : split_at_blanks(value.text)) field.push_back(*parse_double(word));
  } else {
    field = read_output_limits(value.text);
  }
}

using Text = const char*;
using Act = void (*)(Settings&, const Value&);
using Refuse = const char* (*)(const std::string&);
using Type = ParameterType;

constexpr Parameter text(Type type, Text name, Text alias, Text initial, unsigned flags, Act act,
                         Text purpose, Refuse refuse = nullptr) {
  return {name, alias, type, initial, 0, 0, "", flags, refuse, act, purpose};
}
constexpr Parameter string(Text name, Text alias, Text initial, unsigned flags, Act act, Text purpose,
                           Refuse refuse = nullptr) {
  return text(Type::kString, name, alias, initial, flags, act, purpose, refuse);
}
constexpr Parameter yes_no(Text name, Text alias, Text initial, unsigned flags, Act act, Text purpose,
                           Refuse refuse = nullptr) {
  return text(Type::kBool, name, alias, initial, flags, act, purpose, refuse);
}
constexpr Parameter range(Type type, Text name, Text alias, int64_t min, int64_t max, Text initial,
                          unsigned flags, Act act, Text purpose, Refuse refuse = nullptr) {
  return {name, alias, type, initial, min, max, "", flags, refuse, act, purpose};
}
constexpr Parameter integer(Text name, Text alias, int64_t min, int64_t max, Text initial, unsigned flags,
                            Act act, Text purpose, Refuse refuse = nullptr) {
  return range(Type::kInteger, name, alias, min, max, initial, flags, act, purpose, refuse);
}
constexpr Parameter octal(Text name, Text alias, int64_t min, int64_t max, Text initial, unsigned flags,
                          Act act, Text purpose) {
  return range(Type::kOctal, name, alias, min, max, initial, flags, act, purpose);
}
constexpr Parameter memory(Text name, Text alias, int64_t min, int64_t max, Text initial, unsigned flags,
                           Act act, Text purpose) {
  return range(Type::kMemory, name, alias, min, max, initial, flags, act, purpose);
}
constexpr Parameter memory_or_part(Text name, Text alias, int64_t min, int64_t max, Text initial,
                                   unsigned flags, Act act, Text purpose) {
  return range(Type::kMemoryOrPart, name, alias, min, max, initial, flags, act, purpose);
}
constexpr Parameter one_of(Text name, Text words, Text initial, unsigned flags, Act act, Text purpose) {
  return {name, nullptr, Type::kEnum, initial, 0, 0, words, flags, nullptr, act, purpose};
}
constexpr Parameter some_of(Text name, Text words, Text initial, unsigned flags, Act act, Text purpose,
                            Refuse refuse) {
  return {name, nullptr, Type::kFlags, initial, 0, 0, words, flags, refuse, act, purpose};
}

bool is_path(const std::string& text) { return text.find_first_of("/\\") != std::string::npos; }

Text refuse_db_filename(const std::string& text) {
  return is_path(text) ? "dbfilename can't be a path, just a filename" : nullptr;
}
Text refuse_append_filename(const std::string& text) {
  if (text.empty()) return "appendfilename can't be empty";
  return is_path(text) ? "appendfilename can't be a path, just a filename" : nullptr;
}
Text refuse_append_dirname(const std::string& text) {
  if (text.empty()) return "appenddirname can't be empty";
  return is_path(text) ? "appenddirname can't be a path, just a dirname" : nullptr;
}
Text refuse_hostname(const std::string& text) {
  if (text.size() >= 256) return "Hostnames must be less than 256 characters";
  for (const char c : text) {
    const char l = lower_char(c);
    if (!((l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.')) {
      return "Hostnames may only contain alphanumeric characters, hyphens or dots";
    }
  }
  return nullptr;
}
Text refuse_title(const std::string& text) {
  constexpr Text kError = "template format is invalid or contains unknown variables";
  // The last three may stand for nothing, and a title of nothing is none.
  constexpr std::string_view kNames[] = {"{listen-addr}", "{server-mode}", "{port}",       "{tls-port}",
                                         "{title}",       "{unixsocket}",  "{config-file}"};
  constexpr size_t kNeverEmpty = 4;
  bool shows_something = false;
  std::string_view rest = text;
  while (!rest.empty()) {
    size_t length = 1;
    bool shows = rest[0] != ' ';
    if (rest.starts_with("{{")) {
      length = 2;
    } else if (rest[0] == '{') {
      size_t i = 0;
      while (i < std::size(kNames) && !rest.starts_with(kNames[i])) ++i;
      if (i == std::size(kNames)) return kError;
      length = kNames[i].size();
      shows = i < kNeverEmpty;
    }
    shows_something |= shows;
    rest.remove_prefix(length);
  }
  return shows_something ? nullptr : kError;
}
Text refuse_save_and_nosave(const std::string& text) {
  return text.starts_with("save nosave") ? "shutdown options SAVE and NOSAVE can't be used simultaneously"
                                         : nullptr;
}

// A server that ignored these would be open, lonely or unreachable where its owner believes otherwise.
Text refuse_cluster(const std::string& text) { return text == "no" ? nullptr : "Varve has no cluster mode"; }
Text refuse_tls(const std::string& text) { return text == "0" ? nullptr : "Varve has no TLS"; }

// clang-format off
constexpr auto kParameters = std::to_array<Parameter>({
    // Network
    integer("port", nullptr, 0, 65535, "6379", 0, into<&Settings::port>, "TCP port; 0 listens on none."),
    text(ParameterType::kAddresses, "bind", nullptr, "* -::*", 0, into<&Settings::bind>,
        "Addresses to listen on; a leading '-' lets an address be missing, none at all listens on no TCP."),
    string("bind-source-addr", nullptr, "", 0, nullptr, "Local address for outgoing connections."),
    string("unixsocket", nullptr, "", kImmutable, into<&Settings::unixsocket>,
        "Path of a unix socket to listen on."),
    octal("unixsocketperm", nullptr, 0, 0777, "0", kImmutable, into<&Settings::unixsocketperm>,
        "Mode of the unix socket, in octal; 0 leaves it to umask."),
    integer("tcp-backlog", nullptr, 0, kInt, "511", kImmutable, into<&Settings::tcp_backlog>,
        "Length of the kernel's queue of connections not yet accepted."),
    integer("tcp-keepalive", nullptr, 0, kInt, "300", 0, into<&Settings::tcp_keepalive_seconds>,
        "Seconds between TCP keepalive probes; 0 sends none."),
    yes_no("protected-mode", nullptr, "yes", 0, into<&Settings::protected_mode>,
        "Refuses clients from other machines while there is no password."),
    integer("socket-mark-id", nullptr, 0, kUint, "0", kImmutable, nullptr,
        "Mark for sockets, for the system's packet filter."),
    integer("io-threads", nullptr, 1, 128, "1", kImmutable, nullptr,
        "One reactor thread serves all connections; workers serve the disk."),
    yes_no("io-threads-do-reads", nullptr, "no", kImmutable, nullptr, "See io-threads."),

    // Clients
    integer("maxclients", nullptr, 1, kUint, "10000", 0, into<&Settings::maxclients>,
        "Connections served at the same time; further ones are refused."),
    integer("timeout", nullptr, 0, kInt, "0", 0, into<&Settings::timeout_seconds>,
        "Seconds after which an idle client is closed; 0 is never."),
    memory("client-query-buffer-limit", nullptr, 1048576, kLong, "1073741824", 0, into<&Settings::client_query_buffer_limit>,
        "Most bytes of a client's request that wait to be complete."),
    memory("proto-max-bulk-len", nullptr, 1048576, kLong, "536870912", 0, into<&Settings::proto_max_bulk_len>,
        "Longest bulk string that a client may send."),
    text(ParameterType::kOutputLimits, "client-output-buffer-limit", nullptr, "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", 0, into<&Settings::client_output_buffer_limit>,
        "Unread replies that close a client, by class: at once (hard), or when they last for seconds (soft)."),
    memory_or_part("maxmemory-clients", nullptr, -100, kLong, "0", 0, nullptr,
        "Memory that all clients may take together, as bytes or a percentage of maxmemory."),
    integer("tracking-table-max-keys", nullptr, 0, kLong, "1000000", 0, into<&Settings::tracking_table_max_keys>,
        "Keys remembered for client-side caching."),
    integer("busy-reply-threshold", "lua-time-limit", 0, kLong, "5000", 0, into<&Settings::busy_reply_threshold_ms>,
        "Milliseconds after which a running script lets others be answered BUSY; 0 is never."),

    // Security
    string("requirepass", nullptr, "", kSensitive, into<&Settings::requirepass>,
        "Password of the default user; empty asks for none."),
    string("aclfile", nullptr, "", kImmutable, into<&Settings::aclfile>,
        "File of users and what they may do, for ACL LOAD and SAVE; empty: they are in the configuration."),
    one_of("acl-pubsub-default", "allchannels resetchannels", "resetchannels", 0, into<&Settings::acl_resets_channels_by_default>,
        "Channels that a new user may use."),
    integer("acllog-max-len", nullptr, 0, kLong, "128", 0, into<&Settings::acllog_max_len>, "Entries that ACL LOG keeps."),
    one_of("enable-protected-configs", "no yes local", "no", kImmutable, into<&Settings::enable_protected_configs>,
        "Whether CONFIG SET may change protected parameters; local: from this machine."),
    one_of("enable-debug-command", "no yes local", "no", kImmutable, into<&Settings::enable_debug_command>,
        "Whether DEBUG may be used; local: from this machine."),
    one_of("enable-module-command", "no yes local", "no", kImmutable, nullptr,
        "There are no modules to be loaded."),
    string("ignore-warnings", nullptr, "", 0, nullptr,
        "Warnings about the system that do not stop the start."),

    // Data
    text(ParameterType::kDirectory, "dir", nullptr, "./", kProtected | kImmutable, into<&Settings::dir>,
        "Folder of all data files; one server at a time may use it."),
    integer("databases", nullptr, 1, kInt, "16", kImmutable, into<&Settings::databases>,
        "Number of databases for SELECT."),
    one_of("appendfsync", "everysec always no", "everysec", 0, into<&Settings::appendfsync>,
        "When a write is on stable storage: before its reply (always), within a second (everysec), or when the system likes (no)."),
    yes_no("appendonly", nullptr, "yes", 0, nullptr, "The log is always on: every write goes to it."),
    text(ParameterType::kSave, "save", nullptr, "3600 1 300 100 60 10000", 0, nullptr,
        "There are no snapshots to schedule: every write is in the log."),
    memory("maxmemory", nullptr, 0, kUlong, "0", 0, into<&Settings::maxmemory_bytes>,
        "Memory for memtables, caches, indexes and clients together; 0 derives it from the machine."),
    one_of("maxmemory-policy", "volatile-lru volatile-lfu volatile-random volatile-ttl allkeys-lru allkeys-lfu allkeys-random noeviction", "noeviction", 0, nullptr,
        "Data lives on disk, so nothing is evicted when memory is full."),
    integer("maxmemory-samples", nullptr, 1, kInt, "5", 0, nullptr, "See maxmemory-policy."),
    integer("maxmemory-eviction-tenacity", nullptr, 0, 100, "10", 0, nullptr, "See maxmemory-policy."),
    integer("active-expire-effort", nullptr, 1, 10, "1", 0, nullptr,
        "Expired keys are found by an index, so there is no effort to choose."),
    text(ParameterType::kEvents, "notify-keyspace-events", nullptr, "", 0, into<&Settings::notify_keyspace_events>,
        "Classes of keyspace events to publish."),

    // The engine
    memory("memtable-size", nullptr, 0, 17179869184, "0", kImmutable | kSettled, into<&Settings::memtable_size_bytes>,
        "Bytes of writes gathered in memory before they become a table; 0 derives it from maxmemory. (Varve)"),
    one_of("compression", "lz4 none", "lz4", kImmutable | kSettled, into<&Settings::compression>,
        "How blocks of new tables are compressed. (Varve)"),
    memory("block-size", nullptr, 1024, 32768, "4096", kImmutable | kSettled, into<&Settings::block_size_bytes>,
        "Bytes of a table's block before compression: the unit of reading from disk. (Varve)"),
    memory("log-segment-size", nullptr, 1048576, 4294967296, "33554432", kImmutable | kSettled, into<&Settings::log_segment_size_bytes>,
        "Bytes of one file of the log. (Varve)"),
    memory("disk-reserve", nullptr, 0, kLong, "67108864", kImmutable | kSettled, into<&Settings::disk_reserve_bytes>,
        "Disk space that writes leave free, so that deletes and compactions still work on a full disk. (Varve)"),

    // The process
    yes_no("daemonize", nullptr, "no", kImmutable, into<&Settings::daemonize>,
        "Goes to the background after the start."),
    one_of("supervised", "upstart systemd auto no", "no", kImmutable, into<&Settings::supervised>,
        "Who is told that the server is ready."),
    string("pidfile", nullptr, "", kImmutable, into<&Settings::pidfile>, "File for the process id."),
    string("logfile", nullptr, "", kImmutable, into<&Settings::logfile>,
        "File for the log; empty is stdout."),
    one_of("loglevel", "debug verbose notice warning", "notice", 0, into<&Settings::loglevel>,
        "Least important kind of line that is logged."),
    yes_no("syslog-enabled", nullptr, "no", kImmutable, nullptr,
        "Lines go to stdout or logfile, from where the system collects them."),
    string("syslog-ident", nullptr, "redis", kImmutable, nullptr, "See syslog-enabled."),
    one_of("syslog-facility", "user local0 local1 local2 local3 local4 local5 local6 local7", "local0", kImmutable, nullptr,
        "See syslog-enabled."),
    yes_no("crash-log-enabled", nullptr, "yes", 0, nullptr, "A crash leaves what the system leaves."),
    yes_no("crash-memcheck-enabled", nullptr, "yes", 0, nullptr, "See crash-log-enabled."),
    yes_no("use-exit-on-panic", nullptr, "no", kHidden, nullptr, "See crash-log-enabled."),
    integer("watchdog-period", nullptr, 0, kInt, "0", kHidden, nullptr,
        "Milliseconds after which a slow command would be reported from a signal handler."),
    yes_no("always-show-logo", nullptr, "no", kImmutable, nullptr, "There is no logo."),
    yes_no("set-proc-title", nullptr, "yes", kImmutable, nullptr, "The process keeps its title."),
    string("proc-title-template", nullptr, "{title} {listen-addr} {server-mode}", 0, nullptr,
        "See set-proc-title.", refuse_title),
    one_of("oom-score-adj", "no yes relative=yes absolute", "no", 0, nullptr,
        "Whether the kernel's out-of-memory score is changed."),
    text(ParameterType::kOomValues, "oom-score-adj-values", nullptr, "0 200 800", 0, nullptr,
        "See oom-score-adj."),
    yes_no("disable-thp", nullptr, "yes", kImmutable, nullptr, "Huge pages are left as the system has them."),
    string("server_cpulist", nullptr, "", kImmutable, nullptr, "Threads run where the system puts them."),
    string("bio_cpulist", nullptr, "", kImmutable, nullptr, "See server_cpulist."),
    string("aof_rewrite_cpulist", nullptr, "", kImmutable, nullptr, "See server_cpulist."),
    string("bgsave_cpulist", nullptr, "", kImmutable, nullptr, "See server_cpulist."),
    integer("shutdown-timeout", nullptr, 0, kInt, "10", 0, into<&Settings::shutdown_timeout_seconds>,
        "Seconds that a shutdown waits for replicas to have everything."),
    some_of("shutdown-on-sigint", "default save nosave now force", "default", 0, into<&Settings::shutdown_on_sigint>,
        "As what SHUTDOWN a SIGINT is taken.", refuse_save_and_nosave),
    some_of("shutdown-on-sigterm", "default save nosave now force", "default", 0, into<&Settings::shutdown_on_sigterm>,
        "As what SHUTDOWN a SIGTERM is taken.", refuse_save_and_nosave),
    integer("hz", nullptr, 1, 500, "10", kClamped, nullptr,
        "Background work is started by events, not by a timer."),
    yes_no("dynamic-hz", nullptr, "yes", 0, nullptr, "See hz."),
    yes_no("activerehashing", nullptr, "yes", 0, nullptr,
        "There is no table to be rehashed in the background."),
    yes_no("jemalloc-bg-thread", nullptr, "yes", 0, nullptr, "The allocator's own background thread."),
    yes_no("activedefrag", nullptr, "no", 0, nullptr,
        "Data lives on disk: there is nothing to defragment in memory."),
    memory("active-defrag-ignore-bytes", nullptr, 1, kLong, "104857600", 0, nullptr, "See activedefrag."),
    integer("active-defrag-threshold-lower", nullptr, 0, 1000, "10", 0, nullptr, "See activedefrag."),
    integer("active-defrag-threshold-upper", nullptr, 0, 1000, "100", 0, nullptr, "See activedefrag."),
    integer("active-defrag-cycle-min", nullptr, 1, 99, "1", 0, nullptr, "See activedefrag."),
    integer("active-defrag-cycle-max", nullptr, 1, 99, "25", 0, nullptr, "See activedefrag."),
    integer("active-defrag-max-scan-fields", nullptr, 1, kLong, "1000", 0, nullptr, "See activedefrag."),

    // Watching
    integer("slowlog-log-slower-than", nullptr, -1, kLong, "10000", 0, into<&Settings::slowlog_log_slower_than_us>,
        "Microseconds from which on a command is put into the slow log; -1 logs none, 0 all."),
    integer("slowlog-max-len", nullptr, 0, kLong, "128", 0, into<&Settings::slowlog_max_len>,
        "Entries that the slow log keeps."),
    yes_no("latency-tracking", nullptr, "yes", 0, into<&Settings::latency_tracking>,
        "Whether the latency of each command is recorded."),
    text(ParameterType::kPercentiles, "latency-tracking-info-percentiles", nullptr, "50 99 99.9", 0, into<&Settings::latency_tracking_info_percentiles>,
        "Percentiles that INFO latencystats shows."),
    integer("latency-monitor-threshold", nullptr, 0, kLong, "0", 0, into<&Settings::latency_monitor_threshold_ms>,
        "Milliseconds from which on LATENCY remembers an event; 0 is off."),

    // Replication
    text(ParameterType::kPrimary, "replicaof", "slaveof", "", kImmutable, into<&Settings::replicaof>,
        "The primary to follow; empty: this is one."),
    string("masterauth", nullptr, "", kSensitive, into<&Settings::masterauth>, "Password for the primary."),
    string("masteruser", nullptr, "", kSensitive, into<&Settings::masteruser>, "User name for the primary."),
    yes_no("replica-serve-stale-data", "slave-serve-stale-data", "yes", 0, into<&Settings::replica_serve_stale_data>,
        "Whether a replica answers while it has no contact to its primary."),
    yes_no("replica-read-only", "slave-read-only", "yes", 0, nullptr,
        "A replica always refuses writes of its clients: its log is its primary's."),
    integer("replica-priority", "slave-priority", 0, kInt, "100", 0, into<&Settings::replica_priority>,
        "Rank for Sentinel's choice of a new primary; 0 is never."),
    string("replica-announce-ip", "slave-announce-ip", "", 0, into<&Settings::replica_announce_ip>,
        "Address that a replica tells its primary."),
    integer("replica-announce-port", "slave-announce-port", 0, 65535, "0", 0, into<&Settings::replica_announce_port>,
        "Port that a replica tells its primary."),
    yes_no("replica-announced", nullptr, "yes", 0, into<&Settings::replica_announced>, "Whether Sentinel shows this replica."),
    yes_no("replica-lazy-flush", "slave-lazy-flush", "no", 0, nullptr,
        "Flushing is one step here, whatever it removes."),
    yes_no("replica-ignore-maxmemory", "slave-ignore-maxmemory", "yes", 0, nullptr, "See maxmemory-policy."),
    yes_no("replica-ignore-disk-write-errors", nullptr, "no", 0, nullptr,
        "A replica whose disk fails stops taking writes."),
    yes_no("repl-disable-tcp-nodelay", nullptr, "no", 0, nullptr, "Replication sends at once."),
    yes_no("repl-diskless-sync", nullptr, "yes", 0, nullptr,
        "A full sync sends the immutable files of a checkpoint."),
    integer("repl-diskless-sync-delay", nullptr, 0, kInt, "5", 0, nullptr, "See repl-diskless-sync."),
    integer("repl-diskless-sync-max-replicas", nullptr, 0, kInt, "0", 0, nullptr, "See repl-diskless-sync."),
    one_of("repl-diskless-load", "disabled on-empty-db swapdb", "disabled", 0, nullptr,
        "See repl-diskless-sync."),
    memory("repl-backlog-size", nullptr, 1, kLong, "268435456", 0, into<&Settings::repl_backlog_size_bytes>,
        "Bytes of the log that are kept on disk for replicas that come back, so that they need no full copy."),
    integer("repl-backlog-ttl", nullptr, 0, kLong, "3600", 0, into<&Settings::repl_backlog_ttl_seconds>,
        "Seconds without any replica after which a primary keeps no log for them any more; 0 is never."),
    memory("repl-lag-size-max", nullptr, 0, kLong, "17179869184", 0, into<&Settings::repl_lag_size_max_bytes>,
        "Bytes of log that one replica may hold back on disk; one that is behind by more gets a full copy when it comes back. 0 is any."),
    memory("repl-checkpoint-rate", nullptr, 0, kLong, "67108864", 0, into<&Settings::repl_checkpoint_rate_bytes>,
        "Bytes of a full copy that are sent to one replica a second; 0 is as fast as it goes."),
    integer("repl-timeout", nullptr, 1, kInt, "60", 0, into<&Settings::repl_timeout_seconds>,
        "Seconds without a sign of life after which the other side counts as gone."),
    integer("repl-ping-replica-period", "repl-ping-slave-period", 1, kInt, "10", 0, into<&Settings::repl_ping_replica_period_seconds>,
        "Seconds between a primary's pings."),
    integer("min-replicas-to-write", "min-slaves-to-write", 0, kInt, "0", 0, into<&Settings::min_replicas_to_write>,
        "Replicas without which a primary refuses writes."),
    integer("min-replicas-max-lag", "min-slaves-max-lag", 0, kInt, "10", 0, into<&Settings::min_replicas_max_lag_seconds>,
        "Seconds of silence up to which a replica counts for that."),
    integer("min-sync-replicas", nullptr, 0, 64, "0", 0, into<&Settings::min_sync_replicas>,
        "Replicas that must have a write (and, under appendfsync always, have synced it) before it is answered."),
    integer("sync-replica-timeout", nullptr, 0, kInt, "10000", 0, into<&Settings::sync_replica_timeout_ms>,
        "Milliseconds after which connections that wait for min-sync-replicas are closed unanswered; 0 is never."),
    one_of("propagation-error-behavior", "ignore panic panic-on-replicas", "ignore", 0, nullptr,
        "Replicas replay bytes of the log, not commands."),
    yes_no("rdb-del-sync-files", nullptr, "no", 0, nullptr, "See repl-diskless-sync."),

    // Encodings
    integer("hash-max-listpack-entries", "hash-max-ziplist-entries", 0, kLong, "512", 0, into<&Settings::hash_max_listpack_entries>,
        "Fields up to which a hash is a listpack to OBJECT ENCODING; it lives whole in its header up to 128 of them and 1 KB."),
    memory("hash-max-listpack-value", "hash-max-ziplist-value", 0, kLong, "64", 0, into<&Settings::hash_max_listpack_value_bytes>,
        "Bytes of a field or value up to which a hash is a listpack to OBJECT ENCODING."),
    integer("set-max-intset-entries", nullptr, 0, kLong, "512", 0, into<&Settings::set_max_intset_entries>,
        "Members up to which a set of integers is an intset to OBJECT ENCODING; a set lives whole in its header up to 128 of them and 1 KB."),
    integer("zset-max-listpack-entries", "zset-max-ziplist-entries", 0, kLong, "128", 0,
        into<&Settings::zset_max_listpack_entries>,
        "Members up to which a sorted set is a listpack to OBJECT ENCODING; past them it leaves its header."),
    memory("zset-max-listpack-value", "zset-max-ziplist-value", 0, kLong, "64", 0,
        into<&Settings::zset_max_listpack_value_bytes>, "Bytes of a member up to which a sorted set is a listpack to OBJECT ENCODING."),
    integer("list-max-listpack-size", "list-max-ziplist-size", kIntMin, kInt, "-2", 0, nullptr,
        "See hash-max-listpack-entries."),
    integer("list-compress-depth", nullptr, 0, kInt, "0", 0, nullptr,
        "Blocks are compressed whatever they hold."),
    memory("stream-node-max-bytes", nullptr, 0, kLong, "4096", 0, into<&Settings::stream_node_max_bytes>,
        "Bytes of entries that trimming with ~ takes or leaves as one."),
    integer("stream-node-max-entries", nullptr, 0, kLong, "100", 0, into<&Settings::stream_node_max_entries>,
        "Entries that trimming with ~ takes or leaves as one."),
    memory("hll-sparse-max-bytes", nullptr, 0, kLong, "3000", 0, into<&Settings::hll_sparse_max_bytes>,
        "Longest HyperLogLog in the sparse form."),
    integer("lfu-log-factor", nullptr, 0, kInt, "10", 0, nullptr, "See maxmemory-policy."),
    integer("lfu-decay-time", nullptr, 0, kInt, "1", 0, nullptr, "See maxmemory-policy."),
    yes_no("lazyfree-lazy-eviction", nullptr, "no", 0, nullptr, "Deleting costs the same for any size here."),
    yes_no("lazyfree-lazy-expire", nullptr, "no", 0, nullptr, "See lazyfree-lazy-eviction."),
    yes_no("lazyfree-lazy-server-del", nullptr, "no", 0, nullptr, "See lazyfree-lazy-eviction."),
    yes_no("lazyfree-lazy-user-del", nullptr, "no", 0, nullptr, "See lazyfree-lazy-eviction."),
    yes_no("lazyfree-lazy-user-flush", nullptr, "no", 0, nullptr, "See lazyfree-lazy-eviction."),
    one_of("sanitize-dump-payload", "no yes clients", "no", 0, nullptr,
        "What RESTORE is given is always checked."),

    // Snapshots and append-only files of Redis
    string("dbfilename", nullptr, "dump.rdb", kProtected, nullptr,
        "Name of the snapshot file.", refuse_db_filename),
    yes_no("rdbcompression", nullptr, "yes", 0, nullptr, "See save."),
    yes_no("rdbchecksum", nullptr, "yes", kImmutable, nullptr, "Every block on disk has a checksum, always."),
    yes_no("rdb-save-incremental-fsync", nullptr, "yes", 0, nullptr, "See save."),
    integer("rdb-key-save-delay", nullptr, kIntMin, kInt, "0", kHidden, nullptr, "See save."),
    integer("key-load-delay", nullptr, kIntMin, kInt, "0", kHidden, nullptr, "See save."),
    integer("loading-process-events-interval-bytes", nullptr, 1024, kInt, "2097152", kHidden, nullptr,
        "See save."),
    yes_no("stop-writes-on-bgsave-error", nullptr, "yes", 0, nullptr,
        "Writes stop when the log cannot be written."),
    string("appendfilename", nullptr, "appendonly.aof", kImmutable, nullptr,
        "Log files are named by the position at which they begin.", refuse_append_filename),
    string("appenddirname", nullptr, "appendonlydir", kImmutable, nullptr,
        "See appendfilename.", refuse_append_dirname),
    yes_no("no-appendfsync-on-rewrite", nullptr, "no", 0, nullptr, "The log is never rewritten."),
    integer("auto-aof-rewrite-percentage", nullptr, 0, kInt, "100", 0, nullptr,
        "See no-appendfsync-on-rewrite."),
    memory("auto-aof-rewrite-min-size", nullptr, 0, kLong, "67108864", 0, nullptr,
        "See no-appendfsync-on-rewrite."),
    yes_no("aof-rewrite-incremental-fsync", nullptr, "yes", 0, nullptr, "See no-appendfsync-on-rewrite."),
    yes_no("aof-load-truncated", nullptr, "yes", 0, nullptr,
        "What a power cut leaves of the log is cut; other damage stops the start."),
    yes_no("aof-use-rdb-preamble", nullptr, "yes", 0, nullptr, "See no-appendfsync-on-rewrite."),
    yes_no("aof-timestamp-enabled", nullptr, "no", 0, nullptr, "See no-appendfsync-on-rewrite."),
    yes_no("aof-disable-auto-gc", nullptr, "no", 0, nullptr, "See no-appendfsync-on-rewrite."),

    // Cluster
    yes_no("cluster-enabled", nullptr, "no", kImmutable, nullptr, "There is no cluster mode.", refuse_cluster),
    string("cluster-config-file", nullptr, "nodes.conf", kImmutable, nullptr, "See cluster-enabled."),
    integer("cluster-node-timeout", nullptr, 0, kLong, "15000", 0, nullptr, "See cluster-enabled."),
    integer("cluster-port", nullptr, 0, 65535, "0", kImmutable, nullptr, "See cluster-enabled."),
    integer("cluster-migration-barrier", nullptr, 0, kInt, "1", 0, nullptr, "See cluster-enabled."),
    integer("cluster-replica-validity-factor", "cluster-slave-validity-factor", 0, kInt, "10", 0, nullptr,
        "See cluster-enabled."),
    yes_no("cluster-replica-no-failover", "cluster-slave-no-failover", "no", 0, nullptr,
        "See cluster-enabled."),
    yes_no("cluster-require-full-coverage", nullptr, "yes", 0, nullptr, "See cluster-enabled."),
    yes_no("cluster-allow-reads-when-down", nullptr, "no", 0, nullptr, "See cluster-enabled."),
    yes_no("cluster-allow-pubsubshard-when-down", nullptr, "yes", 0, nullptr, "See cluster-enabled."),
    yes_no("cluster-allow-replica-migration", nullptr, "yes", 0, nullptr, "See cluster-enabled."),
    memory("cluster-link-sendbuf-limit", nullptr, 0, kUlong, "0", 0, nullptr, "See cluster-enabled."),
    one_of("cluster-preferred-endpoint-type", "ip hostname unknown-endpoint", "ip", 0, nullptr,
        "See cluster-enabled."),
    string("cluster-announce-ip", nullptr, "", 0, nullptr, "See cluster-enabled."),
    string("cluster-announce-hostname", nullptr, "", 0, nullptr, "See cluster-enabled.", refuse_hostname),
    integer("cluster-announce-port", nullptr, 0, 65535, "0", 0, nullptr, "See cluster-enabled."),
    integer("cluster-announce-tls-port", nullptr, 0, 65535, "0", 0, nullptr, "See cluster-enabled."),
    integer("cluster-announce-bus-port", nullptr, 0, 65535, "0", 0, nullptr, "See cluster-enabled."),

    // TLS
    integer("tls-port", nullptr, 0, 65535, "0", 0, nullptr, "Port for TLS; there is no TLS.", refuse_tls),
    yes_no("tls-cluster", nullptr, "no", 0, nullptr, "See tls-port."),
    yes_no("tls-replication", nullptr, "no", 0, nullptr, "See tls-port."),
    one_of("tls-auth-clients", "no yes optional", "yes", 0, nullptr, "See tls-port."),
    yes_no("tls-prefer-server-ciphers", nullptr, "no", 0, nullptr, "See tls-port."),
    yes_no("tls-session-caching", nullptr, "yes", 0, nullptr, "See tls-port."),
    integer("tls-session-cache-size", nullptr, 0, kInt, "20480", 0, nullptr, "See tls-port."),
    integer("tls-session-cache-timeout", nullptr, 0, kInt, "300", 0, nullptr, "See tls-port."),
    string("tls-cert-file", nullptr, "", 0, nullptr, "See tls-port."),
    string("tls-key-file", nullptr, "", 0, nullptr, "See tls-port."),
    string("tls-key-file-pass", nullptr, "", kSensitive, nullptr, "See tls-port."),
    string("tls-client-cert-file", nullptr, "", 0, nullptr, "See tls-port."),
    string("tls-client-key-file", nullptr, "", 0, nullptr, "See tls-port."),
    string("tls-client-key-file-pass", nullptr, "", kSensitive, nullptr, "See tls-port."),
    string("tls-dh-params-file", nullptr, "", 0, nullptr, "See tls-port."),
    string("tls-ca-cert-file", nullptr, "", 0, nullptr, "See tls-port."),
    string("tls-ca-cert-dir", nullptr, "", 0, nullptr, "See tls-port."),
    string("tls-protocols", nullptr, "", 0, nullptr, "See tls-port."),
    string("tls-ciphers", nullptr, "", 0, nullptr, "See tls-port."),
    string("tls-ciphersuites", nullptr, "", 0, nullptr, "See tls-port."),
});
// clang-format on

}  // namespace

std::span<const Parameter> parameters() { return kParameters; }

const Parameter* find_parameter(std::string_view name) {
  for (const Parameter& parameter : kParameters) {
    if (equals_ignoring_case(parameter.name, name)) return &parameter;
    if (parameter.alias != nullptr && equals_ignoring_case(parameter.alias, name)) return &parameter;
  }
  return nullptr;
}

}  // namespace server
