#include "server/batch_runner.h"

#include <utility>

namespace server {

struct BatchRunner::Run {
  Body body;
  Done done;
  bool makes_room;
  int64_t now_ms;
  engine::ReadContext context;
};

BatchRunner::BatchRunner(engine::Engine& engine, engine::Env& env, Apply apply, MayWrite may_write)
    : engine_(engine), env_(env), apply_(std::move(apply)), may_write_(std::move(may_write)) {}

void BatchRunner::run(Body body, Done done, bool makes_room) {
  attempt(std::make_shared<Run>(Run{std::move(body), std::move(done), makes_room, env_.clock.wall_ms(), {}}));
}

void BatchRunner::attempt(const std::shared_ptr<Run>& run) {
  if (stopped_) return run->done({engine::Status(engine::Code::kInvalid, "the server stops"), 0});
  if (held_) {
    run->context = {};
    waiting_.push_back(run);
    return;
  }
  engine::Batch batch;
  const auto reader = engine_.reader(run->context);
  View view(*reader, &engine_, batch, run->now_ms);
  try {
    run->body(view);
  } catch (const ColdRead&) {
    return engine_.fetch(run->context, engine::Task([this, run] { attempt(run); }));
  } catch (const StorageError& error) {
    return run->done({error.status, 0});
  }
  if (batch.empty()) return run->done({{}, view.seen()});
  if (may_write_ && !may_write_())
    return run->done({engine::Status(engine::Code::kInvalid, "a replica writes nothing of its own"), 0});
  switch (engine_.admission(batch.bytes().size(), run->makes_room)) {
    case engine::Engine::Admission::kOpen: break;
    case engine::Engine::Admission::kWait: waiting_.push_back(run); return;
    case engine::Engine::Admission::kRefused: return run->done({engine_.refusal(), 0});
  }
  run->done({{}, apply_(batch)});
}

void BatchRunner::retry() {
  for (const auto& run : std::exchange(waiting_, {})) attempt(run);
}

void BatchRunner::stop() {
  stopped_ = true;
  retry();
}

}  // namespace server
