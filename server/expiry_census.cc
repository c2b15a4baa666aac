#include "server/expiry_census.h"

#include <optional>
#include <string>
#include <utility>

#include "server/keyspace.h"

namespace server {
namespace {

// Counts up to `entries_max` entries. Nothing if a block was cold or bad; `reached` is the last key counted,
// empty if that was the end.
std::optional<ExpiryCensus::Counts> walk(engine::Reader& reader, int64_t now_ms, uint64_t entries_max,
                                         std::string* reached) {
  ExpiryCensus::Counts counts;
  const auto iterator = reader.iterator(expiry_begin(), prefix_end(expiry_begin()));
  using State = engine::Iterator::State;
  State state = iterator->seek_first();
  uint64_t left = entries_max;
  for (; state == State::kAt; state = iterator->next()) {
    if (left-- == 0) {
      *reached = iterator->key();
      return counts;
    }
    const auto entry = decode_expiry_key(iterator->key());
    if (!entry) return std::nullopt;
    auto& count = counts[entry->database];
    ++count.keys;
    if (entry->expiry_ms > now_ms) count.ttl_ms_sum += static_cast<uint64_t>(entry->expiry_ms - now_ms);
  }
  if (state != State::kEnd) return std::nullopt;
  reached->clear();
  return counts;
}

}  // namespace

const ExpiryCensus::Counts& ExpiryCensus::counts(int64_t now_ms) {
  engine::ReadContext context;
  const auto reader = engine_.reader(context);
  std::string reached;
  auto counted = walk(*reader, now_ms, kWalkAtOnceMax, &reached);
  if (counted && reached.empty()) {
    counts_ = std::move(*counted);
    wanted_ = false;
  } else {
    if (counts_.empty() && counted) counts_ = std::move(*counted);
    wanted_ = true;
  }
  return counts_;
}

void ExpiryCensus::refresh(int64_t now_ms) {
  if (!wanted_ || walking_) return;
  wanted_ = false;
  walking_ = true;
  struct Walk {
    std::shared_ptr<const engine::Snapshot> snapshot;
    std::optional<Counts> counts;
    std::string reached;
  };
  auto walked = std::make_shared<Walk>();
  walked->snapshot = engine_.snapshot();
  executor_.submit(
      engine::Lane::kLongRead, engine::Task([walked, now_ms] {
        const auto reader = walked->snapshot->reader();
        walked->counts = walk(*reader, now_ms, kWalkMax, &walked->reached);
      }),
      engine::Task([this, walked] {
        walking_ = false;
        walked->snapshot.reset();
        if (!walked->counts) return;
        counts_ = std::move(*walked->counts);
        if (walked->reached.empty()) return;
        const uint64_t seen = engine_.approximate_bytes(expiry_begin(), walked->reached);
        const uint64_t all = engine_.approximate_bytes(expiry_begin(), prefix_end(expiry_begin()));
        if (seen == 0 || all <= seen) return;
        const double factor = static_cast<double>(all) / static_cast<double>(seen);
        for (auto& [database, entry] : counts_) {
          entry.keys = static_cast<uint64_t>(static_cast<double>(entry.keys) * factor);
          entry.ttl_ms_sum = static_cast<uint64_t>(static_cast<double>(entry.ttl_ms_sum) * factor);
        }
      }));
}

}  // namespace server
