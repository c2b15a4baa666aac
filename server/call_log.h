// server/call_log.h: the commands that ran inside a command: EXEC's, a script's.
//
// INFO counts them, SLOWLOG and MONITOR show them, each as if it had been sent by itself. But the run that
// they belong to may be taken back and begin anew; so they are noted here, and counted when it is over.
//
// Threads: the reactor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/command_table.h"

namespace server {

class CallLog {
 public:
  struct Call {
    const Command* command = nullptr;  // Null: refused before it began.
    uint64_t duration_us = 0;
    uint32_t hits = 0, misses = 0;  // Of keys, if it only reads.
    uint32_t database = 0;
    bool scripted = false;
    std::string error;              // The beginning of its reply, "-CODE", if that is an error.
    std::vector<std::string> args;  // Only if somebody wants to see them.
  };

  // In the order in which they began.
  size_t begin(const Command* command) {
    calls_.emplace_back().command = command;
    return calls_.size() - 1;
  }
  Call& at(size_t index) { return calls_[index]; }
  const std::vector<Call>& calls() const { return calls_; }
  bool empty() const { return calls_.empty(); }
  void clear() { calls_.clear(); }

 private:
  std::vector<Call> calls_;
};

}  // namespace server
