#include "replication/replica.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "engine/log_cut.h"
#include "engine/log_format.h"
#include "engine/segment_writer.h"

namespace replication {

using engine::Result;
using engine::Status;

namespace {

constexpr uint64_t kTailBytes = 256 << 10;
constexpr unsigned kLookAhead = 16;

std::string hex(Lsn lsn) {
  char text[20];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(lsn));
  return text;
}

}  // namespace

struct Replica::Tail {
  std::shared_ptr<engine::SegmentWriter> file;
  Lsn begin = 0, end = 0;
  std::string path;
  std::function<void()> then;
};

Replica::Replica(engine::Env& env, engine::Engine& engine, const History& history,
                 const ReplicaOptions& options, ReplicaHost& host)
    : env_(env),
      engine_(engine),
      history_(history),
      options_(options),
      host_(host),
      self_(std::make_shared<Replica*>(this)) {}

Replica::~Replica() { *self_ = nullptr; }

void Replica::start() {
  INVARIANT(state_ == State::kOff);
  state_ = State::kWaiting;
  retry_wait_us_ = 0;
  retry_at_us_ = 0;
  down_since_us_ = last_io_us_ = env_.clock.monotonic_us();
  primary_end_ = 0;
  refusal_.clear();
  tick();
}

bool Replica::stop() {
  if (state_ == State::kInstalling) return false;
  if (state_ != State::kOff && state_ != State::kWaiting) host_.disconnect();
  wait();
  state_ = State::kOff;
  return true;
}

// ------------------------------------------------------------------ the connection

void Replica::connected() {
  last_io_us_ = env_.clock.monotonic_us();
  state_ = State::kGreeting;
  wish_said_ = 0;
  Hello hello;
  hello.history = history_;
  hello.lsn = engine_.written();
  hello.cut_floor = engine_.cut_floor();
  hello.run_id = options_.run_id;
  hello.announce_ip = options_.announce_ip;
  hello.port = options_.port;
  hello.take_over = options_.take_over;
  host_.send(encode(hello));
}

void Replica::disconnected(const std::string& why) {
  if (state_ == State::kOff || state_ == State::kWaiting) return;
  host_.say("the connection to the primary is lost: " + why);
  if (state_ == State::kInstalling) {  // Goes on, and asks anew afterwards.
    ++generation_;
    in_.clear();
    return;
  }
  wait();
}

void Replica::fail(const std::string& why) {
  host_.disconnect();
  disconnected(why);
}

void Replica::give_up(const std::string& why) {
  if (state_ == State::kInstalling) state_ = State::kCheckpoint;
  fail(why);
}

// Drops all that belongs to the connection, and tries again later.
void Replica::wait() {
  const uint64_t now = env_.clock.monotonic_us();
  if (state_ == State::kStreaming) down_since_us_ = now;
  ++generation_;
  in_.clear();
  chunk_ = {};
  rest_ = record_ = {};
  looked_ahead_ = 0;
  busy_ = false;
  incoming_.reset();
  keep_tables_.reset();
  tail_reader_.reset();
  sync_total_ = sync_left_ = 0;
  state_ = State::kWaiting;
  retry_wait_us_ = std::clamp(2 * retry_wait_us_, options_.retry_us, options_.retry_max_us);
  retry_at_us_ = now + retry_wait_us_;
}

void Replica::tick() {
  const uint64_t now = env_.clock.monotonic_us();
  switch (state_) {
    case State::kOff:
    case State::kInstalling: return;
    case State::kWaiting:
      if (now < retry_at_us_ || working_ > 0) return;
      state_ = State::kConnecting;
      last_io_us_ = now;
      host_.connect();
      return;
    default: break;
  }
  if (now - last_io_us_ > options_.timeout_us) return fail("the primary has been silent for too long");
  process();
  if (state_ != State::kConnecting && state_ != State::kGreeting) ack(false);
}

void Replica::received(std::string_view bytes) {
  last_io_us_ = env_.clock.monotonic_us();
  in_.add(bytes);
  process();
}

void Replica::progressed() {
  if (state_ == State::kStreaming) {
    process();
    if (state_ == State::kStreaming) ack(true);
  }
}

