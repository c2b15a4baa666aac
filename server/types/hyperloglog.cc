#include "server/types/hyperloglog.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/status.h"

namespace server {

namespace {

constexpr int kIndexBits = 14;
constexpr int kHashBits = 64 - kIndexBits;  // Those that a register's value comes from.
constexpr uint64_t kSeed = 0xadc83b19;
constexpr uint8_t kStaleBit = 0x80;  // Of the cardinality's last byte.
constexpr size_t kStaleByte = 15;

// ---- dense registers

uint8_t dense_get(const char* registers, uint32_t index) {
  const uint32_t bit = index * 6, at = bit / 8, shift = bit % 8;
  // A register ends in the next byte, if there is a next one.
  const auto low = static_cast<uint8_t>(registers[at]);
  const auto high = shift > 2 ? static_cast<uint8_t>(registers[at + 1]) : uint8_t{0};
  return static_cast<uint8_t>((low >> shift | high << (8 - shift)) & 0x3f);
}

void dense_set(char* registers, uint32_t index, uint8_t value) {
  const uint32_t bit = index * 6, at = bit / 8, shift = bit % 8;
  const auto put = [&](uint32_t byte, unsigned mask, unsigned bits) {
    registers[byte] = static_cast<char>((static_cast<uint8_t>(registers[byte]) & ~mask) | bits);
  };
  put(at, 0xffu & (0x3fu << shift), 0xffu & (unsigned{value} << shift));
  if (shift > 2) put(at + 1, 0x3fu >> (8 - shift), unsigned{value} >> (8 - shift));
}

// ---- sparse runs

constexpr uint32_t kZeroMax = 64;          // Registers in a run of one byte,
constexpr uint32_t kFarZeroMax = 1 << 14;  // of two,
constexpr uint32_t kValueRunMax = 4;       // of a value.
constexpr uint8_t kValueMax = 32;

struct Run {
  uint32_t length;
  uint8_t value;
  size_t bytes;
};

// Requires: at < bytes.size(). The second byte of a run that is cut off is taken for 0.
Run run_at(std::string_view bytes, size_t at) {
  const auto first = static_cast<uint8_t>(bytes[at]);
  if (first & 0x80)
    return {static_cast<uint32_t>(first & 3) + 1, static_cast<uint8_t>((first >> 2 & 0x1f) + 1), 1};
  if ((first & 0x40) == 0) return {static_cast<uint32_t>(first & 0x3f) + 1, 0, 1};
  const uint32_t second = at + 1 < bytes.size() ? static_cast<uint8_t>(bytes[at + 1]) : 0;
  return {(static_cast<uint32_t>(first & 0x3f) << 8 | second) + 1, 0, 2};
}

void append_zeros(std::string* out, uint32_t length) {
  if (length == 0) return;
  const uint32_t coded = length - 1;
  if (length > kZeroMax) out->push_back(static_cast<char>(0x40 | coded >> 8));
  out->push_back(static_cast<char>(coded));
}

char value_run(uint8_t value, uint32_t length) {
  return static_cast<char>(0x80 | (value - 1) << 2 | static_cast<int>(length - 1));
}

void append_run(std::string* out, uint8_t value, uint32_t length) {
  if (value == 0)
    append_zeros(out, length);
  else if (length > 0)
    out->push_back(value_run(value, length));
}

// Calls use(index, length, value) for every run with a value. False: the runs do not make 2^14 registers.
template <typename Use>
bool each_run(std::string_view bytes, Use&& use) {
  uint64_t index = 0;
  for (size_t at = kHllHeaderBytes; at < bytes.size();) {
    const Run run = run_at(bytes, at);
    if (run.value != 0) {
      if (index + run.length > kHllRegisters) break;
      use(static_cast<uint32_t>(index), run.length, run.value);
    }
    index += run.length;
    at += run.bytes;
  }
  return index == kHllRegisters;
}

// ---- the estimate: Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", 2017

using Histogram = std::array<uint64_t, 64>;

double sigma(double x) {
  if (x == 1.0) return std::numeric_limits<double>::infinity();
  double sum = x, before = 0, factor = 1;
  do {
    x *= x;
    before = sum;
    sum += x * factor;
    factor += factor;
  } while (before != sum);
  return sum;
}

double tau(double x) {
  if (x == 0.0 || x == 1.0) return 0.0;
  double sum = 1 - x, before = 0, factor = 1;
  do {
    x = std::sqrt(x);
    before = sum;
    factor *= 0.5;
    sum -= (1 - x) * (1 - x) * factor;
  } while (before != sum);
  return sum / 3;
}

uint64_t estimate(const Histogram& histogram) {
  constexpr double kAlpha = 0.721347520444481703680;  // 1 / (2 ln 2)
  constexpr double kCount = kHllRegisters;
  double z = kCount * tau((kCount - static_cast<double>(histogram[kHashBits + 1])) / kCount);
  for (int value = kHashBits; value >= 1; --value) {
    z += static_cast<double>(histogram[static_cast<size_t>(value)]);
    z *= 0.5;
  }
  z += kCount * sigma(static_cast<double>(histogram[0]) / kCount);
  return static_cast<uint64_t>(std::llround(static_cast<long double>(kAlpha * kCount * kCount / z)));
}

}  // namespace

bool is_hyperloglog(std::string_view bytes) {
  if (bytes.size() < kHllHeaderBytes || !bytes.starts_with("HYLL")) return false;
  const auto encoding = static_cast<uint8_t>(bytes[4]);
  return encoding == 1 || (encoding == 0 && bytes.size() == kHllDenseBytes);
}

std::optional<uint64_t> hll_cached_count(std::string_view bytes) {
  if (static_cast<uint8_t>(bytes[kStaleByte]) & kStaleBit) return std::nullopt;
  uint64_t count = 0;
  std::memcpy(&count, bytes.data() + 8, 8);
  return count;
}

// MurmurHash2, the 64-bit one (Austin Appleby, public domain).
uint64_t hll_hash(std::string_view element) {
  constexpr uint64_t kFactor = 0xc6a4a7935bd1e995;
  constexpr int kShift = 47;
  uint64_t hash = kSeed ^ (element.size() * kFactor);
  size_t at = 0;
  for (; at + 8 <= element.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, element.data() + at, 8);
    word *= kFactor;
    word ^= word >> kShift;
    word *= kFactor;
    hash = (hash ^ word) * kFactor;
  }
  if (at < element.size()) {
    uint64_t rest = 0;
    std::memcpy(&rest, element.data() + at, element.size() - at);
    hash = (hash ^ rest) * kFactor;
  }
  hash ^= hash >> kShift;
  hash *= kFactor;
  return hash ^ hash >> kShift;
}

