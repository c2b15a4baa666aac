// server/request_queue.h: the commands of a pipeline that are parsed and not yet executed.
//
// The arguments are views into the connection's input buffer, so nothing may be read into it while the queue
// is not empty. Two vectors, refilled in place: no allocation a command.
//
// Threads: the reactor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace server {

struct Command;

class RequestQueue {
 public:
  struct Request {
    const Command* command;  // Null: there is none of this name.
    uint32_t first;
    uint32_t count;
  };

  bool empty() const { return next_ == requests_.size(); }
  size_t size() const { return requests_.size() - next_; }
  const Request& front() const { return requests_[next_]; }
  std::span<const std::string_view> args(const Request& request) const {
    return {args_.data() + request.first, request.count};
  }
  // Calls f(const Request&) for each, in order.
  template <typename F>
  void each(F f) const {
    for (size_t i = next_; i < requests_.size(); ++i) f(requests_[i]);
  }
  // How many arguments are queued, and their bytes; what CLIENT LIST calls argv-mem.
  size_t memory_bytes() const {
    return args_.capacity() * sizeof(std::string_view) + requests_.capacity() * sizeof(Request);
  }

  void push(const Command* command, std::span<const std::string_view> args) {
    requests_.push_back({command, static_cast<uint32_t>(args_.size()), static_cast<uint32_t>(args.size())});
    args_.insert(args_.end(), args.begin(), args.end());
  }
  void pop() {
    if (++next_ == requests_.size()) clear();
  }
  void clear() {
    requests_.clear();
    args_.clear();
    next_ = 0;
    if (args_.capacity() > kKeptArgs) args_ = {};
  }
  void release() {
    if (empty()) *this = {};
  }

 private:
  static constexpr size_t kKeptArgs = 1024;
  std::vector<std::string_view> args_;
  std::vector<Request> requests_;
  size_t next_ = 0;
};

}  // namespace server
