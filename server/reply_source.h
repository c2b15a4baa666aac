// server/reply_source.h: a reply that is too long to be whole in memory: it is made in pieces, on workers,
// over one snapshot, as fast as its client takes them.
//
//     handler on a worker ─▶ ReplySource ─▶ next() ─▶ piece ─▶ output ─▶ socket
//                                             ▲                  │
//                                             └── output is short ┘
//
// Meanwhile the connection executes nothing else, and what others say to it (messages, invalidations, lines
// of MONITOR) waits behind the reply. A client that takes nothing for kPatienceUs is disconnected: the
// snapshot holds on to what is deleted and overwritten meanwhile.
//
// Invariants
//   P1  Of a reply there is never more than kOutputMax and one piece in memory.
//   P2  No byte of it leaves before all that its snapshot shows may be told of.
//   P3  Once its header is out a reply is completed or the connection closed; an error would be read as data.
//
// Threads: next() runs on one worker at a time; all else on the reactor.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "resp/reply_writer.h"
#include "server/view.h"

namespace server {

class ReplySource {
 public:
  static constexpr size_t kPieceBytes = 256 << 10;
  static constexpr uint64_t kStepsAtOnce = 20'000;  // Records to look at in one go, some milliseconds.

  virtual ~ReplySource() = default;
  // Appends some more of the reply: kPieceBytes, or as far as kStepsAtOnce takes it, which may be nothing.
  // Throws StorageError.
  virtual void next(View& view, resp::ReplyWriter& reply) = 0;
  virtual bool done() const = 0;
};

// What the reactor knows of one.
struct PiecewiseReply {
  static constexpr size_t kOutputMax = 1 << 20;
  static constexpr uint64_t kPatienceUs = 60'000'000;

  std::shared_ptr<const engine::Snapshot> snapshot;
  std::shared_ptr<ReplySource> source;
  int64_t now_ms = 0;
  resp::Version version = resp::Version::kResp2;
  bool begun = false;  // Something of it is out.

  std::vector<std::pair<engine::Lsn, std::string>> behind;  // Pushes, and what they tell of.
  size_t behind_bytes = 0;

  uint64_t taken_bytes = 0, taken_us = 0;  // What the client had taken when it last took something.
};

}  // namespace server
