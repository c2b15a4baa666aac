#include "server/expiry_cron.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "server/types/hash.h"

namespace server {

ExpiryCron::ExpiryCron(engine::Engine& engine, engine::Env& env, BatchRunner& runner, Host host)
    : engine_(engine), env_(env), runner_(runner), host_(std::move(host)) {}

void ExpiryCron::tick(bool active) {
  active_ = active;
  if (stopped_ || !active) return;
  // A clock that went back: what is due from now on may lie below what was due before.
  const std::string end = expiry_end(env_.clock.wall_ms());
  if (!floor_.empty() && floor_ > end) floor_ = end;
  if (floor_.empty() || env_.clock.monotonic_us() - swept_us_ >= kSweepIntervalUs) sweep();
  if (!turning_) begin_turn();
}

void ExpiryCron::met(const std::vector<View::Expired>& keys) {
  for (const View::Expired& key : keys) {
    if (met_.size() == kMetMax) break;
    met_.push_back(key);
  }
  if (stopped_ || turning_ || met_.empty()) return;
  turning_ = true;
  env_.executor.post(engine::Task([this] { begin_turn(); }));
}

// ------------------------------------------------------------------ a turn

void ExpiryCron::begin_turn() {
  turning_ = !stopped_;
  if (stopped_) return;
  runner_.run([this](View& view) { turn(view); },
              [this](const BatchRunner::Outcome& outcome) { turn_done(outcome); });
}

void ExpiryCron::turn(View& view) {
  turn_ = {};
  std::vector<std::string> index_keys;
  if (active_ && !floor_.empty()) {
    auto due = view.range(floor_, expiry_end(view.now_ms()));
    for (bool there = due.seek_first(); there; there = due.next()) {
      if (index_keys.size() == kEntriesATurn) {
        turn_.more = true;
        break;
      }
      index_keys.emplace_back(due.key());
    }
    if (!index_keys.empty()) turn_.reached = index_keys.back();
  }
  turn_.met = std::min(met_.size(), kEntriesATurn);

  // All headers in one round.
  std::vector<std::string> headers;
  for (const std::string& index_key : index_keys) {
    if (const auto entry = decode_expiry_key(index_key)) {
      header_key(entry->database, entry->user_key, &headers.emplace_back());
    }
  }
  for (size_t i = 0; i < turn_.met; ++i)
    header_key(met_[i].database, met_[i].user_key, &headers.emplace_back());
  view.prefetch(headers);

  for (const std::string& index_key : index_keys) {
    if (const auto entry = decode_expiry_key(index_key)) {
      reclaim(view, entry->database, entry->user_key, index_key);
    } else {
      view.erase(index_key);
    }
  }
  for (size_t i = 0; i < turn_.met; ++i) reclaim(view, met_[i].database, met_[i].user_key, {});
}

void ExpiryCron::reclaim(View& view, ObjectId database, std::string_view user_key,
                         std::string_view index_key) {
  const auto number = host_.database_number(database);
  std::optional<Header> header;
  if (number) {
    std::string key;
    header_key(database, user_key, &key);
    if (const auto record = view.get(key)) header = decode_header(*record);
  }
  // What agrees with the entry, if anything does, keeps it in step from here on (E3).
  const bool stale = !header || (index_key != expiry_key(header->expiry_ms, database, user_key) &&
                                 index_key != expiry_key(header->elements_expiry_ms, database, user_key));
  if (header && header->expired(view.now_ms())) {  // E1
    view.erase_header(database, user_key);
    const bool of_fields = header->died_of_elements();
    turn_.gone.push_back({*number, std::string(user_key), of_fields, of_fields});
  } else if (header && header->type == Type::kHash && header->elements_expiry_ms != kNoExpiry &&
             header->elements_expiry_ms <= view.now_ms()) {
    uint64_t reclaimed = 0;
    Hash hash(view, database, user_key, header);
    const bool left = hash.reclaim(kElementsAtOnce, &reclaimed);
    if (left && reclaimed >= kElementsAtOnce) turn_.unfinished.push_back({database, std::string(user_key)});
    if (reclaimed > 0) turn_.gone.push_back({*number, std::string(user_key), true, !left});
  }
  if (stale && !index_key.empty()) view.erase(index_key);
}

void ExpiryCron::turn_done(const BatchRunner::Outcome& outcome) {
  turning_ = false;
  if (!outcome.status.ok()) {  // The next tick tries again, but not for ever with the same met keys.
    met_.clear();
    return;
  }
  const Turn done = std::exchange(turn_, {});
  met_.erase(met_.begin(), met_.begin() + static_cast<ptrdiff_t>(done.met));
  if (!done.reached.empty()) floor_ = done.reached + '\0';
  met(done.unfinished);
  for (const Turn::Gone& key : done.gone) {  // E2
    if (key.fields)
      host_.fields_expired(key.database, key.user_key, key.all);
    else
      host_.expired(key.database, key.user_key);
  }
  if (stopped_ || turning_ || (!done.more && met_.empty())) return;
  turning_ = true;
  env_.executor.post(engine::Task([this] { begin_turn(); }));
}

// ------------------------------------------------------------------ sweeps

void ExpiryCron::sweep() {
  if (sweeping_) return;
  sweeping_ = true;
  struct Sweep {
    std::shared_ptr<const engine::Snapshot> snapshot;
    std::string ceiling;
    std::string first;  // The first entry below it.
    bool failed = false;
  };
  auto sweep = std::make_shared<Sweep>();
  sweep->snapshot = engine_.snapshot();
  sweep->ceiling = floor_.empty() ? expiry_end(env_.clock.wall_ms()) : floor_;
  env_.executor.submit(engine::Lane::kLongRead, engine::Task([sweep] {
                         const auto reader = sweep->snapshot->reader();
                         const auto due = reader->iterator(expiry_begin(), sweep->ceiling);
                         const auto state = due->seek_first();
                         if (state == engine::Iterator::State::kAt) sweep->first = due->key();
                         sweep->failed = state == engine::Iterator::State::kFailed;
                       }),
                       engine::Task([this, sweep] {
                         sweep->snapshot.reset();
                         sweeping_ = false;
                         if (sweep->failed) return;
                         swept_us_ = env_.clock.monotonic_us();
                         const std::string& found = sweep->first.empty() ? sweep->ceiling : sweep->first;
                         if (floor_.empty() || found < floor_) floor_ = found;
                       }));
}

}  // namespace server
