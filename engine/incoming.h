// engine/incoming.h: a checkpoint of another engine on its way in.
//
// It is gathered beside the store that serves on, in the directory `incoming`:
//
//     000042-<checksum>.vst    a table, whole and verified; also one of an earlier attempt that was cut off
//     000042.part              the table that is being received
//     0000000000001000.log     the log from the checkpoint's flushed LSN on
//
// commit() makes all of it durable and then writes INSTALL, which says what the store is to be. The next open
// of the store obeys it before it does anything else, as often as crashes make it begin anew:
//
//     INSTALL          remove manifest, log and every table that the new state does not take over
//     INSTALL.cleared  move tables and log up, write the manifest
//     (neither)        done
//
// Invariants
//   C1  Whenever the process or the machine dies, the directory is the old store or the new one.
//   C2  Nothing that was received becomes part of a store before its checksum has been seen to be right.
//
// Threads: any one at a time; everything blocks.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/checkpoint.h"
#include "engine/env.h"
#include "engine/log.h"

namespace engine {

class IncomingCheckpoint {
 public:
  // `state` is Checkpoint::state(). `own`: tables of the store that stay until it is closed, so that they
  // need not come. `entropy` is a random number. Errors: kCorruption: `state` is none; kIoError, kNoSpace.
  static Result<std::unique_ptr<IncomingCheckpoint>> begin(FileSystem& files, uint64_t entropy,
                                                           const std::string& directory,
                                                           std::string_view state,
                                                           const std::vector<CheckpointFile>& own);
  virtual ~IncomingCheckpoint() = default;
  // The tables that are not here, in the order in which they are to come.
  virtual const std::vector<CheckpointFile>& wanted() const = 0;
  // More bytes of the first one wanted; it leaves the list when it is whole. Errors: kCorruption: it is not
  // what the state says (it is wanted again from its first byte on); kIoError, kNoSpace.
  virtual Status write(uint64_t number, std::string_view data) = 0;
  // The next records of the log. Requires: chunk.first == log_end().
  virtual Status append(const LogChunk& chunk) = 0;
  virtual Lsn log_end() const = 0;
  // Requires: nothing is wanted, log_end() is at least the checkpoint's whole_at(). The store must be closed
  // and opened for it to count; until then it may go on as it was.
  virtual Status commit() = 0;
};

// What open() does first: obeys INSTALL, if there is one.
Status install_incoming(FileSystem& files, const std::string& directory);
// Forgets what has come in so far. Best effort.
void discard_incoming(FileSystem& files, const std::string& directory);

}  // namespace engine