HllPlace hll_place(std::string_view element) {
  const uint64_t hash = hll_hash(element);
  const uint64_t rest = hash >> kIndexBits | uint64_t{1} << kHashBits;
  return {static_cast<uint32_t>(hash & (kHllRegisters - 1)),
          static_cast<uint8_t>(std::countr_zero(rest) + 1)};
}

bool hll_merge(std::string_view bytes, HllRegisters* registers) {
  if (hll_is_dense(bytes)) {
    for (uint32_t i = 0; i < kHllRegisters; ++i)
      (*registers)[i] = std::max((*registers)[i], dense_get(bytes.data() + kHllHeaderBytes, i));
    return true;
  }
  return each_run(bytes, [&](uint32_t index, uint32_t length, uint8_t value) {
    for (uint32_t i = index; i < index + length; ++i) (*registers)[i] = std::max((*registers)[i], value);
  });
}

std::optional<uint64_t> hll_count(std::string_view bytes) {
  Histogram histogram{};
  if (hll_is_dense(bytes)) {
    for (uint32_t i = 0; i < kHllRegisters; ++i) ++histogram[dense_get(bytes.data() + kHllHeaderBytes, i)];
    return estimate(histogram);
  }
  uint64_t registers = 0;
  for (size_t at = kHllHeaderBytes; at < bytes.size();) {
    const Run run = run_at(bytes, at);
    histogram[run.value] += run.length;
    registers += run.length;
    at += run.bytes;
  }
  if (registers != kHllRegisters) return std::nullopt;
  return estimate(histogram);
}

uint64_t hll_count(const HllRegisters& registers) {
  Histogram histogram{};
  for (const uint8_t value : registers) ++histogram[value & 0x3f];
  return estimate(histogram);
}

