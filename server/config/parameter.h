// server/config/parameter.h: one row of the table of all settings, and how a value is read.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/settings.h"

namespace server {

enum class ParameterType : unsigned char {
  kBool,          // yes, no
  kInteger,       // min .. max
  kOctal,         // min .. max, in octal
  kMemory,        // bytes, or 100mb
  kMemoryOrPart,  // the same, or a percentage
  kString,
  kEnum,  // one of `words`
  // The special ones, each with its own text form.
  kFlags,         // several of `words`
  kSave,          // seconds changes …
  kOutputLimits,  // class hard soft seconds …
  kOomValues,     // three integers
  kEvents,        // the letters of notify-keyspace-events
  kAddresses,     // addresses
  kPrimary,       // host port
  kPercentiles,   // 0 .. 100 …
  kDirectory,     // made absolute
};

enum ParameterFlags : unsigned {
  kImmutable = 1,  // Only before the start.
  kSensitive = 2,  // Never shown in logs, SLOWLOG or MONITOR.
  kHidden = 4,     // CONFIG GET shows it by its full name only.
  kProtected = 8,  // CONFIG SET needs enable-protected-configs.
  kSettled =
      32,  // Of kImmutable: CONFIG SET to what it is already is no error. Varve's own; Redis's are refused.
  kClamped = 16,  // An integer out of range becomes the nearest one in it (0 .. 2^31-1 are understood).
};

// A checked value. `text` is what CONFIG GET shows, and reading it again gives the same value.
struct Value {
  std::string text;
  // kBool: 0 or 1. Integers and sizes: themselves; a percentage is negative. kEnum: place among the words.
  // kFlags, kEvents: bits. Others: unused.
  int64_t number = 0;
};

struct Parameter {
  const char* name;
  const char* alias;  // A second name with the same meaning, or nullptr.
  ParameterType type;
  const char* initial;  // The default, in the form of Value::text.
  // Numbers: the range. Memory: compared as unsigned.
  int64_t min, max;
  const char* words;  // Of kEnum and kFlags, separated by blanks; "relative=yes" is read but shown as "yes".
  unsigned flags;
  const char* (*refuse)(
      const std::string& text);          // A further check: the error text or nullptr. May be nullptr.
  void (*act)(Settings&, const Value&);  // nullptr: accepted, remembered and shown, no more.
  const char* purpose;                   // One sentence.

  bool acts() const { return act != nullptr; }
  // Takes any number of words, where others take one.
  bool takes_words() const;
};

// All parameters, in the order in which people should read them.
std::span<const Parameter> parameters();

// By name or alias, in any case; nullptr if there is none.
const Parameter* find_parameter(std::string_view name);

// Reads `words` as a value of the parameter. `out` holds the present value before (special types may build
// on it) and the new one after. Returns Redis's error text, or an empty string; then `out` is changed.
// Requires: exactly one word unless takes_words().
std::string read_value(const Parameter& parameter, std::span<const std::string> words, Value& out);

// kDirectory aside (it needs to know where the process is), the value of the default text.
Value initial_value(const Parameter& parameter);

// A listed text split at single blanks, as CONFIG SET does; "" gives no words.
std::vector<std::string> split_at_blanks(std::string_view text);

std::array<OutputBufferLimit, 3> read_output_limits(std::string_view text);

}  // namespace server
