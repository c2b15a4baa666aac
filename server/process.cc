#include "server/process.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace server {
namespace {

constexpr rlim_t kOwnFiles = 1024;  // Tables, log segments, doors, what the libraries open.

engine::Status system_error(const std::string& what) {
  return {engine::Code::kIoError, what + ": " + std::strerror(errno)};
}

}  // namespace

void ignore_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGHUP, SIG_IGN);
}

engine::Status daemonize() {
  const pid_t child = ::fork();
  if (child < 0) return system_error("fork");
  if (child > 0) std::_Exit(0);
  ::setsid();
  const int null = ::open("/dev/null", O_RDWR);
  if (null < 0) return system_error("/dev/null");
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, fd);
  if (null > STDERR_FILENO) ::close(null);
  return {};
}

engine::Status PidFile::write(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "we");
  if (!file) return system_error("Failed to write PID file " + path);
  std::fprintf(file, "%d\n", static_cast<int>(::getpid()));
  std::fclose(file);
  path_ = path;
  return {};
}

PidFile::~PidFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

uint32_t raise_file_limit(uint32_t maxclients) {
  const rlim_t wanted = maxclients + kOwnFiles;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return maxclients;
  if (limit.rlim_cur < wanted) {
    rlimit raised{wanted, std::max(limit.rlim_max, wanted)};
    if (::setrlimit(RLIMIT_NOFILE, &raised) != 0) {  // Only root may raise the hard limit.
      raised = {std::min(wanted, limit.rlim_max), limit.rlim_max};
      if (::setrlimit(RLIMIT_NOFILE, &raised) != 0) raised = limit;
    }
    limit = raised;
  }
  if (limit.rlim_cur >= wanted) return maxclients;
  return limit.rlim_cur > kOwnFiles ? static_cast<uint32_t>(limit.rlim_cur - kOwnFiles) : 1;
}

bool is_supervised(Supervision supervised) {
  switch (supervised) {
    case Supervision::kNo: return false;
    case Supervision::kSystemd: return true;
    case Supervision::kAuto: return std::getenv("NOTIFY_SOCKET") || std::getenv("UPSTART_JOB");
    case Supervision::kUpstart: return std::getenv("UPSTART_JOB") != nullptr;
  }
  return false;
}

void notify_supervisor(Supervision supervised, const char* message) {
  if (!is_supervised(supervised)) return;
  if (std::getenv("UPSTART_JOB") && supervised != Supervision::kSystemd) {
    if (std::strncmp(message, "READY", 5) == 0) std::raise(SIGSTOP);  // Its "expect stop".
    return;
  }
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (!path) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t length = std::strlen(path);
  if (length == 0 || length >= sizeof(address.sun_path)) return;
  std::memcpy(address.sun_path, path, length);
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // An abstract name.
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  ::sendto(fd, message, std::strlen(message), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address),
           static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
  ::close(fd);
}

}  // namespace server
