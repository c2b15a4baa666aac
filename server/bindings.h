// server/bindings.h: every family of commands binds its handlers here. A family is a file in
// server/commands/.
#pragma once

#include "server/command_table.h"

namespace server {

void bind_string_commands(CommandTable& table);           // GET, SET, MGET …
void bind_string_part_commands(CommandTable& table);      // GETRANGE, APPEND, INCR, LCS …
void bind_bitmap_commands(CommandTable& table);           // SETBIT, BITCOUNT, BITOP …
void bind_bitfield_commands(CommandTable& table);         // BITFIELD
void bind_hyperloglog_commands(CommandTable& table);      // PFADD, PFCOUNT …
void bind_sort_commands(CommandTable& table);             // SORT, SORT_RO
void bind_cluster_commands(CommandTable& table);          // CLUSTER, READONLY, ASKING …
void bind_module_commands(CommandTable& table);           // MODULE
void bind_list_commands(CommandTable& table);             // LPUSH, LRANGE …
void bind_list_move_commands(CommandTable& table);        // LMOVE, LMPOP …
void bind_list_wait_commands(CommandTable& table);        // BLPOP, BLMOVE …
void bind_zset_commands(CommandTable& table);             // ZADD, ZSCORE, ZRANK, ZPOPMIN …
void bind_zset_range_commands(CommandTable& table);       // ZRANGE, ZCOUNT, ZREMRANGEBYRANK …
void bind_zset_wait_commands(CommandTable& table);        // ZMPOP, BZPOPMIN …
void bind_zset_union_commands(CommandTable& table);       // ZUNION, ZINTER, ZDIFF …
void bind_geo_commands(CommandTable& table);              // GEOADD, GEOPOS …
void bind_geo_search_commands(CommandTable& table);       // GEOSEARCH, GEORADIUS …
void bind_key_commands(CommandTable& table);              // DEL, EXPIRE, RENAME …
void bind_hash_commands(CommandTable& table);             // HSET, HGET, HDEL, HINCRBY …
void bind_hash_walk_commands(CommandTable& table);        // HGETALL, HSCAN, HRANDFIELD
void bind_hash_expiry_commands(CommandTable& table);      // HEXPIRE, HTTL, HGETEX …
void bind_set_commands(CommandTable& table);              // SADD, SREM, SPOP, SSCAN …
void bind_set_algebra_commands(CommandTable& table);      // SINTER, SUNION, SDIFF …
void bind_connection_commands(CommandTable& table);       // PING, HELLO, AUTH, SELECT …
void bind_client_commands(CommandTable& table);           // CLIENT
void bind_server_commands(CommandTable& table);           // TIME, SAVE, SHUTDOWN, COMPACT …
void bind_database_commands(CommandTable& table);         // DBSIZE, FLUSHDB, FLUSHALL, SWAPDB
void bind_config_commands(CommandTable& table);           // CONFIG
void bind_info_commands(CommandTable& table);             // INFO, SLOWLOG, MEMORY, MONITOR …
void bind_latency_commands(CommandTable& table);          // LATENCY
void bind_debug_commands(CommandTable& table);            // DEBUG
void bind_acl_commands(CommandTable& table);              // ACL
void bind_command_commands(CommandTable& table);          // COMMAND
void bind_scan_commands(CommandTable& table);             // SCAN, KEYS, RANDOMKEY
void bind_key_range_commands(CommandTable& table);        // KRANGE, KCOUNT, KDELRANGE
void bind_object_commands(CommandTable& table);           // OBJECT
void bind_pubsub_commands(CommandTable& table);           // SUBSCRIBE, PUBLISH, PUBSUB …
void bind_transaction_commands(CommandTable& table);      // MULTI, EXEC, DISCARD, WATCH, UNWATCH
void bind_stream_commands(CommandTable& table);           // XADD, XTRIM, XRANGE …
void bind_stream_read_commands(CommandTable& table);      // XREAD, XREADGROUP
void bind_stream_group_commands(CommandTable& table);     // XGROUP, XACK
void bind_stream_claim_commands(CommandTable& table);     // XPENDING, XCLAIM, XAUTOCLAIM
void bind_stream_info_commands(CommandTable& table);      // XINFO
void bind_dump_commands(CommandTable& table);             // DUMP, RESTORE
void bind_client_tracking_commands(CommandTable& table);  // CLIENT TRACKING …
void bind_script_commands(CommandTable& table);           // EVAL, EVALSHA, SCRIPT
void bind_function_commands(CommandTable& table);         // FUNCTION, FCALL
void bind_replication_commands(CommandTable& table);      // REPLICAOF, ROLE, WAIT, FAILOVER …
void bind_migrate_commands(CommandTable& table);          // MIGRATE

inline void bind_all(CommandTable& table) {
  bind_string_commands(table);
  bind_string_part_commands(table);
  bind_bitmap_commands(table);
  bind_bitfield_commands(table);
  bind_hyperloglog_commands(table);
  bind_sort_commands(table);
  bind_cluster_commands(table);
  bind_module_commands(table);
  bind_list_commands(table);
  bind_list_move_commands(table);
  bind_list_wait_commands(table);
  bind_key_commands(table);
  bind_hash_commands(table);
  bind_hash_walk_commands(table);
  bind_hash_expiry_commands(table);
  bind_set_commands(table);
  bind_set_algebra_commands(table);
  bind_zset_commands(table);
  bind_zset_range_commands(table);
  bind_zset_wait_commands(table);
  bind_zset_union_commands(table);
  bind_geo_commands(table);
  bind_geo_search_commands(table);
  bind_stream_commands(table);
  bind_stream_read_commands(table);
  bind_stream_group_commands(table);
  bind_stream_claim_commands(table);
  bind_stream_info_commands(table);
  bind_connection_commands(table);
  bind_client_commands(table);
  bind_client_tracking_commands(table);
  bind_server_commands(table);
  bind_database_commands(table);
  bind_config_commands(table);
  bind_info_commands(table);
  bind_latency_commands(table);
  bind_debug_commands(table);
  bind_acl_commands(table);
  bind_command_commands(table);
  bind_scan_commands(table);
  bind_key_range_commands(table);
  bind_object_commands(table);
  bind_pubsub_commands(table);
  bind_transaction_commands(table);
  bind_dump_commands(table);
  bind_script_commands(table);
  bind_function_commands(table);
  bind_replication_commands(table);
  bind_migrate_commands(table);
}

}  // namespace server
