// server/expiry_time.h: the words by which commands give a time to live, and what they come to.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "resp/reply_writer.h"

namespace server {

enum class TimeUnit : uint8_t { kSeconds, kMilliseconds };
enum class TimeBase : uint8_t { kNow, kUnix };  // EX and PX; EXAT and PXAT.

struct TimeForm {
  TimeUnit unit;
  TimeBase base;
};
// EX, PX, EXAT, PXAT in any case.
std::optional<TimeForm> time_form(std::string_view word);

// The Unix time in ms that `text` means. If it means none the error is written, as Redis words it for
// `command`, and nothing returned. `positive`: zero and less is an error too (SET, GETEX), not a time long
// past (EXPIRE).
std::optional<int64_t> parse_expiry(std::string_view text, TimeForm form, int64_t now_ms, bool positive,
                                    std::string_view command, resp::ReplyWriter& reply);

}  // namespace server
