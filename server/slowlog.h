// server/slowlog.h: the last commands that took long, for SLOWLOG.
//
// Threads: the reactor.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace server {

class Slowlog {
 public:
  static constexpr size_t kArgumentsMax = 32;
  static constexpr size_t kArgumentBytesMax = 128;

  struct Entry {
    uint64_t id;
    int64_t unix_seconds;
    uint64_t duration_us;
    std::vector<std::string> args;
    std::string peer;
    std::string client_name;
  };

  void add(int64_t unix_seconds, uint64_t duration_us, std::span<const std::string_view> args,
           std::string peer, std::string client_name, size_t entries_max) {
    Entry entry{next_id_++, unix_seconds, duration_us, {}, std::move(peer), std::move(client_name)};
    const size_t shown = args.size() > kArgumentsMax ? kArgumentsMax - 1 : args.size();
    for (std::string_view arg : args.first(shown)) {
      entry.args.emplace_back(arg.substr(0, kArgumentBytesMax));
      if (arg.size() > kArgumentBytesMax) {
        entry.args.back() += "... (" + std::to_string(arg.size() - kArgumentBytesMax) + " more bytes)";
      }
    }
    if (shown < args.size()) {
      entry.args.push_back("... (" + std::to_string(args.size() - shown) + " more arguments)");
    }
    entries_.push_front(std::move(entry));
    trim(entries_max);
  }
  void trim(size_t entries_max) {
    while (entries_.size() > entries_max) entries_.pop_back();
  }
  void clear() { entries_.clear(); }
  const std::deque<Entry>& entries() const { return entries_; }  // The latest first.

 private:
  std::deque<Entry> entries_;
  uint64_t next_id_ = 0;
};

}  // namespace server
