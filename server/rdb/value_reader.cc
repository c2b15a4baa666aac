#include "server/rdb/value_reader.h"

#include <charconv>
#include <cmath>
#include <limits>

namespace server::rdb {
namespace {

std::optional<Packing> packing_of(ValueType type) {
  switch (type) {
    case ValueType::kHashZipmap: return Packing::kZipmap;
    case ValueType::kSetIntset: return Packing::kIntset;
    case ValueType::kListZiplist:
    case ValueType::kZsetZiplist:
    case ValueType::kHashZiplist:
    case ValueType::kListQuicklist: return Packing::kZiplist;
    case ValueType::kHashListpack:
    case ValueType::kZsetListpack:
    case ValueType::kListQuicklist2:
    case ValueType::kSetListpack:
    case ValueType::kHashTimedListpackEarly:
    case ValueType::kHashTimedListpack: return Packing::kListpack;
    default: return std::nullopt;
  }
}

bool has_first_expiry(ValueType type) {
  return type == ValueType::kHashTimed || type == ValueType::kHashTimedListpack;
}
bool is_stream(ValueType type) {
  return type == ValueType::kStreamListpacks || type == ValueType::kStreamListpacks2 ||
         type == ValueType::kStreamListpacks3;
}

// As C's strtod, but of the whole text, and not a number is none.
std::optional<double> parse_score(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double score = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), score);
  if (error != std::errc() || end != text.data() + text.size() || std::isnan(score)) return std::nullopt;
  return score;
}

}  // namespace

std::optional<Type> ValueReader::type_of(uint8_t byte) {
  switch (static_cast<ValueType>(byte)) {
    case ValueType::kString: return Type::kString;
    case ValueType::kList:
    case ValueType::kListZiplist:
    case ValueType::kListQuicklist:
    case ValueType::kListQuicklist2: return Type::kList;
    case ValueType::kSet:
    case ValueType::kSetIntset:
    case ValueType::kSetListpack: return Type::kSet;
    case ValueType::kZsetText:
    case ValueType::kZset:
    case ValueType::kZsetZiplist:
    case ValueType::kZsetListpack: return Type::kZset;
    case ValueType::kHash:
    case ValueType::kHashZipmap:
    case ValueType::kHashZiplist:
    case ValueType::kHashListpack:
    case ValueType::kHashTimedEarly:
    case ValueType::kHashTimedListpackEarly:
    case ValueType::kHashTimed:
    case ValueType::kHashTimedListpack: return Type::kHash;
    case ValueType::kStreamListpacks:
    case ValueType::kStreamListpacks2:
    case ValueType::kStreamListpacks3: return Type::kStream;
    case ValueType::kModuleOld:
    case ValueType::kModule: break;
  }
  return std::nullopt;
}

void ValueReader::begin(ValueType type) {
  type_ = type;
  phase_ = Phase::kBegin;
  left_ = 0;
  first_expiry_ms_ = 0;
  any_ = false;
  packed_.reset();
  stream_ = is_stream(type) ? std::make_unique<StreamReader>(type) : nullptr;
}

Step ValueReader::next(Input& in, Item* item) {
  if (stream_) return stream_->next(in, item);
  if (phase_ == Phase::kBegin) {
    if (const Step step = open(in); step != Step::kItem) return step;
  }
  while (phase_ == Phase::kUnits) {
    if (packed_) {
      const Step step = next_packed(in, item);
      if (step != Step::kEnd) return step;
      packed_.reset();
    } else if (left_ > 0) {
      const Step step = next_unit(in, item);
      // A node has been opened, unless there is an item.
      if (step != Step::kItem || !packed_) return step;
    } else if (!any_) {
      in.damaged("a collection without elements");
      return in.stopped();
    } else {
      phase_ = Phase::kEnd;
    }
  }
  return Step::kEnd;
}

Step ValueReader::open(Input& in) {
  if (has_first_expiry(type_)) first_expiry_ms_ = in.little<int64_t>();
  if (in.ok() && first_expiry_ms_ < 0) in.damaged("a negative expiry");
  const bool one = type_ == ValueType::kString || (packing_of(type_) && type_ != ValueType::kListQuicklist &&
                                                   type_ != ValueType::kListQuicklist2);
  left_ = one ? 1 : in.length();
  if (!in.ok()) return in.stopped();
  in.commit();
  phase_ = Phase::kUnits;
  return Step::kItem;
}

Step ValueReader::shown(Item::Kind kind, Item* item) {
  item->kind = kind;
  any_ = true;
  return Step::kItem;
}

