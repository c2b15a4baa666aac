#include "server/rdb/payload.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "server/rdb/crc64.h"
#include "server/rdb/value_reader.h"
#include "server/types/packed.h"

namespace server::rdb {
namespace {

constexpr size_t kVersionBytes = 2, kChecksumBytes = 8;
constexpr size_t kFooterBytes = kVersionBytes + kChecksumBytes;

engine::Status damage_of(const Input& in, Step step) {
  if (step == Step::kDamaged) return in.damage();
  return {engine::Code::kCorruption, "RDB: there is more behind the value"};
}

// The pieces of one payload, a portion at a time.
class Pieces {
 public:
  Pieces(std::string_view payload, Run run) : in_(payload.substr(1), kPayloadBytesMax), run_(std::move(run)) {
    reader_.begin(static_cast<ValueType>(payload[0]));
  }
  // The next run. Its `last` is set when the value is complete.
  engine::Status next(Portion* portion) {
    *portion = {};
    portion->begin(run_);
    run_.first = false;
    while (!portion->full()) {
      Item item;
      const Step step = reader_.next(in_, &item);
      if (step == Step::kItem) {
        portion->add(item);
        continue;
      }
      if (step != Step::kEnd || !in_.at_end()) return damage_of(in_, step);
      portion->runs.back().last = true;
      break;
    }
    return {};
  }

 private:
  Input in_;
  ValueReader reader_;
  Run run_;
};

// Whether an element came twice. Keeps 16 bytes of each name, whatever it is.
class Names {
 public:
  void add(const Run& run) {
    for (const Item& item : run.items) {
      if (item.kind != Item::Kind::kMember && item.kind != Item::Kind::kScored &&
          item.kind != Item::Kind::kField)
        continue;
      const XXH128_hash_t hash = XXH3_128bits(item.name.data(), item.name.size());
      hashes_.emplace_back(hash.high64, hash.low64);
    }
  }
  engine::Status check() {
    std::sort(hashes_.begin(), hashes_.end());
    if (std::adjacent_find(hashes_.begin(), hashes_.end()) == hashes_.end()) return {};
    return {engine::Code::kCorruption, "RDB: an element comes twice"};
  }

 private:
  std::vector<std::pair<uint64_t, uint64_t>> hashes_;
};

}  // namespace

bool dump(const ValueWriter::Source& source, std::string* out) {
  ValueWriter writer(kVersionWithFieldExpiry);
  const ValueType type = writer.type_of(source);
  out->assign(1, static_cast<char>(type));
  for (bool more = true; more;) {
    more = writer.next(source, out);
    if (out->size() > kPayloadBytesMax - kFooterBytes) return false;
  }
  put_fixed(out, static_cast<uint16_t>(type == ValueType::kHashTimed ? kVersionWithFieldExpiry : kVersion));
  put_fixed(out, crc64(0, *out));
  return true;
}

std::optional<std::string_view> verified_payload(std::string_view payload) {
  if (payload.size() < kFooterBytes) return std::nullopt;
  std::string_view footer = payload.substr(payload.size() - kFooterBytes);
  const auto version = take_fixed<uint16_t>(&footer);
  const auto checksum = take_fixed<uint64_t>(&footer);
  if (version > kVersionMax || crc64(0, payload.substr(0, payload.size() - kChecksumBytes)) != checksum)
    return std::nullopt;
  return payload.substr(0, payload.size() - kFooterBytes);
}

engine::Status restore(View& view, const Restore& what, std::string_view payload, const StoreLimits& limits,
                       uint64_t random_seed) {
  const auto type = payload.empty() ? std::nullopt : ValueReader::type_of(static_cast<uint8_t>(payload[0]));
  if (!type) return {engine::Code::kCorruption, "RDB: a value of no known type"};
  Run begin;
  begin.key = what.key;
  begin.type = *type;
  begin.expiry_ms = what.expiry_ms;
  // To its end first: storing a part of it and then finding damage would be too late.
  Portion portion;
  Names names;
  bool one = true;
  for (Pieces pieces(payload, begin);; one = false) {
    if (auto status = pieces.next(&portion); !status.ok()) return status;
    names.add(portion.runs.back());
    if (portion.runs.back().last) break;
  }
  if (auto status = names.check(); !status.ok() || what.only_check) return status;

  if (what.replace) view.erase_header(what.database, what.key);
  if (one) return store(view, what.database, portion.runs.back(), limits, random_seed);
  for (Pieces pieces(payload, begin);;) {
    if (auto status = pieces.next(&portion); !status.ok()) return status;
    if (auto status = store(view, what.database, portion.runs.back(), limits, random_seed); !status.ok())
      return status;
    if (portion.runs.back().last) return {};
  }
}

}  // namespace server::rdb