void Replica::ack(bool now) {
  Ack ack;
  if (state_ == State::kStreaming) ack = {engine_.written(), engine_.synced(), true};
  const bool news = ack.written != last_ack_.written || ack.synced != last_ack_.synced ||
                    ack.streaming != last_ack_.streaming;
  const uint64_t time = env_.clock.monotonic_us();
  if (!(now && news) && time - last_ack_us_ < options_.ack_period_us) return;
  last_ack_ = ack;
  last_ack_us_ = time;
  host_.send(encode(ack));
}

void Replica::wish(uint32_t events) {
  wish_ = events;
  if (state_ == State::kStreaming) say_wish();
}

void Replica::say_wish() {
  if (wish_ == wish_said_) return;
  wish_said_ = wish_;
  host_.send(encode(Wish{wish_}));
}

// ------------------------------------------------------------------ messages

void Replica::process() {
  while (!busy_ &&
         (state_ == State::kGreeting || state_ == State::kCheckpoint || state_ == State::kStreaming)) {
    if (!rest_.empty() || !record_.empty()) {
      if (!apply_some()) return;
      continue;
    }
    switch (in_.next()) {
      case MessageReader::Outcome::kNeedMore: return;
      case MessageReader::Outcome::kDamaged: return fail("damaged bytes from the primary");
      case MessageReader::Outcome::kMessage: break;
    }
    if (!handle(in_.type(), in_.payload())) return fail("the primary said something that makes no sense");
  }
}

// False: it makes no sense, here or at all.
bool Replica::handle(MessageType type, std::string_view payload) {
  switch (type) {
    case MessageType::kRefused: {
      Refused refused;
      if (!decode(payload, &refused)) return false;
      refusal_ = refused.why;
      if (refused.final) retry_wait_us_ = options_.retry_max_us;
      host_.say("the primary refuses: " + refused.why);
      fail("refused");
      return true;
    }
    case MessageType::kContinue: {
      Continue answer;
      if (state_ != State::kGreeting || !decode(payload, &answer) || answer.version < kVersionMin ||
          answer.version > kVersionMax || answer.from != engine_.end())
        return false;
      on_continue(answer);
      return true;
    }
    case MessageType::kDiverged: {
      Diverged answer;
      if (state_ != State::kGreeting || !decode(payload, &answer) || answer.common >= engine_.written())
        return false;
      on_diverged(answer.common);
      return true;
    }
    case MessageType::kCheckpoint: {
      CheckpointOffer offer;
      if (state_ != State::kGreeting || !decode(payload, &offer) || offer.version < kVersionMin ||
          offer.version > kVersionMax)
        return false;
      on_checkpoint(std::move(offer));
      return true;
    }
    case MessageType::kFile: {
      FilePart part;
      if (state_ != State::kCheckpoint || !incoming_ || !decode(payload, &part)) return false;
      on_file(std::move(part));
      return true;
    }
    case MessageType::kRecords: {
      engine::LogChunk chunk;
      if (!decode(payload, &chunk)) return false;
      primary_end_ = std::max(primary_end_, chunk.end);
      if (state_ == State::kCheckpoint && incoming_) {
        if (chunk.first != incoming_->log_end()) return false;
        on_checkpoint_records(std::move(chunk));
        return true;
      }
      if (state_ != State::kStreaming || chunk.first != engine_.end()) return false;
      chunk_ = std::move(chunk);
      rest_ = chunk_.payload;
      return true;
    }
    case MessageType::kHeartbeat: {
      Heartbeat beat;
      if (!decode(payload, &beat)) return false;
      primary_end_ = std::max(primary_end_, beat.end);
      return true;
    }
    case MessageType::kMessage: {
      Published message;
      if (!decode(payload, &message)) return false;
      if (state_ == State::kStreaming) host_.published(message);
      return true;
    }
    case MessageType::kEvent: {
      Event event;
      if (!decode(payload, &event)) return false;
      if (state_ == State::kStreaming) host_.happened(event);
      return true;
    }
    default: return false;
  }
}

