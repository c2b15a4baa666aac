// server/log.h: the server's log, in Redis's line format, which Filebeat and Logstash patterns know.
//
//     1234:M 20 Nov 2026 18:28:01.042 * Ready to accept connections
//     pid : role  local time          level  text
//
// Roles: M primary, S replica, C child, X sentinel. Levels: . debug, - verbose, * notice, # warning.
//
// A log file is opened anew for each line, so that logrotate may move it at any time and tell nobody. A line
// is one write() of at most kLogTextMax bytes of text, so lines of several processes do not mix. What came
// from outside cannot forge lines: control characters are written as \n, \x1b ….
//
// Threads: any. Files here go past engine/env.h on purpose: the log must work when all else fails, and the
// simulator has no use for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/status.h"

namespace engine {
class Clock;
}

namespace server {

enum class LogLevel : unsigned char { kDebug, kVerbose, kNotice, kWarning };  // As `loglevel` names them.
inline constexpr size_t kLogTextMax = 4096;                                   // Longer text is cut.

void log_debug(const char* format, ...) __attribute__((format(printf, 1, 2)));
void log_verbose(const char* format, ...) __attribute__((format(printf, 1, 2)));
void log_notice(const char* format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char* format, ...) __attribute__((format(printf, 1, 2)));
void log_line(LogLevel level, const std::string& text);

// Where lines go from now on: appended to `file`, or to stdout if it is empty. Until the first call: stdout.
// Errors: kIoError when the file cannot be opened; then nothing changes.
engine::Status log_to(const std::string& file);
// Lines below `level` are dropped; until the first call: below kNotice. They cost one comparison.
void log_set_level(LogLevel level);
void log_set_role(char role);
// Times come from `clock`, which must outlive all logging; nullptr: from the system, as before the first
// call.
void log_set_clock(const engine::Clock* clock);

// One line with its line end, without any of the state above.
std::string format_log_line(int pid, char role, int64_t wall_ms, LogLevel level, std::string_view text);

}  // namespace server
