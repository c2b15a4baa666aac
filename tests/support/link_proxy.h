// tests/support/link_proxy.h: a wire between two servers that a test can cut, freeze and slow down.
//
// Whoever connects to port() is connected to the target; bytes pass both ways, in order. A frozen link takes
// and gives nothing while both ends believe in it, as when a switch has died; a cut one is closed to both.
//
// Threads: one of its own moves the bytes; everything public may be called from any.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace support {

class LinkProxy {
 public:
  explicit LinkProxy(int target_port);
  ~LinkProxy();
  LinkProxy(const LinkProxy&) = delete;
  LinkProxy& operator=(const LinkProxy&) = delete;

  int port() const { return port_; }
  // Where new connections lead; those there are are cut.
  void aim(int target_port);
  void cut();
  // Cuts as soon as so many more bytes have come from the target; 0: never.
  void cut_after(uint64_t bytes);
  void freeze(bool frozen);
  // What comes from now on is passed on so much later.
  void delay(std::chrono::milliseconds by);
  void heal();  // Neither frozen nor slow nor about to be cut.

  // Bytes that the target has sent through it, over all connections.
  uint64_t bytes_from_target() const { return from_target_; }
  uint64_t cuts() const { return cuts_; }  // By cut_after().

 private:
  using Clock = std::chrono::steady_clock;
  struct Piece {
    Clock::time_point due;
    std::string bytes;
  };
  // One of a link's two directions.
  struct Way {
    int from = -1, to = -1;
    std::deque<Piece> pieces;
    size_t waiting_bytes = 0;
    bool ended = false;  // `from` says no more.
  };
  struct Link;

  void run();
  void accept_one();
  bool read(Way& way, bool from_target);
  bool write(Way& way);
  void wake();

  int listener_ = -1, port_ = 0;
  int wake_[2] = {-1, -1};
  std::mutex mutex_;  // Guards what follows; the thread holds it but while it polls.
  std::vector<std::unique_ptr<Link>> links_;
  int target_port_;
  bool frozen_ = false, stopping_ = false;
  std::chrono::milliseconds delay_{0};
  uint64_t cut_at_ = 0;
  std::atomic<uint64_t> from_target_{0}, cuts_{0};
  std::thread thread_;
};

}  // namespace support
