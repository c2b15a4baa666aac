#include "server/rdb/file_reader.h"

#include <limits>

#include "server/rdb/format.h"
#include "server/units.h"

namespace server::rdb {
namespace {

constexpr std::string_view kMagic = "REDIS";
constexpr int kVersionWithChecksum = 5;

}  // namespace

Step FileReader::next(Part* part) {
  for (;;) {
    Step step = Step::kEnd;
    switch (phase_) {
      case Phase::kHeader: step = read_header(); break;
      case Phase::kParts:
        step = read_part(part);
        if (step == Step::kItem && part->kind == Part::Kind::kKey) phase_ = Phase::kValue;
        if (step != Step::kEnd) return step;
        continue;  // Something that nobody needs to know.
      case Phase::kValue:
        step = value_.next(in_, &part->item);
        part->kind = Part::Kind::kPiece;
        if (step != Step::kEnd) return step;
        part->kind = Part::Kind::kKeyEnd;
        phase_ = Phase::kParts;
        return Step::kItem;
      case Phase::kModule: step = read_module_part(); break;
      case Phase::kFooter: step = read_footer(); break;
      case Phase::kEnd: return Step::kEnd;
    }
    if (step != Step::kItem) return step;
  }
}

Step FileReader::read_header() {
  const std::string_view magic = in_.bytes(kMagic.size());
  const std::string_view digits = in_.bytes(4);
  if (in_.ok()) {
    const auto version = parse_lax_integer(digits);
    if (magic != kMagic || !version || *version < 1)
      in_.damaged("this does not begin as an RDB file does");
    else if (*version > kVersionMax)
      in_.damaged("version " + std::to_string(*version) + " is newer than " + std::to_string(kVersionMax) +
                  ", the newest that is known here");
    else
      version_ = static_cast<int>(*version);
  }
  if (!in_.ok()) return in_.stopped();
  in_.commit();
  phase_ = Phase::kParts;
  return Step::kItem;
}

// kEnd: what was read needs nobody's attention.
Step FileReader::read_part(Part* part) {
  const uint8_t code = in_.byte();
  const auto done = [&](Step step) {
    if (!in_.ok()) return in_.stopped();
    in_.commit();
    return step;
  };
  if (!in_.ok()) return in_.stopped();
  switch (code) {
    case opcode::kAux:
      part->kind = Part::Kind::kAux;
      part->name = in_.string(&name_);
      part->value = in_.string(&text_);
      return done(Step::kItem);
    case opcode::kFunction:
      part->kind = Part::Kind::kFunction;
      part->value = in_.string(&text_);
      return done(Step::kItem);
    case opcode::kFunctionEarly:
      in_.damaged("a function of a release candidate of Redis 7.0");
      return in_.stopped();
    case opcode::kDatabase:
      part->kind = Part::Kind::kDatabase;
      part->number = in_.length();
      return done(Step::kItem);
    case opcode::kResize:
      in_.length();
      in_.length();
      return done(Step::kEnd);
    case opcode::kSlotInfo:
      for (int i = 0; i < 3; ++i) in_.length();
      return done(Step::kEnd);
    case opcode::kIdle: in_.length(); return done(Step::kEnd);
    case opcode::kFrequency: in_.byte(); return done(Step::kEnd);
    case opcode::kExpiryMs:
    case opcode::kExpirySeconds: {
      constexpr int64_t kSecond = 1000;
      const int64_t expiry_ms =
          code == opcode::kExpiryMs ? in_.little<int64_t>() : in_.little<int32_t>() * kSecond;
      const Step step = done(Step::kEnd);
      if (step == Step::kEnd) expiry_ms_ = expiry_ms < 0 ? 0 : expiry_ms;
      return step;
    }
    case opcode::kModuleAux: {
      in_.length();
      const Step step = done(Step::kEnd);
      if (step == Step::kEnd) phase_ = Phase::kModule;
      return step;
    }
    case opcode::kEnd: {
      const Step step = done(Step::kEnd);
      if (step == Step::kEnd) phase_ = Phase::kFooter;
      return step;
    }
    default: return read_key(part, code);
  }
}

Step FileReader::read_key(Part* part, uint8_t type) {
  const auto known = ValueReader::type_of(type);
  if (!known) {
    const bool module = type == static_cast<uint8_t>(ValueType::kModule) ||
                        type == static_cast<uint8_t>(ValueType::kModuleOld);
    if (!module) {
      in_.damaged("a type of number " + std::to_string(type) + ", which is none");
      return in_.stopped();
    }
    const std::string_view name = in_.string(&name_);
    if (in_.ok()) in_.damaged("key '" + std::string(name) + "' is of a module's type");
    return in_.stopped();
  }
  part->kind = Part::Kind::kKey;
  part->name = in_.string(&name_);
  part->type = *known;
  part->expiry_ms = expiry_ms_;
  if (!in_.ok()) return in_.stopped();
  in_.commit();
  expiry_ms_ = kNoExpiry;
  value_.begin(static_cast<ValueType>(type));
  return Step::kItem;
}

Step FileReader::read_module_part() {
  const uint64_t what = in_.length();
  switch (what) {
    case module_part::kEnd: break;
    case module_part::kSigned:
    case module_part::kUnsigned: in_.length(); break;
    case module_part::kFloat: in_.bytes(4); break;
    case module_part::kDouble: in_.bytes(8); break;
    case module_part::kString: in_.string(&text_); break;
    default: in_.damaged("a module's data of no known form");
  }
  if (!in_.ok()) return in_.stopped();
  in_.commit();
  if (what == module_part::kEnd) phase_ = Phase::kParts;
  return Step::kItem;
}

Step FileReader::read_footer() {
  const uint64_t checksum = in_.checksum();
  if (version_ >= kVersionWithChecksum) {
    const auto written = in_.little<uint64_t>();
    if (!in_.ok()) return in_.stopped();
    if (written != 0 && written != checksum) {  // 0: Redis was told to write none.
      in_.damaged("the checksum is wrong: something before this is damaged");
      return in_.stopped();
    }
  }
  in_.commit();
  phase_ = Phase::kEnd;
  return Step::kItem;
}

}  // namespace server::rdb
