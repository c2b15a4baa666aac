#include "server/range_deletion.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "server/key_walk.h"

namespace server {
namespace {

constexpr size_t kBytesPerKey = 1 << 10;  // On the average, at most.
constexpr size_t kLooksPerKey = 2;        // Expired keys are looked at too.
constexpr size_t kKeysAStep = 250;

struct Steps : std::enable_shared_from_this<Steps> {
  Steps(BatchRunner& the_runner, engine::Executor& the_executor)
      : runner(the_runner), executor(the_executor) {}

  BatchRunner& runner;
  engine::Executor& executor;
  ObjectId database = engine::kNoObject;
  KeyBounds bounds;
  std::function<bool()> exists;
  std::function<void(const std::vector<std::string>& keys)> deleted;
  std::function<void(const RangeDeletion::Outcome&)> done;
  RangeDeletion::Outcome outcome;
  RangeDeletion::Found found;  // Of the run that was applied.

  void step() {
    if (!exists()) return done(outcome);
    runner.run([self = shared_from_this()](View& view) { self->delete_some(view); },
               [self = shared_from_this()](const BatchRunner::Outcome& step) { self->deleted_some(step); });
  }

  void delete_some(View& view) {
    found = RangeDeletion::find(view, database, bounds, kKeysAStep);
    RangeDeletion::erase(view, database, found);
  }

  void deleted_some(const BatchRunner::Outcome& step) {
    outcome.status = step.status;
    if (!step.status.ok()) return done(outcome);
    outcome.deleted += static_cast<int64_t>(found.keys.size());
    outcome.end = std::max(outcome.end, step.end);
    deleted(found.keys);
    if (!found.more) return done(outcome);
    bounds.only_after(found.reached);
    executor.post(engine::Task([self = shared_from_this()] { self->step(); }));
  }
};

}  // namespace

RangeDeletion::Found RangeDeletion::find(View& view, ObjectId database, const KeyBounds& bounds,
                                         size_t keys_max) {
  Found found;
  size_t looks = 0, bytes = 0;
  KeyWalk walk(view, database, bounds, KeyOrder::kRising);
  while (walk.next()) {
    if (found.keys.size() == keys_max || looks == keys_max * kLooksPerKey ||
        bytes >= keys_max * kBytesPerKey) {
      found.more = true;
      break;
    }
    ++looks;
    bytes += walk.key().size();
    found.reached = walk.key();
    if (walk.expired()) continue;
    found.keys.push_back(found.reached);
  }
  return found;
}

void RangeDeletion::erase(View& view, ObjectId database, const Found& found) {
  for (const std::string& key : found.keys) view.erase_header(database, key);
}

KeyBounds RangeDeletion::ending_at_last_key(View& view, ObjectId database, KeyBounds bounds) {
  KeyWalk walk(view, database, bounds, KeyOrder::kFalling);
  if (walk.next())
    bounds.only_up_to(walk.key());
  else
    bounds.end = bounds.begin;  // Nothing is there.
  return bounds;
}

void RangeDeletion::start(BatchRunner& runner, engine::Executor& executor, ObjectId database,
                          KeyBounds bounds, std::function<bool()> exists,
                          std::function<void(const std::vector<std::string>& keys)> deleted,
                          std::function<void(const Outcome&)> done) {
  const auto steps = std::make_shared<Steps>(runner, executor);
  steps->database = database;
  steps->bounds = std::move(bounds);
  steps->exists = std::move(exists);
  steps->deleted = std::move(deleted);
  steps->done = std::move(done);
  steps->step();
}

}  // namespace server
