#include "replication/primary.h"

#include <algorithm>
#include <utility>

namespace replication {

using engine::Code;
using engine::Result;
using engine::Status;

PrimarySession::PrimarySession(engine::Env& env, engine::Engine& engine, const History& history,
                               const PrimaryOptions& options, Peer peer)
    : env_(env),
      engine_(engine),
      history_(history),
      options_(options),
      peer_(std::move(peer)),
      last_ack_us_(env.clock.monotonic_us()),
      last_sent_us_(last_ack_us_),
      self_(std::make_shared<PrimarySession*>(this)) {}

PrimarySession::~PrimarySession() { *self_ = nullptr; }

void PrimarySession::close(Code code, std::string why) {
  if (!closed_.ok()) return;
  closed_ = Status(code, std::move(why));
  notes_.clear();
  reader_.reset();
  checkpoint_.reset();
  peer_.changed();
}

void PrimarySession::refuse(bool final, std::string why) {
  peer_.send(encode(Refused{final, why}));
  close(Code::kInvalid, std::move(why));
}

void PrimarySession::received(std::string_view bytes) {
  in_.add(bytes);
  while (closed_.ok()) {
    switch (in_.next()) {
      case MessageReader::Outcome::kNeedMore: return;
      case MessageReader::Outcome::kDamaged:
        return close(Code::kCorruption, "damaged bytes from the replica");
      case MessageReader::Outcome::kMessage: break;
    }
    switch (in_.type()) {
      case MessageType::kHello: on_hello(in_.payload()); break;
      case MessageType::kWanted: on_wanted(in_.payload()); break;
      case MessageType::kAck: on_ack(in_.payload()); break;
      case MessageType::kWish: on_wish(in_.payload()); break;
      default: return close(Code::kInvalid, "the replica said something that only a primary says");
    }
  }
}

void PrimarySession::on_hello(std::string_view payload) {
  if (state_ != State::kWaiting || !decode(payload, &hello_))
    return close(Code::kInvalid, "the replica's greeting makes no sense");
  last_ack_us_ = env_.clock.monotonic_us();
  if (hello_.version_min > kVersionMax || hello_.version_max < kVersionMin) {
    return refuse(true, "this primary speaks versions " + std::to_string(kVersionMin) + " to " +
                            std::to_string(kVersionMax) + " of the replication protocol, the replica " +
                            std::to_string(hello_.version_min) + " to " + std::to_string(hello_.version_max) +
                            ": one of the two has to be upgraded");
  }
  if (history_.empty()) return refuse(false, "the one that it asks has no store of its primary yet");
  const bool whole = common_end(history_, engine_.end(), hello_.history, hello_.lsn) == engine_.end();
  if (hello_.take_over && hello_.lsn == engine_.end() && whole && peer_.take_over) peer_.take_over();
  const auto common = common_end(history_, engine_.end(), hello_.history, hello_.lsn);
  const bool same_epoch =
      !hello_.history.empty() && !history_.empty() && hello_.history.present() == history_.present();
  if (same_epoch && hello_.lsn > engine_.end()) {
    return refuse(false, "the replica is ahead, at LSN " + std::to_string(hello_.lsn) +
                             ", of the one that it asks, at " + std::to_string(engine_.end()));
  }
  if (common && *common == hello_.lsn && hello_.lsn >= options_.readable_from)
    reader_ = engine_.read_log(hello_.lsn);
  if (reader_) {
    state_ = State::kStreaming;
    ack_ = {hello_.lsn, 0, true};
    peer_.send(encode(Continue{kVersionMax, history_, hello_.lsn}));
    pump();
  } else if (common && *common < hello_.lsn && *common >= hello_.cut_floor &&
             *common >= engine_.log_begin() && *common <= engine_.written()) {
    peer_.send(encode(Diverged{kVersionMax, *common}));
    return close(Code::kInvalid, "the replica goes back to LSN " + std::to_string(*common) +
                                     ", where its history and this one part");
  } else {
    offer(common);
  }
  peer_.changed();
}

std::string PrimarySession::why_copy(std::optional<Lsn> common) const {
  if (!common) return "it has nothing of this history";
  const std::string parted = "its history and this one part at LSN " + std::to_string(*common);
  if (*common < hello_.lsn && *common < hello_.cut_floor)
    return parted + ", and its tables hold what it wrote since, up to LSN " +
           std::to_string(hello_.cut_floor);
  if (*common > engine_.written()) return parted + ", which is not in the log yet";
  return "it needs the log from LSN " + std::to_string(*common) + " on, which begins at LSN " +
         std::to_string(std::max(engine_.log_begin(), options_.readable_from));
}

void PrimarySession::offer(std::optional<Lsn> common) {
  state_ = State::kOffering;
  why_copied_ = why_copy(common);
  if (options_.readable_from == 0) return make_checkpoint(common);
  // The copy's log begins where its tables end, which is to be behind what cannot be read.
  engine_.flush([self = self_, common](const Status& status) {
    PrimarySession* session = *self;
    if (session == nullptr || !session->closed_.ok()) return;
    if (!status.ok()) return session->refuse(false, "no checkpoint: " + status.message());
    session->make_checkpoint(common);
  });
}

void PrimarySession::make_checkpoint(std::optional<Lsn> common) {
  engine_.checkpoint([self = self_, common](Result<std::shared_ptr<const engine::Checkpoint>> made) {
    PrimarySession* session = *self;
    if (session == nullptr || !session->closed_.ok()) return;
    if (!made.ok()) return session->refuse(false, "no checkpoint: " + made.status().message());
    session->checkpoint_ = made.value();
    const engine::Checkpoint& checkpoint = *session->checkpoint_;
    session->reader_ = session->engine_.read_log(checkpoint.flushed());  // P2.
    if (!session->reader_) return session->refuse(false, "the log is not written up to the checkpoint yet");
    session->state_ = State::kOffered;
    // Up to the present, so that the record of the present epoch is in it.
    const Lsn whole_at = std::max(checkpoint.whole_at(), session->engine_.end());
    session->peer_.send(encode(CheckpointOffer{kVersionMax, session->history_, common, checkpoint.flushed(),
                                               whole_at, checkpoint.state()}));
  });
}

void PrimarySession::on_wanted(std::string_view payload) {
  if (state_ != State::kOffered || !decode(payload, &wanted_))
    return close(Code::kInvalid, "the replica asks for tables that it was not offered");
  for (const uint64_t number : wanted_.tables) {
    const auto& files = checkpoint_->files();
    if (std::none_of(files.begin(), files.end(), [&](const auto& f) { return f.number == number; }))
      return close(Code::kInvalid, "the replica asks for a table that is not of the checkpoint");
  }
  state_ = State::kTables;
  pump();
}

void PrimarySession::on_ack(std::string_view payload) {
  Ack ack;
  if (!decode(payload, &ack) || ack.synced > ack.written)
    return close(Code::kInvalid, "an acknowledgement that makes no sense");
  ack_ = ack;
  last_ack_us_ = env_.clock.monotonic_us();
  peer_.changed();
}

void PrimarySession::on_wish(std::string_view payload) {
  if (!decode(payload, &wish_)) return close(Code::kInvalid, "a wish that makes no sense");
  peer_.changed();
}

void PrimarySession::pump() {
  wants_room_ = false;
  due_us_ = 0;
  if (!closed_.ok()) return;
  if (state_ == State::kTables) send_tables();
  if (state_ == State::kStreaming) send_records();
}

bool PrimarySession::has_room(size_t unsent_max) {
  wants_room_ = peer_.unsent() >= unsent_max;
  return !wants_room_;
}

// True: the next piece of a table is not due yet.
bool PrimarySession::paced(uint64_t bytes) {
  const uint64_t rate = options_.checkpoint_bytes_per_second;
  if (rate == 0) return false;
  const uint64_t now = env_.clock.monotonic_us();
  next_table_us_ = std::max(next_table_us_, now - std::min(now, kCatchUpUs));
  if (next_table_us_ > now) {
    due_us_ = next_table_us_;
    return true;
  }
  next_table_us_ += bytes * 1'000'000 / rate;
  return false;
}

// True: more records are worth waiting for.
bool PrimarySession::gathers() {
  if (options_.prompt || engine_.written() - reader_->position() >= kGatherBytes) return false;
  const uint64_t due = last_records_us_ + kGatherUs;
  if (env_.clock.monotonic_us() >= due) return false;
  due_us_ = due;
  return true;
}

void PrimarySession::send_tables() {
  if (reading_table_) return;
  if (table_ == wanted_.tables.size()) {
    checkpoint_.reset();
    state_ = State::kStreaming;
    return;
  }
  if (!has_room(kTablesUnsentMax)) return;
  const uint64_t number = wanted_.tables[table_];
  const auto& files = checkpoint_->files();
  const uint64_t size =
      std::find_if(files.begin(), files.end(), [&](const auto& f) { return f.number == number; })->bytes;
  const uint64_t bytes = std::min(kTableReadBytes, size - table_offset_);
  if (paced(bytes)) return;
  reading_table_ = true;
  struct Read {
    engine::Status status;
    std::string message;
  };
  auto read = std::make_shared<Read>();
  env_.executor.submit(
      engine::Lane::kCompaction,
      [read, checkpoint = checkpoint_, number, offset = table_offset_, bytes] {
        auto data = checkpoint->read(number, offset, bytes);
        read->status = data.status();
        if (data.ok()) read->message = encode(FilePart{number, std::move(data).value()});
      },
      [read, self = self_, bytes, size] {
        PrimarySession* session = *self;
        if (session == nullptr || !session->closed_.ok()) return;
        session->reading_table_ = false;
        if (!read->status.ok()) return session->close(Code::kIoError, read->status.message());
        session->last_sent_us_ = session->env_.clock.monotonic_us();
        session->peer_.send(std::move(read->message));
        session->table_offset_ += bytes;
        if (session->table_offset_ == size) {
          ++session->table_;
          session->table_offset_ = 0;
        }
        session->pump();
      });
}

void PrimarySession::send_records() {
  const auto send = [this](const engine::LogChunk& chunk) {
    last_sent_us_ = last_records_us_ = env_.clock.monotonic_us();
    peer_.send(encode(chunk));
    send_notes();
  };
  while (!reader_->busy() && !reader_->at_end() && has_room(kUnsentMax) && !gathers()) {
    engine::LogChunk chunk;
    if (reader_->take(&chunk)) {
      send(chunk);
      continue;
    }
    reader_->fetch(kReadBytes, [this, send](Result<engine::LogChunk> read) {
      if (!read.ok()) {
        if (peer_.unreadable) peer_.unreadable(reader_->position());
        return close(Code::kIoError, read.status().message());
      }
      send(read.value());
      pump();
    });
  }
}

void PrimarySession::tick() {
  if (!closed_.ok()) return;
  const uint64_t now = env_.clock.monotonic_us();
  if (now - last_ack_us_ > options_.timeout_us)
    return close(Code::kInvalid, "the replica has been silent for too long");
  if (state_ != State::kWaiting && now - last_sent_us_ >= options_.ping_period_us) {
    last_sent_us_ = now;
    peer_.send(encode(Heartbeat{env_.clock.wall_ms(), engine_.written()}));
  }
  pump();
}

void PrimarySession::publish(const Published& message) {
  if (online()) add_note(encode(message));
}

void PrimarySession::tell(const Event& event) {
  if (events() & event.event_class) add_note(encode(event));
}

void PrimarySession::add_note(std::string message) {
  notes_bytes_ += message.size();
  notes_.push_back({engine_.end(), std::move(message)});
  send_notes();
  if (notes_bytes_ > kNotesBytesMax) let_go("the replica takes messages more slowly than they are published");
}

void PrimarySession::send_notes() {
  while (!notes_.empty() && notes_.front().lsn <= reader_->position()) {
    notes_bytes_ -= notes_.front().message.size();
    peer_.send(std::move(notes_.front().message));
    notes_.pop_front();
  }
}

}  // namespace replication
