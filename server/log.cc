#include "server/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <mutex>

#include "engine/env.h"

namespace server {
namespace {

std::atomic<LogLevel> g_level{LogLevel::kNotice};
std::atomic<char> g_role{'M'};
std::atomic<const engine::Clock*> g_clock{nullptr};

std::mutex g_file_mutex;
std::string g_file;  // Guarded by g_file_mutex; empty: stdout.

int64_t now_ms() {
  if (const engine::Clock* clock = g_clock.load(std::memory_order_acquire)) return clock->wall_ms();
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

int open_log(const std::string& file) {
  return open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

// A log that cannot be written has nobody to tell, so errors end here.
void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void write_line(std::string_view line) {
  const std::lock_guard<std::mutex> lock(g_file_mutex);
  if (g_file.empty()) return write_all(STDOUT_FILENO, line);
  const int fd = open_log(g_file);
  if (fd < 0) return;
  write_all(fd, line);
  close(fd);
}

void log_va(LogLevel level, const char* format, va_list arguments) {
  char text[kLogTextMax + 1];
  const int length = std::vsnprintf(text, sizeof text, format, arguments);
  if (length < 0) return;
  const size_t size = std::min(static_cast<size_t>(length), kLogTextMax);
  write_line(
      format_log_line(getpid(), g_role.load(std::memory_order_relaxed), now_ms(), level, {text, size}));
}

void append_printable(std::string& line, std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      line.push_back(c);
    } else if (c == '\n') {
      line += "\\n";
    } else {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02x", byte);
      line += escape;
    }
  }
}

}  // namespace

// The four differ in one word, and variadic arguments cannot be passed on in any shorter way.
#define VARVE_DEFINE_LOG(function, level)                          \
  void function(const char* format, ...) {                         \
    if ((level) < g_level.load(std::memory_order_relaxed)) return; \
    va_list arguments;                                             \
    va_start(arguments, format);                                   \
    log_va(level, format, arguments);                              \
    va_end(arguments);                                             \
  }
VARVE_DEFINE_LOG(log_debug, LogLevel::kDebug)
VARVE_DEFINE_LOG(log_verbose, LogLevel::kVerbose)
VARVE_DEFINE_LOG(log_notice, LogLevel::kNotice)
VARVE_DEFINE_LOG(log_warning, LogLevel::kWarning)
#undef VARVE_DEFINE_LOG

void log_line(LogLevel level, const std::string& text) {
  switch (level) {
    case LogLevel::kDebug: return log_debug("%s", text.c_str());
    case LogLevel::kVerbose: return log_verbose("%s", text.c_str());
    case LogLevel::kNotice: return log_notice("%s", text.c_str());
    case LogLevel::kWarning: return log_warning("%s", text.c_str());
  }
}

engine::Status log_to(const std::string& file) {
  if (!file.empty()) {
    const int fd = open_log(file);
    if (fd < 0) {
      return {engine::Code::kIoError, "can't open the log file " + file + ": " + std::strerror(errno)};
    }
    close(fd);
  }
  const std::lock_guard<std::mutex> lock(g_file_mutex);
  g_file = file;
  return {};
}

void log_set_level(LogLevel level) { g_level.store(level, std::memory_order_relaxed); }
void log_set_role(char role) { g_role.store(role, std::memory_order_relaxed); }
void log_set_clock(const engine::Clock* clock) { g_clock.store(clock, std::memory_order_release); }

std::string format_log_line(int pid, char role, int64_t wall_ms, LogLevel level, std::string_view text) {
  const time_t seconds = static_cast<time_t>(wall_ms / 1000);
  tm local{};
  localtime_r(&seconds, &local);
  char date[64];
  // %b would follow the locale; nobody sets one here, and Redis's lines are English.
  const size_t date_size = std::strftime(date, sizeof date, "%d %b %Y %H:%M:%S", &local);
  char head[128];
  const int head_size =
      std::snprintf(head, sizeof head, "%d:%c %.*s.%03d %c ", pid, role, static_cast<int>(date_size), date,
                    static_cast<int>(wall_ms % 1000), ".-*#"[static_cast<size_t>(level)]);
  std::string line(head, static_cast<size_t>(head_size));
  append_printable(line, text);
  line.push_back('\n');
  return line;
}

}  // namespace server