void Replica::on_continue(const Continue& answer) {
  state_ = State::kStreaming;
  retry_wait_us_ = 0;
  refusal_.clear();
  ++continues_;
  primary_end_ = std::max(primary_end_, answer.from);
  engine::discard_incoming(env_.files, engine_.directory());
  host_.say("Successful partial resynchronization, from LSN " + std::to_string(answer.from));
  ack(true);
  say_wish();
}

// The connection will end meanwhile, which does not matter.
void Replica::on_diverged(Lsn common) {
  state_ = State::kInstalling;
  save_tail(common, [this, common] { go_back(common); });
}

void Replica::go_back(Lsn common) {
  on_worker([&files = env_.files, directory = engine_.directory(),
             common] { return engine::order_cut(files, directory, common); },
            [this] {
              host_.reopen([this](const Status& status) {
                if (!status.ok()) return;  // As in install().
                ++cuts_;
                host_.say("back at LSN " + std::to_string(engine_.end()));
                state_ = State::kCheckpoint;
                fail("to ask anew");
                retry_at_us_ = 0;
              });
            });
}

// Most records are of one key, whose place in memory is a cache miss: those of the next few are waited for
// together.
void Replica::look_ahead() {
  std::string_view rest = rest_;
  for (; looked_ahead_ < kLookAhead; ++looked_ahead_) {
    const auto record = engine::next_record(rest);
    if (!record) break;
    engine::BatchReader operations(*record);
    if (operations.next() && operations.op() != engine::Batch::Op::kMoved) engine_.prefetch(operations.key());
  }
  looked_ahead_ = std::max(looked_ahead_, 1u);
}

// Applies what there is room for; false: there is none left, or the stream was no good.
bool Replica::apply_some() {
  for (;;) {
    if (record_.empty()) {
      if (rest_.empty()) break;
      if (looked_ahead_ == 0) look_ahead();
      --looked_ahead_;
      const auto record = engine::next_record(rest_);
      if (!record || !batch_.assign(*record).ok() || batch_.empty()) {
        fail("records of the primary that make no sense");
        return false;
      }
      record_ = *record;
    }
    if (engine_.foreign_admission(record_.size()) != engine::Engine::Admission::kOpen) return false;
    host_.apply(batch_);
    record_ = {};
  }
  if (engine_.end() != chunk_.end) {
    fail("records of the primary that are not as long as it says");
    return false;
  }
  chunk_ = {};
  looked_ahead_ = 0;
  return true;
}

// ------------------------------------------------------------------ a checkpoint

void Replica::on_worker(std::function<Status()> work, std::function<void()> then) {
  busy_ = true;
  ++working_;
  auto status = std::make_shared<Status>();
  env_.executor.submit(
      engine::Lane::kFlush, [status, work = std::move(work)] { *status = work(); },
      [status, then = std::move(then), self = self_, generation = generation_] {
        Replica* replica = *self;
        if (replica == nullptr) return;
        --replica->working_;
        if (generation != replica->generation_ && replica->state_ != State::kInstalling) return;
        replica->busy_ = false;
        if (!status->ok()) {
          return replica->give_up(status->message());
        }
        then();
      });
}

void Replica::on_checkpoint(CheckpointOffer offer) {
  state_ = State::kCheckpoint;
  offer_ = std::move(offer);
  sync_total_ = sync_left_ = 0;
  host_.say("the primary sends a checkpoint, from LSN " + std::to_string(offer_.flushed));
  if (offer_.common && *offer_.common < engine_.written()) {
    save_tail(*offer_.common, [this] { begin_incoming(); });
  } else {
    begin_incoming();
  }
}

// R2
void Replica::save_tail(Lsn common, std::function<void()> then) {
  auto tail = std::make_shared<Tail>();
  tail->then = std::move(then);
  tail->begin = std::max(common, engine_.log_begin());
  tail->end = engine_.written();
  tail->path = engine_.directory() + "/dropped-" + hex(tail->begin) + "-" + hex(tail->end) + ".log";
  host_.say("the primary's history does not have what was written here from LSN " + std::to_string(common) +
            " to " + std::to_string(tail->end) + ": it is dropped, and kept in " + tail->path);
  tail_reader_ = engine_.read_log(tail->begin);
  if (!tail_reader_) return give_up("the log cannot be read from where the primary's begins to differ");
  on_worker(
      [tail, &files = env_.files, id = env_.entropy.next()]() -> Status {
        const std::string temporary = tail->path + ".tmp";
        auto left = files.exists(temporary);
        if (!left.ok()) return left.status();
        if (left.value()) {
          if (Status s = files.remove(temporary); !s.ok()) return s;
        }
        auto made = engine::SegmentWriter::create(files, temporary, id);
        if (!made.ok()) return made.status();
        tail->file = std::move(made).value();
        return {};
      },
      [this, tail] { save_more(tail); });
}