std::string hll_decode(std::string_view bytes) {
  std::string out;
  for (size_t at = kHllHeaderBytes; at < bytes.size();) {
    const Run run = run_at(bytes, at);
    if (!out.empty()) out += ' ';
    if (run.value != 0)
      out += "v:" + std::to_string(run.value) + ',' + std::to_string(run.length);
    else
      out += (run.bytes == 1 ? "z:" : "Z:") + std::to_string(run.length);
    at += run.bytes;
  }
  return out;
}

// ---- one that is changed

HyperLogLog HyperLogLog::empty() {
  std::string bytes("HYLL\1");
  bytes.resize(kHllHeaderBytes, '\0');
  append_zeros(&bytes, kFarZeroMax);
  return HyperLogLog(bytes);
}

void HyperLogLog::forget_count() {
  bytes_[kStaleByte] = static_cast<char>(static_cast<uint8_t>(bytes_[kStaleByte]) | kStaleBit);
}
void HyperLogLog::keep_count(uint64_t count) { std::memcpy(bytes_.data() + 8, &count, 8); }

bool HyperLogLog::make_dense() {
  if (hll_is_dense(bytes_)) return true;
  std::string dense = bytes_.substr(0, kHllHeaderBytes);
  dense[4] = 0;
  dense.resize(kHllDenseBytes, '\0');
  char* const registers = dense.data() + kHllHeaderBytes;
  const bool whole = each_run(bytes_, [&](uint32_t index, uint32_t length, uint8_t value) {
    for (uint32_t i = index; i < index + length; ++i) dense_set(registers, i, value);
  });
  if (whole) bytes_ = std::move(dense);
  return whole;
}

HyperLogLog::Outcome HyperLogLog::raise(HllPlace place, uint64_t sparse_bytes_max) {
  return hll_is_dense(bytes_) ? raise_dense(place) : raise_sparse(place, sparse_bytes_max);
}

HyperLogLog::Outcome HyperLogLog::raise_dense(HllPlace place) {
  char* const registers = bytes_.data() + kHllHeaderBytes;
  if (dense_get(registers, place.index) >= place.value) return Outcome::kSame;
  dense_set(registers, place.index, place.value);
  return Outcome::kChanged;
}

HyperLogLog::Outcome HyperLogLog::raise_sparse(HllPlace place, uint64_t sparse_bytes_max) {
  const auto as_dense = [&] { return make_dense() ? raise_dense(place) : Outcome::kCorrupt; };
  if (place.value > kValueMax) return as_dense();

  // The run that holds the register, and the one before it.
  size_t at = kHllHeaderBytes, before = at;
  uint64_t first = 0;
  Run run{0, 0, 0};
  for (; at < bytes_.size(); before = at, at += run.bytes, first += run.length) {
    run = run_at(bytes_, at);
    if (place.index < first + run.length) break;
  }
  if (at + run.bytes > bytes_.size() || at == bytes_.size()) return Outcome::kCorrupt;
  if (run.value >= place.value) return Outcome::kSame;

  // It is split: what lies before the register, the register, what lies behind it.
  std::string parts;
  append_run(&parts, run.value, static_cast<uint32_t>(place.index - first));
  append_run(&parts, place.value, 1);
  append_run(&parts, run.value, static_cast<uint32_t>(first + run.length - place.index - 1));
  if (parts.size() > run.bytes && bytes_.size() + parts.size() - run.bytes > sparse_bytes_max)
    return as_dense();
  bytes_.replace(at, run.bytes, parts);
  join_runs(before);
  forget_count();
  return Outcome::kChanged;
}

// Neighbours with one value become one run. Redis looks at five runs and no more, and so do we, for the same
// history is to give the same bytes.
void HyperLogLog::join_runs(size_t from) {
  size_t at = from;
  for (int looked_at = 0; looked_at < 5 && at < bytes_.size(); ++looked_at) {
    const Run run = run_at(bytes_, at);
    if (run.value != 0 && at + 1 < bytes_.size()) {
      const Run next = run_at(bytes_, at + 1);
      if (next.value == run.value && run.length + next.length <= kValueRunMax) {
        bytes_.replace(at, 2, 1, value_run(run.value, run.length + next.length));
        continue;
      }
    }
    at += run.bytes;
  }
}

}  // namespace server
