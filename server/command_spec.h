// server/command_spec.h: what is known of a command, as data.
//
// One CommandSpec is one row of the command table: everything that COMMAND, ACL rules, key extraction and
// the dispatcher ask of a command, but for the function that carries it out. The rows lie in
// server/commands/table_*.cc, one file a family, a container (CONFIG) right before its subcommands
// (CONFIG GET). They are constants: nothing runs at start.
//
// The arguments of a command are written as people write a synopsis, and read when COMMAND DOCS asks
// (server/command_syntax.h draws the notation):
//
//     key#0 value [condition@2.6.12(NX | XX)] [GET@6.2.0] [expiration(EX=seconds:integer | KEEPTTL)]
//
// Threads: constants; any.
#pragma once

#include <cstdint>
#include <string_view>

namespace server {

// What a command is and needs. The names are those of COMMAND INFO; those that Redis hides are marked.
namespace cmd {
inline constexpr uint32_t kWrite = 1u << 0;
inline constexpr uint32_t kReadonly = 1u << 1;
inline constexpr uint32_t kDenyOom = 1u << 2;
inline constexpr uint32_t kAdmin = 1u << 3;
inline constexpr uint32_t kPubsub = 1u << 4;
inline constexpr uint32_t kNoScript = 1u << 5;
inline constexpr uint32_t kBlocking = 1u << 6;
inline constexpr uint32_t kLoading = 1u << 7;
inline constexpr uint32_t kStale = 1u << 8;
inline constexpr uint32_t kSkipMonitor = 1u << 9;
inline constexpr uint32_t kSkipSlowlog = 1u << 10;
inline constexpr uint32_t kAsking = 1u << 11;
inline constexpr uint32_t kFast = 1u << 12;
inline constexpr uint32_t kNoAuth = 1u << 13;
inline constexpr uint32_t kMayReplicate = 1u << 14;  // hidden
inline constexpr uint32_t kSentinel = 1u << 15;      // hidden
inline constexpr uint32_t kOnlySentinel = 1u << 16;  // hidden
inline constexpr uint32_t kNoMandatoryKeys = 1u << 17;
inline constexpr uint32_t kProtected = 1u << 18;  // hidden
inline constexpr uint32_t kNoAsyncLoading = 1u << 19;
inline constexpr uint32_t kNoMulti = 1u << 20;
inline constexpr uint32_t kMovableKeys = 1u << 21;  // never written in a row: follows from the key specs
inline constexpr uint32_t kAllowBusy = 1u << 22;
inline constexpr uint32_t kTouchesArbitraryKeys = 1u << 23;  // hidden
}  // namespace cmd

// How a command uses a key. Exactly one of RO, RW, OW, RM, unless it is no key at all.
namespace key {
inline constexpr uint16_t kRo = 1u << 0;      // reads the value, and at most that
inline constexpr uint16_t kRw = 1u << 1;      // reads and writes it
inline constexpr uint16_t kOw = 1u << 2;      // overwrites it, whatever it was
inline constexpr uint16_t kRm = 1u << 3;      // removes it
inline constexpr uint16_t kAccess = 1u << 4;  // lets data of the value out
inline constexpr uint16_t kUpdate = 1u << 5;
inline constexpr uint16_t kInsert = 1u << 6;
inline constexpr uint16_t kDelete = 1u << 7;
inline constexpr uint16_t kNotKey = 1u << 8;          // routed like a key, but none
inline constexpr uint16_t kIncomplete = 1u << 9;      // there may be more keys than these
inline constexpr uint16_t kVariableFlags = 1u << 10;  // the other flags depend on the arguments
}  // namespace key

// The categories of ACL rules. A row names those that do not follow from its flags.
namespace acl {
inline constexpr uint32_t kKeyspace = 1u << 0;
inline constexpr uint32_t kRead = 1u << 1;
inline constexpr uint32_t kWrite = 1u << 2;
inline constexpr uint32_t kSet = 1u << 3;
inline constexpr uint32_t kSortedSet = 1u << 4;
inline constexpr uint32_t kList = 1u << 5;
inline constexpr uint32_t kHash = 1u << 6;
inline constexpr uint32_t kString = 1u << 7;
inline constexpr uint32_t kBitmap = 1u << 8;
inline constexpr uint32_t kHyperLogLog = 1u << 9;
inline constexpr uint32_t kGeo = 1u << 10;
inline constexpr uint32_t kStream = 1u << 11;
inline constexpr uint32_t kPubsub = 1u << 12;
inline constexpr uint32_t kAdmin = 1u << 13;
inline constexpr uint32_t kFast = 1u << 14;
inline constexpr uint32_t kSlow = 1u << 15;
inline constexpr uint32_t kBlocking = 1u << 16;
inline constexpr uint32_t kDangerous = 1u << 17;
inline constexpr uint32_t kConnection = 1u << 18;
inline constexpr uint32_t kTransaction = 1u << 19;
inline constexpr uint32_t kScripting = 1u << 20;
inline constexpr int kCategoryCount = 21;
}  // namespace acl

// Remarks for the reader of COMMAND DOCS.
namespace doc {
inline constexpr uint8_t kDeprecated = 1u << 0;
inline constexpr uint8_t kSyscmd = 1u << 1;  // for servers to send, not for people
}  // namespace doc

enum class Group : uint8_t {
  kGeneric,
  kString,
  kList,
  kSet,
  kSortedSet,
  kHash,
  kPubsub,
  kTransactions,
  kConnection,
  kServer,
  kScripting,
  kHyperLogLog,
  kCluster,
  kSentinel,
  kGeo,
  kStream,
  kBitmap,
};

// Whose command it is, for redis-compat.md.
enum class Origin : uint8_t { kRedis70, kLaterRedis, kVarve };

// Where the search for keys begins ...
enum class Begin : uint8_t { kNone, kIndex, kKeyword, kUnknown };
// ... and which of the arguments from there on are keys.
enum class Find : uint8_t { kUnknown, kRange, kKeyNum };

struct KeySpec {
  uint16_t flags = 0;
  Begin begin = Begin::kNone;
  Find find = Find::kUnknown;
  int16_t index = 0;  // kIndex: of the first key. kKeyword: where to start looking, < 0: from the end.
  const char* keyword = nullptr;  // kKeyword: the keys begin right after it.
  // kRange: the last key, counted from the first (< 0: from the end of the arguments); the step from key to
  // key; and with last -1, the part of the remaining arguments that are keys: 1/limit.
  // kKeyNum: where the number of keys stands, and where the first key does, both counted from the begin;
  // step.
  int16_t last = 0;
  int16_t step = 1;
  int16_t limit = 0;
  int16_t number_at = 0;
  int16_t first_at = 0;
  const char* notes = nullptr;
};

// The usual shapes.
constexpr KeySpec key_at(int16_t index, uint16_t flags, const char* notes = nullptr) {
  return {.flags = flags, .begin = Begin::kIndex, .find = Find::kRange, .index = index, .notes = notes};
}
constexpr KeySpec keys_from(int16_t index, int16_t last, int16_t step, uint16_t flags,
                            const char* notes = nullptr) {
  return {.flags = flags,
          .begin = Begin::kIndex,
          .find = Find::kRange,
          .index = index,
          .last = last,
          .step = step,
          .notes = notes};
}
constexpr KeySpec counted_keys(int16_t index, int16_t number_at, int16_t first_at, int16_t step,
                               uint16_t flags, const char* notes = nullptr) {
  return {.flags = flags,
          .begin = Begin::kIndex,
          .find = Find::kKeyNum,
          .index = index,
          .step = step,
          .number_at = number_at,
          .first_at = first_at,
          .notes = notes};
}
constexpr KeySpec keys_after(const char* keyword, int16_t start, int16_t last, int16_t step, int16_t limit,
                             uint16_t flags) {
  return {.flags = flags,
          .begin = Begin::kKeyword,
          .find = Find::kRange,
          .index = start,
          .keyword = keyword,
          .last = last,
          .step = step,
          .limit = limit};
}
constexpr KeySpec keys_somewhere(uint16_t flags, const char* notes) {
  return {.flags = flags, .begin = Begin::kUnknown, .find = Find::kUnknown, .notes = notes};
}

inline constexpr int kKeySpecsMax = 3;

// Commands whose key specs cannot say all: server/command_keys.cc has a function for each of these.
enum class SpecialKeys : uint8_t { kNone, kSet, kBitfield, kSort, kSortRo, kMigrate };

struct CommandSpec {
  const char* name;   // Lower case; a subcommand is "container|name".
  int16_t arity = 0;  // Arguments with the name; < 0: at least so many.
  uint32_t flags = 0;
  uint32_t categories = 0;
  KeySpec keys[kKeySpecsMax] = {};
  SpecialKeys special_keys = SpecialKeys::kNone;
  Group group = Group::kGeneric;
  Origin origin = Origin::kRedis70;
  uint8_t doc_flags = 0;
  const char* since = "";
  const char* summary = "";
  const char* complexity = nullptr;
  const char* deprecated_since = nullptr;
  const char* replaced_by = nullptr;
  const char* tips = nullptr;     // Words between blanks.
  const char* history = nullptr;  // Lines "version what changed", parted by newlines.
  const char* arguments = nullptr;
};

}  // namespace server
