#include "server/transaction.h"

#include <limits>
#include <utility>

#include "engine/status.h"
#include "server/nested_call.h"

namespace server {

void Transaction::queue(const Command& command, Args args, uint32_t flags, size_t bytes_to_write) {
  INVARIANT(!aborted_);
  Queued queued{&command, {}, {}};
  size_t bytes = 0;
  for (const std::string_view arg : args) bytes += arg.size();
  INVARIANT(bytes <= std::numeric_limits<uint32_t>::max());  // They were in one buffer, which is shorter.
  queued.bytes.reserve(bytes);
  queued.ends.reserve(args.size());
  for (const std::string_view arg : args) {
    queued.bytes += arg;
    queued.ends.push_back(static_cast<uint32_t>(queued.bytes.size()));
  }
  commands_.push_back(std::move(queued));
  flags_ |= flags;
  common_flags_ &= flags;
  argument_bytes_ += bytes;
  if (flags & (cmd::kWrite | cmd::kMayReplicate)) bytes_to_write_ += bytes_to_write;
  has_lasting_effects_ |= has_lasting_effect(command);
}

void Transaction::abort() {
  *this = Transaction();
  aborted_ = true;
}

Transaction::Args Transaction::args(size_t index) const {
  const Queued& queued = commands_[index];
  args_.clear();
  size_t begin = 0;
  for (const uint32_t end : queued.ends) {
    args_.push_back(std::string_view(queued.bytes).substr(begin, end - begin));
    begin = end;
  }
  return args_;
}

size_t Transaction::memory_bytes() const {
  size_t bytes = argument_bytes_ + commands_.capacity() * sizeof(Queued);
  for (const Queued& queued : commands_) bytes += queued.ends.size() * sizeof(uint32_t);
  return bytes;
}

bool Transaction::is_exec(const Command& command) { return command.name == "exec"; }

bool Transaction::runs_at_once(const Command& command) {
  for (const std::string_view name : {"exec", "discard", "multi", "watch", "quit", "reset"})
    if (command.name == name) return true;
  return false;
}

}  // namespace server
