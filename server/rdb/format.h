// server/rdb/format.h: the words of Redis's own serialisation, of RDB files and of DUMP alike.
//
//     file      "REDIS" version (4 digits) | part ... | 255 | CRC-64 (8)
//     part      opcode | what belongs to it                                 settings, databases, functions
//               [252 expiry] [248 idle] [249 frequency] type | key | value  one key
//     payload   type | value | version (2) | CRC-64 (8)                     DUMP, RESTORE
//
//     length    00xxxxxx                     6 bits
//               01xxxxxx x                   14 bits
//               10000000 xxxx                32 bits, big-endian
//               10000001 xxxxxxxx            64 bits, big-endian
//               11xxxxxx                     no length: a string in a form of its own
//     string    length | bytes
//               11000000 x, 11000001 xx, 11000010 xxxx       a number, little-endian, 1, 2 or 4 bytes
//               11000011 length length bytes                 LZF: compressed length, length
//
// Numbers without such a form are little-endian. Threads: constants.
#pragma once

#include <cstdint>

namespace server::rdb {

inline constexpr int kVersion = 10;                 // What is written: Redis 7.0's.
inline constexpr int kVersionWithFieldExpiry = 12;  // Redis 7.4's, for what no older one can say.
inline constexpr int kVersionMax = 12;              // What is read.

enum class ValueType : uint8_t {
  kString = 0,
  kList = 1,
  kSet = 2,
  kZsetText = 3,  // Scores as text.
  kHash = 4,
  kZset = 5,  // Scores as doubles.
  kModuleOld = 6,
  kModule = 7,
  kHashZipmap = 9,
  kListZiplist = 10,
  kSetIntset = 11,
  kZsetZiplist = 12,
  kHashZiplist = 13,
  kListQuicklist = 14,  // Of ziplists.
  kStreamListpacks = 15,
  kHashListpack = 16,
  kZsetListpack = 17,
  kListQuicklist2 = 18,  // Of listpacks and plain nodes.
  kStreamListpacks2 = 19,
  kSetListpack = 20,
  kStreamListpacks3 = 21,
  kHashTimedEarly = 22,  // Hashes of which fields expire; those called early are of release candidates.
  kHashTimedListpackEarly = 23,
  kHashTimed = 24,
  kHashTimedListpack = 25,
};

namespace opcode {
inline constexpr uint8_t kSlotInfo = 244;
inline constexpr uint8_t kFunction = 245;
inline constexpr uint8_t kFunctionEarly = 246;
inline constexpr uint8_t kModuleAux = 247;
inline constexpr uint8_t kIdle = 248;
inline constexpr uint8_t kFrequency = 249;
inline constexpr uint8_t kAux = 250;
inline constexpr uint8_t kResize = 251;
inline constexpr uint8_t kExpiryMs = 252;
inline constexpr uint8_t kExpirySeconds = 253;
inline constexpr uint8_t kDatabase = 254;
inline constexpr uint8_t kEnd = 255;
}  // namespace opcode

// The parts of a module's data, each tagged, so that it can be stepped over.
namespace module_part {
inline constexpr uint64_t kEnd = 0, kSigned = 1, kUnsigned = 2, kFloat = 3, kDouble = 4, kString = 5;
}

// What stands where the length of a text score would.
inline constexpr uint8_t kScoreNan = 253, kScoreInfinity = 254, kScoreMinusInfinity = 255;

inline constexpr uint64_t kListNodePlain = 1, kListNodePacked = 2;  // Containers of kListQuicklist2.

}  // namespace server::rdb