void Replica::save_more(std::shared_ptr<Tail> tail) {
  if (tail_reader_->at_end()) {
    tail_reader_.reset();
    return on_worker(
        [tail, &files = env_.files, directory = engine_.directory()]() -> Status {
          if (Status s = tail->file->finish(); !s.ok()) return s;
          if (Status s = files.rename(tail->path + ".tmp", tail->path); !s.ok()) return s;
          return files.sync_directory(directory);
        },
        [tail] { tail->then(); });
  }
  busy_ = true;
  tail_reader_->fetch(kTailBytes, [this, tail](Result<engine::LogChunk> read) {
    if (!read.ok()) return give_up(read.status().message());
    on_worker([tail, chunk = std::move(read).value()] { return tail->file->append(chunk); },
              [this, tail] { save_more(tail); });
  });
}

void Replica::begin_incoming() {
  keep_tables_ = engine_.snapshot();
  auto begun = std::make_shared<std::shared_ptr<engine::IncomingCheckpoint>>();
  on_worker(
      [begun, &files = env_.files, entropy = env_.entropy.next(), directory = engine_.directory(),
       state = offer_.state, own = engine_.tables()]() -> Status {
        auto made = engine::IncomingCheckpoint::begin(files, entropy, directory, state, own);
        if (!made.ok()) return made.status();
        *begun = std::move(made).value();
        return {};
      },
      [this, begun] {
        incoming_ = *begun;
        ask_for_tables();
      });
}

void Replica::ask_for_tables() {
  if (incoming_->log_end() != offer_.flushed) return fail("a checkpoint that contradicts itself");
  Wanted wanted;
  for (const engine::CheckpointFile& file : incoming_->wanted()) {
    wanted.tables.push_back(file.number);
    sync_total_ += file.bytes;
  }
  sync_left_ = sync_total_;
  host_.say("asking for " + std::to_string(wanted.tables.size()) + " tables, " + std::to_string(sync_total_) +
            " bytes");
  host_.send(encode(wanted));
  maybe_install();
  process();
}

void Replica::on_file(FilePart part) {
  sync_left_ -= std::min<uint64_t>(sync_left_, part.data.size());
  on_worker([incoming = incoming_, part = std::make_shared<FilePart>(
                                       std::move(part))] { return incoming->write(part->table, part->data); },
            [this] {
              maybe_install();
              process();
            });
}

void Replica::on_checkpoint_records(engine::LogChunk chunk) {
  on_worker([incoming = incoming_, chunk = std::make_shared<engine::LogChunk>(
                                       std::move(chunk))] { return incoming->append(*chunk); },
            [this] {
              maybe_install();
              process();
            });
}

void Replica::maybe_install() {
  if (incoming_->wanted().empty() && incoming_->log_end() >= offer_.whole_at) install();
}

// The point of no return is in here, so from now on nobody may stop it.
void Replica::install() {
  state_ = State::kInstalling;
  on_worker([incoming = incoming_] { return incoming->commit(); },
            [this] {
              incoming_.reset();
              const uint64_t generation = generation_;
              host_.reopen([this, generation](const Status& status) {
                if (!status.ok()) return;  // The host ends the process: there is no store.
                keep_tables_.reset();
                ++full_copies_;
                host_.say("Finished with success, at LSN " + std::to_string(engine_.end()));
                state_ = State::kStreaming;
                if (generation != generation_) return wait();
                retry_wait_us_ = 0;
                refusal_.clear();
                ack(true);
                say_wish();
                process();
              });
            });
}

}  // namespace replication
