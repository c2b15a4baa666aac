#include "server/long_write.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "server/batch_runner.h"
#include "server/client.h"
#include "server/dispatch.h"
#include "server/key_watcher.h"
#include "server/replication.h"
#include "server/server.h"

namespace server {

// ------------------------------------------------------------------ handlers

void may_take_long(CommandContext& c, std::string_view key, uint32_t database) {
  if (c.long_write_wanted == nullptr) return;
  LongWriteWanted& wanted = *c.long_write_wanted;
  wanted.header = c.view.header(c.server.databases().object(c.view, database), key);
  wanted.database = database;
  wanted.key = key;
  wanted.wanted = true;
  c.view.allow_long_write();
}

void may_take_long(CommandContext& c, std::string_view key) { may_take_long(c, key, c.database_number); }

const Settings& settings_of(const CommandContext& c) {
  return c.long_write != nullptr ? c.long_write->settings() : c.server.settings();
}

const Databases& databases_of(const CommandContext& c) {
  return c.long_write != nullptr ? c.long_write->databases() : c.server.databases();
}

// ------------------------------------------------------------------ the worker's part

LongWrite::LongWrite(Server& server, Client& client, const Job& job, LongWriteWanted wanted)
    : server_(server),
      client_(client),
      job_(job),
      wanted_(std::move(wanted)),
      settings_(server.settings()),
      databases_(server.databases()) {}

void LongWrite::start() {
  ++server_.stats().long_writes;
  server_.dispatcher().suspend(client_);
  snapshot_ = server_.engine().snapshot();
  server_.key_watch().watch(watcher_, wanted_.database, wanted_.key, wanted_.header, job_.now_ms);
  reply_.set_version(client_.reply.version());
  effects_.want(server_.wanted_events());
  for (size_t i = 0; i < kNewObjects; ++i) new_objects_.push_back(server_.engine().new_object());
  server_.env().executor.submit(engine::Lane::kLongRead,
                                engine::Task([self = shared_from_this()] { self->work(); }),
                                engine::Task([self = shared_from_this()] { self->worked(); }));
}

void LongWrite::work() {
  const auto reader = snapshot_->reader();
  View view(*reader, nullptr, rest_, job_.now_ms);
  view.allow_writes(new_objects_, elements_);
  KeyEvents key_events(effects_, job_.database, job_.database_number, &databases_, false);
  view.watch(&key_events);
  CommandContext context{job_.args, view, reply_, client_, server_};
  context.database_number = job_.database_number;
  context.database = job_.database;
  context.random_seed = job_.seed;
  context.bulk_max = job_.bulk_max;
  context.snapshot = snapshot_.get();
  context.effects = &effects_;
  context.block = &block_;
  context.long_write = this;
  try {
    job_.handler(context);
  } catch (const StorageError& error) {
    failure_ = error.status;
  }
  seen_ = std::max(view.seen(), context.seen);
  if (elements_.operations() > kElementsAtOnce || elements_.bytes().size() > kBytesPerStep ||
      !copies_.empty())
    raise_generations();
}

// The reference moves from the record 'B' to the header, which so needs a higher generation. Of a header that
// was written again and again (a stream's, entry by entry) only the last is kept.
void LongWrite::raise_generations() {
  std::unordered_map<std::string_view, size_t> last;
  for (engine::BatchReader operations(rest_.bytes()); operations.next();)
    if (operations.op() != engine::Batch::Op::kMoved && header_place(operations.key()))
      last[operations.key()] = operations.op_offset();

  engine::Batch raised;
  std::string value;
  engine::BatchReader operations(rest_.bytes());
  while (operations.next()) {
    if (operations.op() != engine::Batch::Op::kMoved && header_place(operations.key()) &&
        last[operations.key()] != operations.op_offset())
      continue;
    switch (operations.op()) {
      case engine::Batch::Op::kMoved: raised.moved(operations.id(), operations.generation()); continue;
      case engine::Batch::Op::kErase: raised.erase(operations.key(), operations.before()); continue;
      case engine::Batch::Op::kPut: break;
    }
    auto header = header_place(operations.key()) ? decode_header(operations.value()) : std::nullopt;
    if (!header || !std::count(new_objects_.begin(), new_objects_.end(), header->object.id)) {
      raised.put(operations.key(), operations.value(), operations.before());
      continue;
    }
    built_.push_back(header->object.id);
    raised.moved(header->object.id, ++header->object.generation);
    encode_header(*header, &value);
    raised.put(operations.key(), value, operations.before());
  }
  rest_ = std::move(raised);
}

// ------------------------------------------------------------------ the steps

namespace {

void replay(std::string_view operations, View& view) {
  for (engine::BatchReader one(operations); one.next();) {
    engine::Existence before = one.before();
    // An expired record may have been reclaimed since, without a change that anybody could see.
    if (one.op() != engine::Batch::Op::kMoved && header_place(one.key()))
      before = view.get(one.key()) ? engine::Existence::kPresent : engine::Existence::kAbsent;
    switch (one.op()) {
      case engine::Batch::Op::kPut: view.put(one.key(), one.value(), before); break;
      case engine::Batch::Op::kErase: view.erase(one.key(), before); break;
      case engine::Batch::Op::kMoved: view.moved(one.id(), one.generation()); break;
    }
  }
}

}  // namespace

bool LongWrite::left() const { return client_.closed() || server_.stopping(); }

void LongWrite::worked() {
  if (copies_.empty()) snapshot_.reset();
  if (left() || conflicts()) return give_up(true);
  if (!failure_.ok()) return end(failure_, 0);
  server_.long_writes().under_way_.insert(built_.begin(), built_.end());
  go_on();
}

// W2
bool LongWrite::conflicts() const {
  if (watcher_.touched()) return true;
  for (uint32_t number = 0; number < databases_.count(); ++number)
    if (databases_.object(number) != server_.databases().object(number)) return true;
  return false;
}

void LongWrite::go_on() {
  if (left() || conflicts()) return give_up(true);
  if (built_.empty()) return write_rest();  // All in one batch.
  if (put_bytes_ < elements_.bytes().size()) return put_some();
  if (!copies_.empty()) return read_some();
  write_rest();
}

void LongWrite::put_some() {
  engine::BatchReader operations(elements_.bytes().substr(put_bytes_));
  size_t bytes = elements_.bytes().size() - put_bytes_;
  for (size_t count = 0; operations.next(); ++count) {
    if (count < kElementsPerStep && operations.op_offset() < kBytesPerStep) continue;
    bytes = operations.op_offset();
    break;
  }
  const std::string_view step = elements_.bytes().substr(put_bytes_, bytes);
  server_.batches().run(
      [self = shared_from_this(), step](View& view) {
        if (!self->begun_) {
          for (const ObjectId id : self->built_)
            view.put(building_key(id), encode_database({id, 0}), engine::Existence::kAbsent);
        }
        replay(step, view);
      },
      [self = shared_from_this(), bytes](const BatchRunner::Outcome& outcome) {
        if (!outcome.status.ok()) return self->end(outcome.status, 0);
        self->begun_ = true;
        self->put_bytes_ += bytes;
        self->server_.env().executor.post(engine::Task([self] { self->go_on(); }));
      },
      false);
}

// Some more of what is to be copied becomes elements_.
void LongWrite::read_some() {
  constexpr size_t kRead = 8 * kElementsPerStep;
  put_bytes_ = 0;
  elements_.clear();
  server_.env().executor.submit(
      engine::Lane::kLongRead, engine::Task([self = shared_from_this()] {
        Copy& copy = self->copies_.back();
        const auto reader = self->snapshot_->reader();
        engine::Batch nothing;
        View view(*reader, nullptr, nothing, self->job_.now_ms);
        std::string key;
        try {
          auto elements = view.range(element_begin(copy.from), element_end(copy.from));
          bool there = copy.reached.empty() ? elements.seek_first() : elements.seek(copy.reached);
          for (; there && self->elements_.operations() < kRead &&
                 self->elements_.bytes().size() < 8 * kBytesPerStep;
               there = elements.next()) {
            element_key(copy.to, element_of(elements.key()), &key);
            self->elements_.put(key, elements.value(), engine::Existence::kAbsent);
          }
          if (there)
            copy.reached = elements.key();
          else
            self->copies_.pop_back();
        } catch (const StorageError& error) {
          self->failure_ = error.status;
        }
      }),
      engine::Task([self = shared_from_this()] {
        if (self->copies_.empty()) self->snapshot_.reset();
        if (!self->failure_.ok()) return self->end(self->failure_, 0);
        self->go_on();
      }));
}

// ------------------------------------------------------------------ the end

// W1
void LongWrite::write_rest() {
  server_.batches().run(
      [self = shared_from_this()](View& view) {
        self->conflict_ = self->conflicts();
        if (self->conflict_) return;
        if (self->built_.empty()) replay(self->elements_.bytes(), view);
        replay(self->rest_.bytes(), view);
        if (self->begun_)
          for (const ObjectId id : self->built_) view.erase(building_key(id), engine::Existence::kPresent);
      },
      [self = shared_from_this()](const BatchRunner::Outcome& outcome) {
        if (outcome.status.ok() && self->conflict_) return self->give_up(true);
        if (outcome.status.ok()) self->begun_ = false;
        self->end(outcome.status, outcome.end);
      },
      false);
}

// What has been put of it is garbage.
void LongWrite::give_up(bool again) {
  server_.key_watch().unwatch(watcher_);
  for (const ObjectId id : built_) server_.long_writes().under_way_.erase(id);
  if (std::exchange(begun_, false)) {
    server_.batches().run(
        [objects = built_](View& view) {
          for (const ObjectId id : objects)
            if (view.get(building_key(id))) view.erase(building_key(id), engine::Existence::kPresent);
        },
        [](const BatchRunner::Outcome&) {});  // W3, where it fails.
  }
  if (!again) return;
  ++server_.stats().long_writes_redone;
  ++client_.waiting->long_writes;
  server_.dispatcher().begin_anew(client_);
}

void LongWrite::end(const engine::Status& status, engine::Lsn lsn) {
  give_up(false);
  if (status.ok()) {
    client_.last_write_lsn = std::max(client_.last_write_lsn, lsn);
    server_.deliver(effects_, std::max(lsn, seen_));
  }
  server_.dispatcher().answer(
      client_,
      [self = shared_from_this(), status](resp::ReplyWriter& reply) {
        if (status.ok()) return self->client_.output.splice(std::move(self->output_));
        reply.error(self->failure_.ok() ? self->server_.dispatcher().refusal_error()
                                        : Dispatcher::storage_error(status));
      },
      std::max(lsn, seen_));
}

// ------------------------------------------------------------------ what others left

void LongWrites::tick() {
  if (!server_.replication().may_write()) {
    swept_ = false;
    return;
  }
  if (std::exchange(swept_, true)) return;
  sweep();
}

void LongWrites::sweep() {
  const auto found = std::make_shared<size_t>(0);
  server_.batches().run(
      [this, found](View& view) {
        *found = 0;
        auto records = view.range(building_begin(), building_end());
        std::vector<std::string> keys;
        for (bool there = records.seek_first(); there; there = records.next()) {
          const auto reference = decode_database(records.value());
          if (!reference || !under_way_.contains(reference->id)) keys.emplace_back(records.key());
        }
        for (const std::string& key : keys) view.erase(key, engine::Existence::kPresent);
        *found = keys.size();
      },
      [this, found](const BatchRunner::Outcome& outcome) {
        if (!outcome.status.ok())
          swept_ = false;
        else if (*found > 0)
          log_notice("%zu commands had not come to their end; what they had built is dropped", *found);
      });
}

}  // namespace server
