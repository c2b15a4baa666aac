// tests/server/real_redis.h: a redis-server of the system's, for tests that ask it how it behaves.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "resp/input_buffer.h"
#include "resp/reply_parser.h"

class RealRedis {
 public:
  // Starts one on a socket in a directory of its own. Null: there is no redis-server here.
  // With `rdb`, the path of an RDB file, it holds what a copy of that does. `options`: command line words.
  static std::unique_ptr<RealRedis> start(const std::string& rdb = {},
                                          const std::vector<std::string>& options = {}) {
    std::string dir = (std::filesystem::temp_directory_path() / "varve-redis-XXXXXX").string();
    if (mkdtemp(dir.data()) == nullptr) return nullptr;
    const std::string socket = dir + "/s";
    if (!rdb.empty()) std::filesystem::copy_file(rdb, dir + "/dump.rdb");
    std::vector<const char*> words = {"redis-server", "--port", "0",     "--unixsocket", socket.c_str(),
                                      "--save",       "",       "--dir", dir.c_str()};
    for (const std::string& option : options) words.push_back(option.c_str());
    words.push_back(nullptr);
    const pid_t pid = fork();
    if (pid == 0) {
      const int null = open("/dev/null", O_WRONLY);
      dup2(null, STDOUT_FILENO);
      dup2(null, STDERR_FILENO);
      execvp("redis-server", const_cast<char* const*>(words.data()));
      _exit(127);
    }
    std::unique_ptr<RealRedis> redis(new RealRedis(dir, pid));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (pid < 0 || socket.size() >= sizeof(address.sun_path)) return nullptr;
    std::memcpy(address.sun_path, socket.data(), socket.size());
    for (int wait = 0; wait < 500; ++wait) {
      if (waitpid(pid, nullptr, WNOHANG) == pid) {
        redis->pid_ = -1;
        return nullptr;
      }
      if (redis->connect_to(address)) return redis;
      usleep(10'000);
    }
    return nullptr;
  }

  // A second connection to the same server. Requires: this one outlives it.
  std::unique_ptr<RealRedis> another() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string socket = dir_ + "/s";
    std::memcpy(address.sun_path, socket.data(), socket.size());
    std::unique_ptr<RealRedis> redis(new RealRedis("", -1));
    return redis->connect_to(address) ? std::move(redis) : nullptr;
  }

  RealRedis(const RealRedis&) = delete;
  RealRedis& operator=(const RealRedis&) = delete;
  ~RealRedis() {
    if (fd_ >= 0) close(fd_);
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    if (!dir_.empty()) std::filesystem::remove_all(dir_);
  }

  std::string socket() const { return dir_ + "/s"; }
  std::string rdb_file() const { return dir_ + "/dump.rdb"; }  // What SAVE writes.

  // Nullopt: it hung up.
  std::optional<resp::Reply> ask(std::span<const std::string> args) {
    std::string request = "*" + std::to_string(args.size()) + "\r\n";
    for (const std::string& arg : args) request += "$" + std::to_string(arg.size()) + "\r\n" + arg + "\r\n";
    for (std::string_view rest = request; !rest.empty();) {
      const ssize_t sent = send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent <= 0) return std::nullopt;
      rest.remove_prefix(static_cast<size_t>(sent));
    }
    for (;;) {
      switch (parser_.next(input_)) {
        case resp::ReplyParser::Outcome::kReply: return std::move(parser_.reply());
        case resp::ReplyParser::Outcome::kError: return std::nullopt;
        case resp::ReplyParser::Outcome::kNeedMore: break;
      }
      char bytes[1 << 16];
      const ssize_t got = recv(fd_, bytes, sizeof(bytes), 0);
      if (got <= 0) return std::nullopt;
      input_.append({bytes, static_cast<size_t>(got)});
    }
  }

 private:
  RealRedis(std::string dir, pid_t pid) : dir_(std::move(dir)), pid_(pid) {}

  bool connect_to(const sockaddr_un& address) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      close(fd);
      return false;
    }
    fd_ = fd;
    return true;
  }

  std::string dir_;
  pid_t pid_ = -1;
  int fd_ = -1;
  resp::InputBuffer input_;
  resp::ReplyParser parser_;
};