Step ValueReader::next_unit(Input& in, Item* item) {
  const auto packing = packing_of(type_);
  if (!packing) return next_plain(in, item);
  const uint64_t container = type_ == ValueType::kListQuicklist2 ? in.length() : kListNodePacked;
  if (in.ok() && container != kListNodePlain && container != kListNodePacked)
    in.damaged("a list's node of no known kind");
  const std::string_view bytes = in.string(&blob_);
  if (!in.ok()) return in.stopped();
  in.commit();
  --left_;
  if (container == kListNodePlain) {
    *item = {};
    item->value = bytes;
    return shown(Item::Kind::kElement, item);
  }
  packed_.emplace(*packing, bytes);
  return Step::kItem;
}

Step ValueReader::next_plain(Input& in, Item* item) {
  *item = {};
  Item::Kind kind = Item::Kind::kString;
  switch (type_) {
    case ValueType::kString: item->value = in.string(&value_); break;
    case ValueType::kList:
      kind = Item::Kind::kElement;
      item->value = in.string(&value_);
      break;
    case ValueType::kSet:
      kind = Item::Kind::kMember;
      item->name = in.string(&name_);
      break;
    case ValueType::kZset:
      kind = Item::Kind::kScored;
      item->name = in.string(&name_);
      item->score = in.little<double>();
      break;
    case ValueType::kZsetText: {
      kind = Item::Kind::kScored;
      item->name = in.string(&name_);
      const uint8_t size = in.byte();
      if (size == kScoreInfinity || size == kScoreMinusInfinity) {
        item->score = std::numeric_limits<double>::infinity() * (size == kScoreInfinity ? 1 : -1);
      } else if (size == kScoreNan) {
        in.damaged("a score that is not a number");
      } else {
        const auto score = parse_score(in.bytes(size));
        if (in.ok() && !score) in.damaged("a score that is not a number");
        item->score = score.value_or(0);
      }
      break;
    }
    default: {  // Hashes.
      kind = Item::Kind::kField;
      uint64_t expiry = 0;
      if (type_ != ValueType::kHash) {
        expiry = in.length();
        if (expiry != 0 && type_ == ValueType::kHashTimed)
          expiry += static_cast<uint64_t>(first_expiry_ms_) - 1;
        if (expiry > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
          in.damaged("an expiry too large");
      }
      if (expiry != 0) item->expiry_ms = static_cast<int64_t>(expiry);
      item->name = in.string(&name_);
      item->value = in.string(&value_);
    }
  }
  if (in.ok() && std::isnan(item->score)) in.damaged("a score that is not a number");
  if (!in.ok()) return in.stopped();
  in.commit();
  --left_;
  return shown(kind, item);
}

bool ValueReader::packed_score(const PackedValue& value, double* score) {
  if (value.is_number) {
    *score = static_cast<double>(value.number);
    return true;
  }
  const auto parsed = parse_score(value.bytes);
  *score = parsed.value_or(0);
  return parsed.has_value();
}

Step ValueReader::next_packed(Input& in, Item* item) {
  const auto damaged = [&in] {
    in.damaged("a packed collection is malformed");
    return in.stopped();
  };
  PackedValue value;
  switch (packed_->next(&value)) {
    case PackedReader::Step::kEnd: return Step::kEnd;
    case PackedReader::Step::kDamaged: return damaged();
    case PackedReader::Step::kValue: break;
  }
  *item = {};
  switch (*type_of(static_cast<uint8_t>(type_))) {
    case Type::kList: item->value = value.text(&value_); return shown(Item::Kind::kElement, item);
    case Type::kSet: item->name = value.text(&name_); return shown(Item::Kind::kMember, item);
    default: break;
  }
  item->name = value.text(&name_);
  PackedValue second;
  if (packed_->next(&second) != PackedReader::Step::kValue) return damaged();
  if (type_of(static_cast<uint8_t>(type_)) == Type::kZset) {
    if (!packed_score(second, &item->score)) return damaged();
    return shown(Item::Kind::kScored, item);
  }
  item->value = second.text(&value_);
  if (type_ == ValueType::kHashTimedListpack || type_ == ValueType::kHashTimedListpackEarly) {
    PackedValue expiry;
    if (packed_->next(&expiry) != PackedReader::Step::kValue || !expiry.is_number || expiry.number < 0)
      return damaged();
    if (expiry.number != 0) item->expiry_ms = expiry.number;
  }
  return shown(Item::Kind::kField, item);
}

}  // namespace server::rdb
