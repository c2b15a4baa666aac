#include "server/expiry_time.h"

#include <limits>
#include <string>

#include "server/errors.h"
#include "server/units.h"

namespace server {

std::optional<TimeForm> time_form(std::string_view word) {
  if (equals_ignoring_case(word, "ex")) return TimeForm{TimeUnit::kSeconds, TimeBase::kNow};
  if (equals_ignoring_case(word, "px")) return TimeForm{TimeUnit::kMilliseconds, TimeBase::kNow};
  if (equals_ignoring_case(word, "exat")) return TimeForm{TimeUnit::kSeconds, TimeBase::kUnix};
  if (equals_ignoring_case(word, "pxat")) return TimeForm{TimeUnit::kMilliseconds, TimeBase::kUnix};
  return std::nullopt;
}

std::optional<int64_t> parse_expiry(std::string_view text, TimeForm form, int64_t now_ms, bool positive,
                                    std::string_view command, resp::ReplyWriter& reply) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  const auto given = parse_integer(text);
  if (!given) {
    reply.error(kNotAnInteger);
    return std::nullopt;
  }
  int64_t when = *given;
  bool valid = !positive || when > 0;
  if (form.unit == TimeUnit::kSeconds) {
    valid = valid && when <= kMax / 1000 && when >= kMin / 1000;
    if (valid) when *= 1000;
  }
  if (form.base == TimeBase::kNow) {
    valid = valid && when <= kMax - now_ms;
    if (valid) when += now_ms;
  }
  if (!valid) {
    reply.error("ERR invalid expire time in '" + std::string(command) + "' command");
    return std::nullopt;
  }
  return when;
}

}  // namespace server
