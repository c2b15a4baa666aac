#include "server/replay.h"

#include <algorithm>
#include <utility>

#include "server/keyspace.h"
#include "server/scripts/scripting.h"
#include "server/server.h"

namespace server {
namespace {

// As the dispatcher does with commands that walk from one cold block to the next.
void hurry(engine::ReadContext& reads) {
  if (reads.fetches() < Dispatcher::kRoundsBeforeReadAhead) return;
  const uint32_t rounds = reads.fetches() - Dispatcher::kRoundsBeforeReadAhead;
  reads.read_ahead(std::min(Dispatcher::kReadAheadBlocksMax, uint32_t{8} << std::min(rounds, 16u)));
  if (reads.fetches() >= Dispatcher::kRoundsBeforeBlocking) reads.may_block();
}

// The last moment, not after `now_ms`, at which all that the body met expired was there.
int64_t when_all_lived(const View& view, engine::Reader& reader, int64_t now_ms) {
  std::string key;
  for (const View::Expired& expired : view.expired()) {
    header_key(expired.database, expired.user_key, &key);
    const engine::Lookup found = reader.get(key);
    if (found.state != engine::Lookup::State::kFound) continue;
    if (const auto header = decode_header(found.value)) now_ms = std::min(now_ms, header->expiry_ms - 1);
  }
  return now_ms;
}

}  // namespace

struct Replay::Run {
  Replay* owner;  // Null: cancelled.
  int64_t now_ms;
  Body body;
  Done done;
  bool fetching = false;
  engine::ReadContext reads;
  Effects effects;
};

Replay::Replay(Server& server, std::function<bool()> may_write)
    : server_(server), may_write_(std::move(may_write)) {}

Replay::~Replay() { cancel(); }

void Replay::run(int64_t now_ms, Body body, Done done) {
  INVARIANT(run_ == nullptr);
  run_ = std::make_shared<Run>();
  run_->owner = this;
  run_->now_ms = now_ms;
  run_->body = std::move(body);
  run_->done = std::move(done);
  attempt(std::shared_ptr<Run>(run_));
}

void Replay::retry() {
  if (run_ != nullptr && !run_->fetching) attempt(std::shared_ptr<Run>(run_));
}

void Replay::cancel() {
  if (run_ != nullptr) std::exchange(run_, nullptr)->owner = nullptr;
}

void Replay::end(const std::shared_ptr<Run>& run, const engine::Status& status, engine::Lsn lsn) {
  run_ = nullptr;
  run->done(status, lsn);
}

void Replay::attempt(const std::shared_ptr<Run>& run) {
  if (run->owner == nullptr || server_.stopping() || !may_write_()) return;
  engine::Engine& engine = server_.engine();
  run->effects.take_back();
  run->effects.want(server_.wanted_events());
  engine::Batch batch;
  hurry(run->reads);
  const auto reader = engine.reader(run->reads);
  View view(*reader, &engine, batch, run->now_ms);
  try {
    Scene scene{view, run->reads, run->effects};
    run->body(scene);
    if (const int64_t alive_ms = when_all_lived(view, *reader, run->now_ms); alive_ms < run->now_ms) {
      run->now_ms = alive_ms;
      return attempt(run);
    }
  } catch (const ColdRead&) {
    run->fetching = true;
    return engine.fetch(run->reads, engine::Task([run] {
                          run->fetching = false;
                          if (run->owner != nullptr) run->owner->attempt(run);
                        }));
  } catch (const StorageError& error) {
    run->effects.take_back();
    return end(run, error.status, 0);
  }
  if (run->owner == nullptr) return;
  if (batch.empty()) {
    server_.deliver(run->effects, engine.end());
    return end(run, {}, engine.end());
  }
  // Refused or not now: it is tried again until it is admitted, or cancelled.
  if (engine.admission(batch.bytes().size(), false) != engine::Engine::Admission::kOpen) return;
  const engine::Lsn lsn = server_.apply(batch);
  server_.databases().refresh(batch);
  server_.scripting().functions.refresh(batch);
  if (server_.blocking().size() > 0) {
    server_.blocking().applied(batch, server_.databases());
    if (server_.blocking().any_ready()) {
      server_.env().executor.post(engine::Task([&server = server_] { server.dispatcher().serve_blocked(); }));
    }
  }
  server_.deliver(run->effects, lsn);
  end(run, {}, lsn);
}

}  // namespace server
