// server/acl/log.h: ACL LOG: what was refused lately, the newest first. The same refusal within a minute is
// one entry.
//
// Threads: the reactor.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

namespace server {

struct AclLogEntry {
  enum class Reason : uint8_t { kCommand, kKey, kChannel, kAuth };
  enum class Context : uint8_t { kTopLevel, kMulti, kScript };
  Reason reason;
  Context context;
  std::string object;  // The command, key or channel; of kAuth, the command by which somebody tried.
  std::string user;
  int64_t at_ms;       // Of the last of them.
  std::string client;  // The same, as CLIENT LIST shows it.
  uint64_t count = 1;
};

class AclLog {
 public:
  void add(AclLogEntry entry, uint64_t length_max);
  // Undoes the last add() that has not been undone. Requires: clear() was not called in between.
  void take_back();
  void clear() { entries_.clear(); }
  const std::deque<AclLogEntry>& entries() const { return entries_; }

 private:
  std::deque<AclLogEntry> entries_;
};

const char* name_of(AclLogEntry::Reason reason);
const char* name_of(AclLogEntry::Context context);

}  // namespace server
