#include "engine/manifest_edit.h"

#include "engine/version.h"

namespace engine {
namespace {

enum Tag : uint8_t {
  kAdded = 1,
  kRemoved = 2,
  kFlushed = 3,
  kCount = 4,
  kForgottenCount = 5,
  kNextTable = 6,
  kNextObject = 7,
  kDeadObjects = 8,
  kProperty = 9,
};

class Writer {
 public:
  Writer& tag(Tag tag) {
    out_ += static_cast<char>(tag);
    return *this;
  }
  Writer& number(uint64_t n) {
    for (; n >= 0x80; n >>= 7) out_ += static_cast<char>(n | 0x80);
    out_ += static_cast<char>(n);
    return *this;
  }
  Writer& signed_number(int64_t n) {
    return number((static_cast<uint64_t>(n) << 1) ^ (n < 0 ? ~uint64_t{0} : 0));
  }
  Writer& text(std::string_view bytes) {
    number(bytes.size());
    out_ += bytes;
    return *this;
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

// Once a read fails everything after it does, and ok() is false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  bool ok() const { return ok_; }
  bool done() const { return rest_.empty() || !ok_; }

  uint8_t tag() { return byte(); }
  uint64_t number() {
    uint64_t n = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t next = byte();
      if (shift == 63 && next > 1) break;
      n |= static_cast<uint64_t>(next & 0x7f) << shift;
      if (next < 0x80) return n;
    }
    ok_ = false;
    return 0;
  }
  int64_t signed_number() {
    const uint64_t n = number();
    return static_cast<int64_t>((n >> 1) ^ ((n & 1) != 0 ? ~uint64_t{0} : 0));
  }
  std::string text() {
    const uint64_t size = number();
    if (size > rest_.size()) ok_ = false;
    if (!ok_) return {};
    std::string bytes(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return bytes;
  }

 private:
  uint8_t byte() {
    if (rest_.empty()) ok_ = false;
    if (!ok_) return 0;
    const auto next = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return next;
  }

  std::string_view rest_;
  bool ok_ = true;
};

PlacedTable read_added(Reader& in) {
  PlacedTable placed;
  const uint64_t level = in.number();
  placed.level = level < kLevels ? static_cast<int>(level) : kLevels;
  placed.run = in.number();
  TableMeta& meta = placed.meta;
  meta.number = in.number();
  meta.file_bytes = in.number();
  meta.data_bytes = in.number();
  meta.entries = in.number();
  meta.tombstones = in.number();
  meta.unsettled = in.number();
  meta.checksum = in.number();
  meta.first_lsn = in.number();
  meta.last_lsn = in.number();
  meta.smallest = in.text();
  meta.largest = in.text();
  return placed;
}

void write_added(Writer& out, const PlacedTable& placed) {
  const TableMeta& meta = placed.meta;
  out.tag(kAdded).number(static_cast<uint64_t>(placed.level)).number(placed.run).number(meta.number);
  out.number(meta.file_bytes).number(meta.data_bytes);
  out.number(meta.entries).number(meta.tombstones).number(meta.unsettled).number(meta.checksum);
  out.number(meta.first_lsn).number(meta.last_lsn).text(meta.smallest).text(meta.largest);
}

}  // namespace

std::string encode_edit(const VersionEdit& edit) {
  Writer out;
  for (const PlacedTable& placed : edit.added) write_added(out, placed);
  for (const uint64_t number : edit.removed) out.tag(kRemoved).number(number);
  if (edit.flushed) out.tag(kFlushed).number(*edit.flushed);
  for (const auto& [owner, delta] : edit.count_deltas) out.tag(kCount).number(owner).signed_number(delta);
  for (const ObjectId owner : edit.forgotten_counts) out.tag(kForgottenCount).number(owner);
  if (edit.next_table) out.tag(kNextTable).number(*edit.next_table);
  if (edit.next_object) out.tag(kNextObject).number(*edit.next_object);
  if (edit.dead_objects) out.tag(kDeadObjects).text(*edit.dead_objects);
  for (const auto& [name, value] : edit.properties) out.tag(kProperty).text(name).text(value);
  return out.take();
}

Status decode_edit(std::string_view bytes, VersionEdit* edit) {
  Reader in(bytes);
  while (!in.done()) {
    switch (const uint8_t tag = in.tag()) {
      case kAdded: {
        PlacedTable placed = read_added(in);
        if (in.ok() && (placed.level == kLevels || placed.meta.smallest > placed.meta.largest))
          return {Code::kCorruption, "an edit adds a table that cannot be"};
        edit->added.push_back(std::move(placed));
        break;
      }
      case kRemoved: edit->removed.push_back(in.number()); break;
      case kFlushed: edit->flushed = in.number(); break;
      case kCount: {
        const ObjectId owner = in.number();
        edit->count_deltas[owner] = in.signed_number();
        break;
      }
      case kForgottenCount: edit->forgotten_counts.push_back(in.number()); break;
      case kNextTable: edit->next_table = in.number(); break;
      case kNextObject: edit->next_object = in.number(); break;
      case kDeadObjects: edit->dead_objects = in.text(); break;
      case kProperty: {
        std::string name = in.text();
        edit->properties[std::move(name)] = in.text();
        break;
      }
      default:
        return {Code::kTooNew,
                "an edit has a field of kind " + std::to_string(tag) + ", unknown to this build"};
    }
  }
  if (!in.ok()) return {Code::kCorruption, "an edit ends inside a field"};
  return {};
}

}  // namespace engine
