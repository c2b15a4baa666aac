// server/types/hyperloglog.h: HyperLogLogs, byte for byte as Redis keeps them in strings.
//
//     0       4          5          8             16
//     +-------+----------+----------+-------------+-----------+
//     | HYLL  | encoding | not used | cardinality | registers |
//     +-------+----------+----------+-------------+-----------+
//
//     dense (0)    2^14 registers of 6 bits, the first in the lowest bits of the first byte
//     sparse (1)   runs:  00llllll            l + 1 registers of 0
//                         01llllll llllllll   l + 1 registers of 0
//                         1vvvvvll            l + 1 registers of v + 1
//
// The cardinality, little-endian, is what the last count came to; its highest bit says that it no longer
// holds. A new one is sparse; it becomes dense when its bytes pass hll-sparse-max-bytes or a register 32.
//
// Clients can write any string, so nothing in it is believed: what does not hold together is kCorrupt.
//
// Threads: any; an object belongs to one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace server {

inline constexpr uint32_t kHllRegisters = 1 << 14;
inline constexpr size_t kHllHeaderBytes = 16;
inline constexpr size_t kHllDenseBytes = kHllHeaderBytes + kHllRegisters * 6 / 8;

using HllRegisters = std::array<uint8_t, kHllRegisters>;

// Whether a string looks like one: its magic, its encoding, and the length of a dense one.
bool is_hyperloglog(std::string_view bytes);
inline bool hll_is_dense(std::string_view bytes) { return bytes[4] == 0; }
// The cardinality that it carries, if that still holds.
std::optional<uint64_t> hll_cached_count(std::string_view bytes);

// The rest requires is_hyperloglog(bytes). All reading functions say false or nothing if it is corrupt.

uint64_t hll_hash(std::string_view element);
// Which register an element belongs to, and what it makes of it at least.
struct HllPlace {
  uint32_t index;
  uint8_t value;
};
HllPlace hll_place(std::string_view element);

// Raises each of *registers to that of `bytes` where it is lower.
bool hll_merge(std::string_view bytes, HllRegisters* registers);
std::optional<uint64_t> hll_count(std::string_view bytes);
uint64_t hll_count(const HllRegisters& registers);
// "z:1 Z:100 v:3,2 …", as PFDEBUG DECODE prints a sparse one. False-safe: prints what there is.
std::string hll_decode(std::string_view bytes);

// One that is changed.
class HyperLogLog {
 public:
  enum class Outcome : uint8_t { kSame, kChanged, kCorrupt };

  static HyperLogLog empty();
  explicit HyperLogLog(std::string_view bytes) : bytes_(bytes) {}

  const std::string& bytes() const { return bytes_; }
  // Raises a register to `value`. `sparse_bytes_max`: hll-sparse-max-bytes.
  Outcome raise(HllPlace place, uint64_t sparse_bytes_max);
  bool make_dense();  // False: it is corrupt.
  void forget_count();
  void keep_count(uint64_t count);

 private:
  Outcome raise_dense(HllPlace place);
  Outcome raise_sparse(HllPlace place, uint64_t sparse_bytes_max);
  void join_runs(size_t from);

  std::string bytes_;
};

}  // namespace server
