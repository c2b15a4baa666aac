#include "replication/protocol.h"

#include <xxhash.h>

#include <cstring>

#include "engine/fields.h"

namespace replication {
namespace {

using engine::FieldReader;
using engine::FieldWriter;

// More than this in front is worth moving what is behind it.
constexpr size_t kCompactBytes = 1 << 20;

// `bulk` comes last, as a text does; it may be long, and is copied once.
std::string seal(MessageType type, std::string fields, std::string_view bulk = {}) {
  const size_t length = fields.size() + bulk.size();
  INVARIANT(length <= UINT32_MAX);
  std::string message;
  message.reserve(kMessageHeaderBytes + length);
  message.resize(kMessageHeaderBytes, '\0');
  const auto length32 = static_cast<uint32_t>(length);
  std::memcpy(message.data() + 8, &length32, sizeof length32);
  message[12] = static_cast<char>(type);
  message += fields;
  message += bulk;
  const uint64_t checksum = XXH3_64bits(message.data() + 8, message.size() - 8);
  std::memcpy(message.data(), &checksum, sizeof checksum);
  return message;
}

void put_history(FieldWriter& out, const History& history) { out.text(history.encode()); }
bool get_history(FieldReader& in, History* history) {
  const auto decoded = History::decode(in.text());
  if (decoded) *history = *decoded;
  return decoded.has_value();
}
bool get_32(FieldReader& in, uint32_t* number) {
  const uint64_t read = in.number();
  *number = static_cast<uint32_t>(read);
  return read <= UINT32_MAX;
}
bool whole(const FieldReader& in) { return in.ok() && in.done(); }

}  // namespace

std::string encode(const Hello& m) {
  FieldWriter out;
  out.number(m.version_min).number(m.version_max);  // The same in all versions up to here.
  put_history(out, m.history);
  out.number(m.lsn).number(m.cut_floor).text(m.run_id).text(m.announce_ip).number(m.port).number(m.take_over);
  return seal(MessageType::kHello, out.take());
}
bool decode(std::string_view payload, Hello* m) {
  FieldReader in(payload);
  m->version_min = in.number();
  m->version_max = in.number();
  if (!in.ok()) return false;
  if (m->version_min > kVersionMax || m->version_max < kVersionMin) return true;  // To be refused; no more.
  if (!get_history(in, &m->history)) return false;
  m->lsn = in.number();
  m->cut_floor = in.number();
  m->run_id = in.text();
  m->announce_ip = in.text();
  m->port = in.number();
  m->take_over = in.number() != 0;
  return in.ok();
}

std::string encode(const Refused& m) {
  FieldWriter out;
  out.number(m.final).text(m.why);
  return seal(MessageType::kRefused, out.take());
}
bool decode(std::string_view payload, Refused* m) {
  FieldReader in(payload);
  m->final = in.number() != 0;
  m->why = in.text();
  return in.ok();
}

std::string encode(const Continue& m) {
  FieldWriter out;
  out.number(m.version);
  put_history(out, m.history);
  out.number(m.from);
  return seal(MessageType::kContinue, out.take());
}
bool decode(std::string_view payload, Continue* m) {
  FieldReader in(payload);
  m->version = in.number();
  if (!get_history(in, &m->history)) return false;
  m->from = in.number();
  return whole(in);
}

std::string encode(const Diverged& m) {
  FieldWriter out;
  out.number(m.version).number(m.common);
  return seal(MessageType::kDiverged, out.take());
}
bool decode(std::string_view payload, Diverged* m) {
  FieldReader in(payload);
  m->version = in.number();
  m->common = in.number();
  return whole(in);
}

std::string encode(const CheckpointOffer& m) {
  FieldWriter out;
  out.number(m.version);
  put_history(out, m.history);
  out.number(m.common.has_value()).number(m.common.value_or(0));
  out.number(m.flushed).number(m.whole_at).text(m.state);
  return seal(MessageType::kCheckpoint, out.take());
}
bool decode(std::string_view payload, CheckpointOffer* m) {
  FieldReader in(payload);
  m->version = in.number();
  if (!get_history(in, &m->history)) return false;
  const bool has_common = in.number() != 0;
  const Lsn common = in.number();
  m->common = has_common ? std::optional(common) : std::nullopt;
  m->flushed = in.number();
  m->whole_at = in.number();
  m->state = in.text();
  return whole(in);
}

std::string encode(const Wanted& m) {
  FieldWriter out;
  out.number(m.tables.size());
  for (const uint64_t number : m.tables) out.number(number);
  return seal(MessageType::kWanted, out.take());
}
bool decode(std::string_view payload, Wanted* m) {
  FieldReader in(payload);
  const uint64_t count = in.number();
  if (count > payload.size()) return false;
  m->tables.clear();
  for (uint64_t i = 0; i < count; ++i) m->tables.push_back(in.number());
  return whole(in);
}

std::string encode(const FilePart& m) {
  FieldWriter out;
  out.number(m.table).number(m.data.size());
  return seal(MessageType::kFile, out.take(), m.data);
}
bool decode(std::string_view payload, FilePart* m) {
  FieldReader in(payload);
  m->table = in.number();
  m->data = in.text();
  return whole(in);
}

std::string encode(const engine::LogChunk& m) {
  FieldWriter out;
  out.number(m.first).number(m.end).number(m.payload.size());
  return seal(MessageType::kRecords, out.take(), m.payload);
}
bool decode(std::string_view payload, engine::LogChunk* m) {
  FieldReader in(payload);
  m->first = in.number();
  m->end = in.number();
  m->payload = in.text();
  return whole(in) && m->first < m->end;
}

std::string encode(const Heartbeat& m) {
  FieldWriter out;
  out.signed_number(m.time_ms).number(m.end);
  return seal(MessageType::kHeartbeat, out.take());
}
bool decode(std::string_view payload, Heartbeat* m) {
  FieldReader in(payload);
  m->time_ms = in.signed_number();
  m->end = in.number();
  return whole(in);
}

std::string encode(const Published& m) {
  FieldWriter out;
  out.text(m.channel).text(m.text).number(m.sharded);
  return seal(MessageType::kMessage, out.take());
}
bool decode(std::string_view payload, Published* m) {
  FieldReader in(payload);
  m->channel = in.text();
  m->text = in.text();
  m->sharded = in.number() != 0;
  return whole(in);
}

std::string encode(const Ack& m) {
  FieldWriter out;
  out.number(m.written).number(m.synced).number(m.streaming);
  return seal(MessageType::kAck, out.take());
}
bool decode(std::string_view payload, Ack* m) {
  FieldReader in(payload);
  m->written = in.number();
  m->synced = in.number();
  m->streaming = in.number() != 0;
  return whole(in);
}

std::string encode(const Wish& m) {
  FieldWriter out;
  out.number(m.events);
  return seal(MessageType::kWish, out.take());
}
bool decode(std::string_view payload, Wish* m) {
  FieldReader in(payload);
  return get_32(in, &m->events) && whole(in);
}

std::string encode(const Event& m) {
  FieldWriter out;
  out.number(m.event_class).number(m.database).text(m.name).text(m.key);
  return seal(MessageType::kEvent, out.take());
}
bool decode(std::string_view payload, Event* m) {
  FieldReader in(payload);
  if (!get_32(in, &m->event_class) || !get_32(in, &m->database)) return false;
  m->name = in.text();
  m->key = in.text();
  return whole(in);
}

MessageReader::Outcome MessageReader::next() {
  if (at_ > kCompactBytes || at_ == buffer_.size()) {
    buffer_.erase(0, at_);
    at_ = 0;
  }
  if (buffered() < kMessageHeaderBytes) return Outcome::kNeedMore;
  const char* header = buffer_.data() + at_;
  uint64_t checksum;
  uint32_t length;
  std::memcpy(&checksum, header, sizeof checksum);
  std::memcpy(&length, header + 8, sizeof length);
  const auto type = static_cast<uint8_t>(header[12]);
  if (type < 1 || type > static_cast<uint8_t>(MessageType::kEvent)) return Outcome::kDamaged;
  if (buffered() - kMessageHeaderBytes < length) return Outcome::kNeedMore;
  if (XXH3_64bits(header + 8, kMessageHeaderBytes - 8 + length) != checksum) return Outcome::kDamaged;
  type_ = static_cast<MessageType>(type);
  payload_ = std::string_view(buffer_).substr(at_ + kMessageHeaderBytes, length);
  at_ += kMessageHeaderBytes + length;
  return Outcome::kMessage;
}

void MessageReader::clear() {
  buffer_.clear();
  at_ = 0;
}

}  // namespace replication
