// server/scripts/script_flags.h: the first line of a script, "#!lua name=lib flags=no-writes,allow-oom", and
// what its flags are.
//
// Threads: pure functions; any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace server {

namespace script {
inline constexpr uint32_t kNoWrites = 1 << 0;
inline constexpr uint32_t kAllowOom = 1 << 1;
inline constexpr uint32_t kAllowStale = 1 << 2;
inline constexpr uint32_t kNoCluster = 1 << 3;
inline constexpr uint32_t kAllowCrossSlotKeys = 1 << 4;
// Not written anywhere: a script without a first line like this, which may do what scripts always could.
inline constexpr uint32_t kCompatible = 1 << 5;

struct FlagName {
  uint32_t flag;
  std::string_view name;
};
inline constexpr FlagName kFlagNames[] = {{kNoWrites, "no-writes"},
                                          {kAllowOom, "allow-oom"},
                                          {kAllowStale, "allow-stale"},
                                          {kNoCluster, "no-cluster"},
                                          {kAllowCrossSlotKeys, "allow-cross-slot-keys"}};
}  // namespace script

// What a command that runs a script with these flags may do, if by itself it may do `command_flags`.
uint32_t command_flags_of(uint32_t command_flags, uint32_t script_flags);

// Of a script for EVAL.
struct ScriptHead {
  std::string error;  // Without its code; empty: the rest is good.
  uint32_t flags = script::kCompatible;
  size_t bytes = 0;  // How much of the text is not Lua.
};
ScriptHead read_script_head(std::string_view text);

}  // namespace server
