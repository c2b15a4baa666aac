#include "server/commands/debug_data.h"

#include <memory>
#include <string>
#include <vector>

#include "server/digest.h"
#include "server/errors.h"
#include "server/nested_call.h"
#include "server/object_encoding.h"
#include "server/replication.h"
#include "server/server.h"
#include "server/string_value.h"
#include "server/units.h"

namespace server {

void debug_object(CommandContext& c) {
  // The record as it lies there, though its time may be up: to look at it from outside is no use of it.
  std::string key;
  header_key(c.database, c.args[2], &key);
  const auto record = c.view.get(key);
  const auto header = record ? decode_header(*record) : std::nullopt;
  if (!header) return c.reply.error(kNoSuchKey);
  std::string text = "Value at:" + std::to_string(header->object.id) + " refcount:1 encoding:";
  text.append(object_encoding(c.view, *header));
  text += " serializedlength:" + std::to_string(header->payload.size()) + " lru:0 lru_seconds_idle:0 type:";
  text.append(type_name(header->type)).append(" stored:");
  c.reply.simple(text + (header->object.id == engine::kNoObject ? "inline" : "elements"));
}

// ------------------------------------------------------------------ digests

// All data are read: by a worker, over one moment of them.
void debug_digest(CommandContext& c) {
  struct Job {
    std::shared_ptr<const engine::Snapshot> snapshot;
    std::vector<ObjectId> databases;
    int64_t now_ms;
    std::string digest;
    engine::Status status;
  };
  auto job = std::make_shared<Job>();
  job->snapshot = c.server.engine().snapshot();
  for (uint32_t i = 0; i < c.server.databases().count(); ++i) {
    job->databases.push_back(c.server.databases().object(i));
  }
  job->now_ms = c.view.now_ms();
  if (cannot_wait(c)) return;
  c.server.dispatcher().suspend(c.client);
  c.server.env().executor.submit(engine::Lane::kLongRead, engine::Task([job] {
                                   const auto reader = job->snapshot->reader();
                                   engine::Batch nothing;
                                   View view(*reader, nullptr, nothing, job->now_ms);
                                   try {
                                     job->digest = digest_of_data(view, job->databases).hex();
                                   } catch (const StorageError& error) {
                                     job->status = error.status;
                                   }
                                 }),
                                 engine::Task([job, &server = c.server, &client = c.client] {
                                   job->snapshot.reset();
                                   server.dispatcher().answer(client, [job](resp::ReplyWriter& reply) {
                                     if (job->status.ok()) return reply.simple(job->digest);
                                     reply.error("ERR " + job->status.message());
                                   });
                                 }));
}

void debug_digest_value(CommandContext& c) {
  c.view.watch(nullptr);
  const auto keys = c.args.subspan(2);
  c.reply.array(keys.size());
  for (std::string_view key : keys) {
    Digest digest;
    if (const auto header = c.view.header(c.database, key))
      mix_value(c.view, c.database, key, *header, &digest);
    c.reply.simple(digest.hex());
  }
}

// ------------------------------------------------------------------ reload

namespace {

// The answer of a command that reloads, and before it the reload: in a turn of its own, for the engine may be
// calling.
void reload_and_answer(Server& server, Client& client) {
  server.env().executor.post(engine::Task([&server, &client] {
    server.replication().reload([&server, &client](const engine::Status& status) {
      server.dispatcher().answer(client, [status](resp::ReplyWriter& reply) {
        if (status.ok()) return reply.ok();
        reply.error("ERR Error trying to load the data: " + status.message());
      });
    });
  }));
}

}  // namespace

// Everything to tables; then the engine is closed and opened, and what is read from here on comes from disk.
void debug_reload(CommandContext& c) {
  bool save = true, flush = true, merge = false;
  for (std::string_view option : c.args.subspan(2)) {
    if (equals_ignoring_case(option, "nosave"))
      save = false;
    else if (equals_ignoring_case(option, "noflush"))
      flush = false;
    else if (equals_ignoring_case(option, "merge"))
      merge = true;
    else
      return c.reply.error("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
  }
  // What is on disk is all that there is: it cannot be loaded again over itself, unless that changes nothing.
  if (!flush && !merge)
    return c.reply.error("ERR Error trying to load the RDB: without MERGE every key is there already.");
  if (!save && flush)
    return c.reply.error("ERR DEBUG RELOAD NOSAVE: there is no older state of the data to go back to.");
  if (cannot_wait(c)) return;
  c.server.dispatcher().suspend(c.client);
  c.server.save([&server = c.server, &client = c.client](const engine::Status& status) {
    if (status.ok()) return reload_and_answer(server, client);
    server.dispatcher().answer(client, [status](resp::ReplyWriter& reply) {
      reply.error("ERR Error trying to save: " + status.message());
    });
  });
}

// The same without tables being written: what the log holds beyond them is replayed.
void debug_loadaof(CommandContext& c) {
  if (cannot_wait(c)) return;
  c.server.dispatcher().suspend(c.client);
  reload_and_answer(c.server, c.client);
}

// ------------------------------------------------------------------ populate

namespace {

// Keys are made some at a time, so that others get their turn and no batch is huge.
struct Populating {
  Server& server;
  Client& client;
  ObjectId database;
  uint64_t count;
  std::string prefix;
  uint64_t value_bytes;  // 0: as long as its text.
  uint64_t next = 0;

  uint64_t end_of_batch() const {
    constexpr uint64_t kKeysMax = 1000, kBytesMax = 1 << 20;
    return std::min(count, next + std::min(kKeysMax, 1 + kBytesMax / (value_bytes + 64)));
  }
};

void populate_some(const std::shared_ptr<Populating>& work) {
  const uint64_t end = work->end_of_batch();
  work->server.batches().run(
      [work, end](View& view) {
        for (uint64_t i = work->next; i < end; ++i) {
          const std::string key = work->prefix + ":" + std::to_string(i);
          if (view.header(work->database, key)) continue;
          std::string value = "value:" + std::to_string(i);
          if (work->value_bytes != 0) value.resize(work->value_bytes);
          write_string(view, {work->database, key}, value, kNoExpiry, false);
        }
      },
      [work, end](const BatchRunner::Outcome& outcome) {
        work->next = end;
        if (outcome.status.ok() && end < work->count) {
          return work->server.env().executor.post(engine::Task([work] { populate_some(work); }));
        }
        const auto write = [status = outcome.status](resp::ReplyWriter& reply) {
          status.ok() ? reply.ok() : reply.error("ERR " + status.message());
        };
        work->server.dispatcher().answer(work->client, write, outcome.end);
      });
}

}  // namespace

void debug_populate(CommandContext& c) {
  const auto count = parse_integer(c.args[2]);
  const auto size = c.args.size() == 5 ? parse_integer(c.args[4]) : std::optional<int64_t>(0);
  if (!count || *count < 0 || !size || *size < 0)
    return c.reply.error("ERR value is out of range, must be positive");
  if (static_cast<uint64_t>(*size) > c.server.settings().proto_max_bulk_len) {
    return c.reply.error("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
  }
  if (*count == 0) return c.reply.ok();
  if (cannot_wait(c)) return;
  c.server.dispatcher().suspend(c.client);
  populate_some(std::make_shared<Populating>(
      Populating{c.server, c.client, c.database, static_cast<uint64_t>(*count),
                 c.args.size() > 3 ? std::string(c.args[3]) : "key", static_cast<uint64_t>(*size)}));
}

}  // namespace server
