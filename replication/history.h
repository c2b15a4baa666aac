// replication/history.h: whose writes a log holds.
//
// An LSN is a position in one history. Whenever somebody begins to write where others may have gone on (a
// store is new, a replica is promoted, a primary comes back from a crash that may have taken its last writes)
// a new epoch begins there, with a random id. The epochs are a record of the store itself, under kHistoryKey:
// so they reach replicas with the log, and checkpoints, backups and recovery have them right.
//
//     A at 0 ────────────────────── 500, promoted: B at 500 ─────── 900, crash: C at 900 ──────
//                                      └─── A went on elsewhere to 520
//
// Two logs are the same up to where one of them enters an epoch that the other does not have.
//
// Threads: the reactor.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"

namespace replication {

using engine::Lsn;

inline constexpr std::string_view kHistoryKey = "R";

struct Epoch {
  std::string id;  // 40 hex digits.
  Lsn begin = 0;
  bool operator==(const Epoch&) const = default;
};

class History {
 public:
  static constexpr size_t kEpochsMax = 64;  // The oldest are forgotten.

  bool empty() const { return epochs_.empty(); }
  const std::vector<Epoch>& epochs() const { return epochs_; }
  // Requires: !empty().
  const Epoch& present() const { return epochs_.back(); }
  // What the present epoch grew out of; null: nothing that is known.
  const Epoch* previous() const { return epochs_.size() < 2 ? nullptr : &epochs_[epochs_.size() - 2]; }

  void begin(std::string id, Lsn at);

  std::string encode() const;
  static std::optional<History> decode(std::string_view bytes);

  // Takes over what a record says of it; true if it said anything.
  bool learn(const engine::Batch& record);

  bool operator==(const History&) const = default;

 private:
  std::vector<Epoch> epochs_;  // Oldest first.
};

// Up to where two logs that end at these LSNs are the same; nothing: they have no epoch in common.
std::optional<Lsn> common_end(const History& a, Lsn a_end, const History& b, Lsn b_end);

// What the store says. Blocking. An empty one: it says nothing. Errors: kCorruption.
engine::Result<History> load_history(engine::Engine& engine);
// Begins an epoch at the engine's end: one record. Requires: the engine admits writes.
void begin_epoch(engine::Engine& engine, engine::Entropy& entropy, History* history);

}  // namespace replication
