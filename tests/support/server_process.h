// tests/support/server_process.h: the real server, as a child process in a directory of its own.
//
// A ServerProcess is started by its constructor and is gone with its directory when it is destroyed, or when
// the test program dies. In between it can be killed and started again on the same data and the same port.
// The test fails when it ended by a signal of its own, or when its log tells of a broken invariant or of what
// a sanitizer found.
//
// Which binary: what the build made; or, to see how Redis behaves under the same test,
// VARVE_SERVER=redis-server.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace support {

// A directory that goes with its object.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class ServerProcess {
 public:
  // Returns when the server says "Ready to accept connections"; throws with its log if it does not come to
  // that. `options` are command line words, "--appendfsync", "always"; port, bind, unixsocket and dir are
  // given anyway.
  explicit ServerProcess(std::vector<std::string> options = {});
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  int port() const { return port_; }
  std::string unix_socket() const { return directory_.path() + "/socket"; }
  std::string data_directory() const { return directory_.path() + "/data"; }
  pid_t pid() const { return pid_; }
  bool running();

  // All that the server wrote to stdout and stderr since the first start.
  std::string log() const;

  // SIGKILL, as when the process is lost; the kernel keeps what it was given.
  void kill();
  // SIGTERM; returns the exit status (128 + signal if one ended it). Throws if the server does not end.
  int stop();
  // After kill() or stop(): again, on the same data. `options` replace those of before.
  void start();
  void start(std::vector<std::string> options);
  // After kill() or stop(): SIGKILL so long after it was started, whatever it was at by then.
  void start_and_kill(std::chrono::microseconds after);

 private:
  bool try_start();
  void launch();
  void end_in_order();

  TemporaryDirectory directory_;
  std::vector<std::string> options_;
  int port_ = 0;
  pid_t pid_ = -1;
};

// Runs the server with exactly these words until it ends by itself; for starts that must be refused.
struct Ended {
  int status;
  std::string output;
};
Ended run_server(const std::vector<std::string>& words);

// A TCP port that nobody listened on a moment ago.
int free_port();

}  // namespace support
