#include "engine/manifest_edit.h"

#include "engine/fields.h"
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

PlacedTable read_added(FieldReader& in) {
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

void write_added(FieldWriter& out, const PlacedTable& placed) {
  const TableMeta& meta = placed.meta;
  out.tag(kAdded).number(static_cast<uint64_t>(placed.level)).number(placed.run).number(meta.number);
  out.number(meta.file_bytes).number(meta.data_bytes);
  out.number(meta.entries).number(meta.tombstones).number(meta.unsettled).number(meta.checksum);
  out.number(meta.first_lsn).number(meta.last_lsn).text(meta.smallest).text(meta.largest);
}

}  // namespace

std::string encode_edit(const VersionEdit& edit) {
  FieldWriter out;
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
  FieldReader in(bytes);
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
