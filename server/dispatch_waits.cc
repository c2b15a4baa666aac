// What commands wait for: cold blocks, a worker, room, a key, an outcome; and how they go on.
#include <algorithm>
#include <utility>

#include "server/dispatch.h"
#include "server/key_watcher.h"
#include "server/log.h"
#include "server/reply_source.h"
#include "server/server.h"
#include "server/tracking.h"

namespace server {

// One run of a read-only command on a worker, over one snapshot.
struct Dispatcher::LongRun {
  std::shared_ptr<const engine::Snapshot> snapshot;
  resp::OutputBuffer output;
  resp::ReplyWriter reply{output};
  engine::Lsn seen = 0;
  uint32_t hits = 0, misses = 0;
  BlockRequest block;
  std::shared_ptr<ReplySource> pieces;
  Effects effects;       // Of keys that it did not find.
  bool tracked = false;  // Somebody keeps what it reads.
};

// ------------------------------------------------------------------ waiting

Waiting& Dispatcher::wait(Client& client, Waiting::For what) {
  if (!client.waiting) {
    client.waiting = std::make_unique<Waiting>();
    client.waiting->started_us = now_us_;
    ++waiting_;
  }
  client.waiting->what = what;
  return *client.waiting;
}

Dispatcher::Ran Dispatcher::park(Client& client, Waiting::For what) {
  if (what == Waiting::For::kAdmission) ++server_.stats().admission_waits;
  wait(client, what);
  parked_.push_back(&client);
  return Ran::kWaits;
}

void Dispatcher::retry_parked() {
  std::vector<Client*> parked = std::exchange(parked_, {});
  for (Client* client : parked) rerun(*client);
}

void Dispatcher::forget(Client& client) {
  std::erase(parked_, &client);
  if (client.waiting && client.waiting->blocked) {
    server_.blocking().remove(client.id);
    // It may have been running for a key that others wait for.
    if (server_.blocking().any_ready()) env_.executor.post(engine::Task([this] { serve_blocked(); }));
  }
  if (client.waiting && !client.waiting->in_flight) {
    client.waiting.reset();
    --waiting_;
  }
}

void Dispatcher::fetch(Client& client) {
  Waiting& waiting = *client.waiting;
  Stats& stats = server_.stats();
  if (waiting.context.fetches() == 0) ++stats.cold_commands;
  ++stats.cold_restarts;
  if (waiting.runs == Stats::kRunsExpected) ++stats.many_restarts;
  waiting.in_flight = true;
  engine_.fetch(waiting.context, engine::Task([this, &client] {
                  client.waiting->in_flight = false;
                  rerun(client);
                }));
}

void Dispatcher::run_on_worker(Client& client, const Request& request) {
  ++server_.stats().long_reads;
  auto run = std::make_shared<LongRun>();
  run->snapshot = engine_.snapshot();
  run->reply.set_version(client.reply.version());
  run->effects.want(server_.wanted_events());
  run->effects.reads.wanted = run->tracked = client.session.tracking.on;
  if (run->tracked) server_.tracking().long_read_begins();
  client.waiting->in_flight = true;
  // All that the worker uses is in here, or held still by C1.
  struct Job {
    Handler handler;
    Args args;
    int64_t now_ms;
    uint64_t seed;
    uint64_t bulk_max;
    uint32_t database_number;
    ObjectId database;
    std::optional<std::string> ready_key;
    std::string remembered;
  };
  const auto& ready_key = client.waiting->ready_key;
  const Job job{request.command->handler,
                client.requests.args(request),
                client.waiting->now_ms,
                client.waiting->random_seed,
                server_.settings().proto_max_bulk_len,
                client.session.database,
                server_.databases().object(client.session.database),
                ready_key,
                std::string(ready_key ? server_.blocking().remembered(client.id) : std::string_view())};
  env_.executor.submit(engine::Lane::kLongRead, engine::Task([run, job, &client, &server = server_] {
                         const auto reader = run->snapshot->reader();
                         engine::Batch nothing;
                         View view(*reader, nullptr, nothing, job.now_ms);
                         CommandContext context{job.args, view, run->reply, client, server};
                         context.database_number = job.database_number;
                         context.database = job.database;
                         context.random_seed = job.seed;
                         context.bulk_max = job.bulk_max;
                         context.snapshot = run->snapshot.get();
                         context.block = &run->block;
                         context.pieces = &run->pieces;
                         if (job.ready_key) context.ready_key = *job.ready_key;
                         context.remembered = job.remembered;
                         KeyEvents key_events(run->effects, job.database, job.database_number, nullptr, true);
                         view.watch(&key_events);
                         try {
                           job.handler(context);
                         } catch (const StorageError& error) {
                           run->reply.rollback(0);
                           run->reply.error(storage_error(error.status));
                         }
                         run->seen = std::max(view.seen(), context.seen);
                         run->hits = view.hits();
                         run->misses = view.misses();
                       }),
                       engine::Task([this, run, &client] {
                         if (!run->pieces) run->snapshot.reset();
                         client.waiting->in_flight = false;
                         worker_done(client, *run);
                       }));
}

void Dispatcher::worker_done(Client& client, LongRun& run) {
  if (client.closed() || server_.stopping()) {
    if (run.tracked) server_.tracking().long_read_dropped();
    return drop(client);
  }
  if (run.block.wanted) {  // Whether there is still nothing can be told on the reactor only.
    if (run.tracked) server_.tracking().long_read_dropped();
    client.waiting->context = {};
    client.waiting->runs = 0;
    return rerun(client);
  }
  now_us_ = env_.clock.monotonic_us();
  server_.stats().count_lookups(run.hits, run.misses);
  if (run.pieces) return begin_pieces(client, run);
  const uint64_t mark = client.reply.mark();
  const bool remembers = Tracking::remembers(client.session.tracking);
  client.output.splice(std::move(run.output));
  finish(client, client.requests.front(), mark, run.seen, false);
  tell_of(client, run, remembers);
  go_on(client);
}

// What others hear of it, and it of what changed meanwhile. Its own reply stands before that, or is begun.
void Dispatcher::tell_of(Client& client, LongRun& run, bool remembers) {
  if (run.tracked) {
    const Request& request = client.requests.front();
    Tracking::note(*request.command, client.requests.args(request), 0, 0, &run.effects.reads);
    server_.tracking().long_read_ends(client, run.effects.reads, remembers);
  }
  server_.deliver(run.effects, run.seen);
}

// The worker has found that its reply would be long: server/dispatch_pieces.cc goes on with it.
void Dispatcher::begin_pieces(Client& client, LongRun& run) {
  const uint64_t mark = client.reply.mark();
  const bool remembers = Tracking::remembers(client.session.tracking);
  if (client.session.reply_mode != ReplyMode::kOn) {  // Nobody listens.
    finish(client, client.requests.front(), mark, 0, false);
    tell_of(client, run, remembers);
    return go_on(client);
  }
  const auto pieces = std::make_shared<PiecewiseReply>();
  pieces->snapshot = std::move(run.snapshot);
  pieces->source = std::move(run.pieces);
  pieces->now_ms = client.waiting->now_ms;
  pieces->version = client.reply.version();
  pieces->taken_us = env_.clock.monotonic_us();
  pieces->taken_bytes = client.bytes_out;
  client.waiting->what = Waiting::For::kReader;
  client.waiting->context = {};
  client.waiting->pieces = pieces;
  const engine::Lsn lsn = pieces->snapshot->lsn();  // P2
  const Durability durability = client.session.durability.value_or(server_.default_durability());
  if (lsn > server_.commit().of(durability)) {
    client.gate.hold(mark, lsn, durability, 0, server_.frame());
    if (durability == Durability::kSynced) server_.sync_wanted();
  }
  ++server_.stats().piecewise_replies;
  tell_of(client, run, remembers);
  make_piece(client);
}

// A command that waited begins anew.
void Dispatcher::rerun(Client& client) {
  if (client.closed() || server_.stopping()) return drop(client);
  turn_us_ = now_us_ = env_.clock.monotonic_us();
  turn_ms_ = env_.clock.wall_ms();
  if (execute(client, client.requests.front()) == Ran::kDone) go_on(client);
  if (server_.blocking().any_ready()) serve_blocked();
}

// The command that waited is answered: on with what was sent after it.
void Dispatcher::go_on(Client& client) {
  end_wait(client);
  if (client.closed()) return server_.destroy_if_possible(client);
  process(client);
  if (!client.closed()) server_.output_added(client);
}

// The same, from within another one's turn.
void Dispatcher::go_on_later(Client& client) {
  end_wait(client);
  server_.output_added(client);
  server_.work_left(client);
}

void Dispatcher::end_wait(Client& client) {
  if (client.waiting->blocked) client.watch_for_end(false);
  client.waiting.reset();
  --waiting_;
  if (client.closed()) return;
  client.requests.pop();
  if (client.closing_after_reply()) client.requests.clear();
}

void Dispatcher::drop(Client& client) {
  client.waiting.reset();
  --waiting_;
  server_.destroy_if_possible(client);
}

// ------------------------------------------------------------------ waiting for a key

void Dispatcher::block(Client& client, bool absent) {
  Blocking& blocking = server_.blocking();
  Waiting& waiting = wait(client, Waiting::For::kKey);
  waiting.context = {};
  waiting.ready_key.reset();
  if (waiting.blocked) {
    const Unblock end = blocking.passed(client.id, absent, now_us_);
    if (end != Unblock::kNo) end_block(client, end);
    return;
  }
  waiting.blocked = true;
  static constexpr int64_t kLongestMs = int64_t{1} << 50;
  const uint64_t deadline_us = block_.timeout_ms == 0 || block_.timeout_ms > kLongestMs
                                   ? 0
                                   : now_us_ + static_cast<uint64_t>(block_.timeout_ms) * 1000;
  blocking.add(client.id, client.session.database, block_, deadline_us);
  client.watch_for_end(true);
}

void Dispatcher::serve_blocked() {
  if (serving_ || server_.stopping()) return;
  serving_ = true;
  while (const auto turn = server_.blocking().next()) {
    Client* client = server_.clients().find(turn->client);
    INVARIANT(client != nullptr && client->waiting != nullptr);
    Waiting& waiting = *client->waiting;
    turn_us_ = now_us_ = env_.clock.monotonic_us();
    turn_ms_ = env_.clock.wall_ms();
    waiting.started_us = now_us_;
    waiting.runs = 0;  // A new run, with a clock of its own.
    waiting.ready_key = turn->key;
    if (execute(*client, client->requests.front()) == Ran::kDone) go_on_later(*client);
  }
  serving_ = false;
}

size_t Dispatcher::blocked() const {
  size_t count = server_.blocking().size();
  for (const Client* client : parked_)
    count += client->waiting->counts_as_blocked() && !client->waiting->blocked;
  return count;
}

void Dispatcher::time_out_blocked() {
  for (const uint64_t id : server_.blocking().due(env_.clock.monotonic_us())) unblock(id, Unblock::kTimeout);
}

bool Dispatcher::unblock(uint64_t client_id, Unblock how) {
  switch (server_.blocking().end(client_id, how)) {
    case Blocking::Ended::kNotWaiting: return false;
    case Blocking::Ended::kLater: return true;
    case Blocking::Ended::kNow: break;
  }
  end_block(*server_.clients().find(client_id), how);
  return true;
}

void Dispatcher::unblock_all() {
  std::vector<uint64_t> ids;
  server_.clients().each([&](const Client& client) {
    if (client.waiting && client.waiting->blocked) ids.push_back(client.id);
  });
  for (const uint64_t id : ids) unblock(id, Unblock::kRoleChanged);
}

void Dispatcher::forget_blocks() {
  context_ = engine::ReadContext();
  for (Client* client : parked_) client->waiting->context = {};
}

void Dispatcher::end_block(Client& client, Unblock how) {
  const uint64_t mark = client.reply.mark();
  if (how == Unblock::kError)
    client.reply.error("UNBLOCKED client unblocked via CLIENT UNBLOCK");
  else if (how == Unblock::kRoleChanged)
    client.reply.error(
        "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)");
  else
    client.reply.null_array();
  client.waiting->started_us = now_us_;
  finish(client, client.requests.front(), mark, 0, false);
  go_on_later(client);
}

// ------------------------------------------------------------------ answers that come later

void Dispatcher::suspend(Client& client) { wait(client, Waiting::For::kOutcome).in_flight = true; }

void Dispatcher::begin_anew(Client& client) {
  client.waiting->in_flight = false;
  client.waiting->what = Waiting::For::kWorker;  // It has no outcome yet.
  client.waiting->context = {};
  rerun(client);
}

bool Dispatcher::begin_answer(Client& client) {
  client.waiting->in_flight = false;
  if (client.closed() || server_.stopping()) {
    drop(client);
    return false;
  }
  now_us_ = env_.clock.monotonic_us();
  return true;
}

void Dispatcher::end_answer(Client& client, uint64_t mark, engine::Lsn lsn) {
  finish(client, client.requests.front(), mark, lsn, false);
  go_on(client);
}

}  // namespace server
