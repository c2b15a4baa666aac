// server/command.h: what a command's handler is given.
//
// A handler of a data command uses args, view, reply and the values; it has no other effect, may run several
// times, and, if it only reads, on a worker: there `client` and `server` must not be touched. A handler that
// works on the connection or the server reads no data through the view.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "resp/reply_writer.h"
#include "server/effects.h"
#include "server/view.h"

namespace server {

class Server;
class Client;
class CallLog;
class LongWrite;
struct LongWriteWanted;
struct BlockRequest;
class ReplySource;

struct CommandContext {
  std::span<const std::string_view> args;  // args[0] is the command's name (and args[1] a subcommand's).
  View& view;
  resp::ReplyWriter& reply;
  Client& client;
  Server& server;

  // Values, good on any thread.
  uint32_t database_number = 0;                // As SELECT has it; SELECT sets it.
  ObjectId database = engine::kNoObject;       // The object whose headers it holds.
  uint64_t random_seed = 0;                    // The same in every run of this command.
  uint64_t bulk_max = 0;                       // proto-max-bulk-len, in bytes.
  const engine::Snapshot* snapshot = nullptr;  // On a worker: what the view reads.

  // Where a handler on a worker may leave what makes its reply in pieces, instead of a reply
  // (server/reply_source.h); null: it has to be whole.
  std::shared_ptr<ReplySource>* pieces = nullptr;

  // For commands that write one key and may take long (server/long_write.h): where to say so, null: it has to
  // be done at once; and, where it is being worked out, its work.
  LongWriteWanted* long_write_wanted = nullptr;
  LongWrite* long_write = nullptr;

  // For commands that wait for keys (server/blocking.h). Where to say so; null: it must not wait (MULTI,
  // scripts).
  BlockRequest* block = nullptr;
  std::optional<std::string_view> ready_key = std::nullopt;  // It waited, and this key has been written.
  std::string_view remembered = {};                          // Then: what its BlockRequest asked to remember.

  // Inside another command (server/nested_call.h): nothing may wait, suspend or leave for a worker.
  bool nested = false;
  bool scripted = false;                 // This is a script, and what it calls is the script's.
  bool rehearsal = false;                // It will run again: what would last is left out.
  CallLog* calls = nullptr;              // Where calls inside this one are noted; null on a worker.
  engine::ReadContext* reads = nullptr;  // What the view reads through; null on a worker.

  // What others are to hear of; null on a worker, where there is nothing to tell.
  Effects* effects = nullptr;
  // A keyspace event about a key of this command's database. `name`: a literal.
  void event(uint32_t event_class, const char* name, std::string_view key) const {
    if (effects) effects->event(event_class, name, database_number, key);
  }

  // Set by handlers.
  engine::Lsn seen = 0;  // The reply shows what was written up to here, besides what view.seen() says.
  bool databases_changed = false;  // The batch writes 'D' or 'F' records.
  bool lasting = false;            // Something has been done that cannot be taken back.
  bool ends_transaction = false;   // Once this has run nothing is queued nor watched any more.
};

}  // namespace server
