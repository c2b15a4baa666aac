// replication/protocol.h: what a primary and a replica say to each other, as bytes.
//
// A replica connects as any client does and sends the command VARVESYNC; after its +OK both sides send
// messages and nothing else, little-endian:
//
//     0         8          12       13          16
//     +---------+----------+--------+-----------+---------+
//     | xxh3    | length   | type   | zeros     | payload |     xxh3 of all that follows it
//     +---------+----------+--------+-----------+---------+
//
// Payloads are in the terms of engine/fields.h. The replica begins:
//
//     replica                                             primary
//     kHello      versions, history, LSN, address    ─▶
//                                                    ◀─   kRefused     why not; the connection ends
//                                                    ◀─   kContinue    version: records follow from that LSN
//                                                    ◀─   kDiverged    version: go back to that LSN and come
//                                                                      again
//                                                    ◀─   kCheckpoint  version: a store's state; first
//     kWanted     numbers of the tables it needs     ─▶
//                                                    ◀─   kFile        table by table, each in order; then
//                                                    ◀─   kRecords     first LSN, end, records as in a frame
//                                                    ◀─   kHeartbeat   the time, how far the primary is
//                                                    ◀─   kMessage     a published message
//     kAck        how far it has, and has synced     ─▶
//     kWish       of which events it wants to hear   ─▶
//                                                    ◀─   kEvent       something has happened to a key
//
// A hello names the lowest and the highest version that its sender speaks; the answer names the one that is
// spoken from then on. Header, kHello's beginning and kRefused are the same in all versions.
//
// Threads: pure; any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/lsn.h"
#include "replication/history.h"

namespace replication {

inline constexpr std::string_view kSyncCommand = "VARVESYNC";
inline constexpr uint64_t kVersionMin = 1;
inline constexpr uint64_t kVersionMax = 1;
inline constexpr uint64_t kMessageHeaderBytes = 16;

enum class MessageType : uint8_t {
  kHello = 1,
  kRefused = 2,
  kContinue = 3,
  kCheckpoint = 4,
  kWanted = 5,
  kFile = 6,
  kRecords = 7,
  kHeartbeat = 8,
  kMessage = 9,
  kAck = 10,
  kDiverged = 11,
  kWish = 12,
  kEvent = 13,
};

struct Hello {
  uint64_t version_min = kVersionMin, version_max = kVersionMax;
  History history;
  Lsn lsn = 0;
  Lsn cut_floor = 0;  // Engine::cut_floor().
  std::string run_id;
  std::string announce_ip;  // Empty: as the connection has it.
  uint64_t port = 0;
  bool take_over = false;  // A primary hands its role over to the one that it greets.
};
struct Refused {
  bool final = false;  // Asking again will not help until somebody changes something.
  std::string why;
};
struct Continue {
  uint64_t version = 0;
  History history;
  Lsn from = 0;
};
// What the replica wrote from `common` on is not of the primary's history, and can be given up.
struct Diverged {
  uint64_t version = 0;
  Lsn common = 0;
};
struct CheckpointOffer {
  uint64_t version = 0;
  History history;
  std::optional<Lsn> common;  // Up to where the replica's log was the same.
  Lsn flushed = 0, whole_at = 0;
  std::string state;  // engine::Checkpoint::state().
};
struct Wanted {
  std::vector<uint64_t> tables;
};
struct FilePart {
  uint64_t table = 0;
  std::string data;
};
struct Heartbeat {
  int64_t time_ms = 0;
  Lsn end = 0;
};
struct Published {
  std::string channel, text;
  bool sharded = false;
};
// What classes and names mean is the servers' affair.
struct Wish {
  uint32_t events = 0;  // A bit a class.
};
struct Event {
  uint32_t event_class = 0;
  uint32_t database = 0;
  std::string name, key;
};
struct Ack {
  Lsn written = 0, synced = 0;
  bool streaming = false;  // It applies what comes; not yet while a checkpoint comes in.
};

std::string encode(const Hello& message);
std::string encode(const Refused& message);
std::string encode(const Continue& message);
std::string encode(const Diverged& message);
std::string encode(const CheckpointOffer& message);
std::string encode(const Wanted& message);
std::string encode(const FilePart& message);
std::string encode(const engine::LogChunk& message);
std::string encode(const Heartbeat& message);
std::string encode(const Published& message);
std::string encode(const Ack& message);
std::string encode(const Wish& message);
std::string encode(const Event& message);

// False: the payload is not such a message.
bool decode(std::string_view payload, Hello* message);
bool decode(std::string_view payload, Refused* message);
bool decode(std::string_view payload, Continue* message);
bool decode(std::string_view payload, Diverged* message);
bool decode(std::string_view payload, CheckpointOffer* message);
bool decode(std::string_view payload, Wanted* message);
bool decode(std::string_view payload, FilePart* message);
bool decode(std::string_view payload, engine::LogChunk* message);
bool decode(std::string_view payload, Heartbeat* message);
bool decode(std::string_view payload, Published* message);
bool decode(std::string_view payload, Ack* message);
bool decode(std::string_view payload, Wish* message);
bool decode(std::string_view payload, Event* message);

// Cuts a stream of bytes into messages.
class MessageReader {
 public:
  void add(std::string_view bytes) { buffer_.append(bytes); }
  enum class Outcome : uint8_t { kMessage, kNeedMore, kDamaged };
  // With kMessage, type() and payload() are good until the next call.
  Outcome next();
  MessageType type() const { return type_; }
  std::string_view payload() const { return payload_; }
  size_t buffered() const { return buffer_.size() - at_; }
  void clear();

 private:
  std::string buffer_;
  size_t at_ = 0;
  MessageType type_ = MessageType::kHello;
  std::string_view payload_;
};

}  // namespace replication
