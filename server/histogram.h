// server/histogram.h: how long things took, in bounded memory: 128 buckets for every power of two.
//
// A value is found again to within 0.8 %, as by Redis. The counters (24 KB) come with the first value, so a
// command that is never called costs a pointer.
//
// Threads: the owner's only.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace server {

class Histogram {
 public:
  static constexpr uint64_t kValueMax = uint64_t{1} << 30;  // Nanoseconds: a second. More counts as this.

  void record(uint64_t value) {
    if (!counts_) counts_ = std::make_unique<uint64_t[]>(kBuckets);
    ++counts_[bucket_of(std::min(value, kValueMax))];
    ++count_;
  }

  uint64_t count() const { return count_; }

  // The value below or at which `percent` of all values lie; 0 if there are none.
  uint64_t percentile(double percent) const {
    if (count_ == 0) return 0;
    const double exact = static_cast<double>(count_) * percent / 100.0;
    const uint64_t wanted = std::max<uint64_t>(1, static_cast<uint64_t>(std::llround(exact)));
    uint64_t seen = 0;
    for (size_t i = 0; i < kBuckets; ++i) {
      seen += counts_[i];
      if (seen >= wanted) return highest_in(i);
    }
    return kValueMax;
  }

  // How many values are at most `value`, to within a bucket.
  uint64_t count_up_to(uint64_t value) const {
    if (count_ == 0) return 0;
    const size_t last = bucket_of(std::min(value, kValueMax));
    uint64_t sum = 0;
    for (size_t i = 0; i <= last; ++i) sum += counts_[i];
    return sum;
  }

  // The highest value that is told apart from none above it in `value`'s bucket.
  static uint64_t highest_like(uint64_t value) { return highest_in(bucket_of(std::min(value, kValueMax))); }

  void reset() {
    counts_.reset();
    count_ = 0;
  }

 private:
  static constexpr size_t kPerOctave = 128;
  static constexpr int kLinearBits = 8;  // Below 256 every value has a bucket of its own.
  static constexpr size_t kBuckets = (size_t{1} << kLinearBits) + (30 - kLinearBits) * kPerOctave + 1;

  static size_t bucket_of(uint64_t value) {
    if (value < (uint64_t{1} << kLinearBits)) return static_cast<size_t>(value);
    const int octave = static_cast<int>(std::bit_width(value)) - 1;  // kLinearBits .. 30
    const uint64_t within = (value >> (octave - 7)) - kPerOctave;
    return (size_t{1} << kLinearBits) + static_cast<size_t>(octave - kLinearBits) * kPerOctave +
           static_cast<size_t>(within);
  }
  static uint64_t highest_in(size_t bucket) {
    if (bucket < (size_t{1} << kLinearBits)) return bucket;
    const size_t above = bucket - (size_t{1} << kLinearBits);
    const int octave = kLinearBits + static_cast<int>(above / kPerOctave);
    const uint64_t within = kPerOctave + above % kPerOctave;
    return ((within + 1) << (octave - 7)) - 1;
  }

  std::unique_ptr<uint64_t[]> counts_;
  uint64_t count_ = 0;
};

}  // namespace server
