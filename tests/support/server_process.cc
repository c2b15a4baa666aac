#include "tests/support/server_process.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <utility>

namespace support {
namespace {

// Far longer than any start or stop takes; only a server that hangs gets here.
constexpr auto kPatience = std::chrono::seconds(120);
constexpr auto kPause = std::chrono::milliseconds(5);
// A sanitizer speaks of leaks, and sets the exit status, when a program ends in order.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

std::string server_binary() {
  const char* const other = std::getenv("VARVE_SERVER");
  return other != nullptr ? other : VARVE_SERVER_BINARY;
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Starts the binary with stdout and stderr appended to `log`.
pid_t spawn(const std::vector<std::string>& words, const std::string& log) {
  const std::string binary = server_binary();
  std::vector<char*> argv = {const_cast<char*>(binary.c_str())};
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error("fork failed");
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    const int in = ::open("/dev/null", O_RDONLY);
    ::dup2(in, 0);
    ::dup2(out, 1);
    ::dup2(out, 2);
    ::execvp(argv[0], argv.data());
    ::dprintf(2, "cannot run %s\n", argv[0]);
    ::_exit(127);
  }
  return pid;
}

int status_of(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

// Waits for the end of a child; kills it and throws when it does not come.
int wait_for_end(pid_t pid, const std::string& log) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    int status = 0;
    if (::waitpid(pid, &status, WNOHANG) == pid) return status_of(status);
    if (std::chrono::steady_clock::now() > deadline) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, &status, 0);
      throw std::runtime_error("the server did not end; its log:\n" + contents(log));
    }
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  std::string name = std::filesystem::temp_directory_path() / "varve-test-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

ServerProcess::ServerProcess(std::vector<std::string> options) : options_(std::move(options)) {
  std::filesystem::create_directory(data_directory());
  // Between free_port() and the server's bind() somebody else may take the port: then another.
  for (int attempt = 0; attempt < 5; ++attempt) {
    port_ = free_port();
    if (try_start()) return;
    if (log().find("in use") == std::string::npos) break;
  }
  throw std::runtime_error("the server did not start; its log:\n" + log());
}

ServerProcess::~ServerProcess() {
  if (kSanitized && pid_ >= 0) end_in_order();
  kill();
  const std::string text = log();
  for (const char* const sign : {"Sanitizer: ", "runtime error: ", "invariant broken: "}) {
    if (text.find(sign) == std::string::npos) continue;
    FAIL_CHECK("the server had an error of its own; its log:\n", text);
    break;
  }
}

void ServerProcess::end_in_order() {
  ::kill(pid_, SIGTERM);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (running() && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(kPause);
}

bool ServerProcess::running() {
  if (pid_ < 0) return false;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return true;
  pid_ = -1;
  if (WIFSIGNALED(status)) FAIL_CHECK("the server ended by signal ", WTERMSIG(status), "; its log:\n", log());
  return false;
}

std::string ServerProcess::log() const { return contents(directory_.path() + "/log"); }

void ServerProcess::kill() {
  if (pid_ < 0 || !running()) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
}

int ServerProcess::stop() {
  if (pid_ < 0) throw std::logic_error("the server is not running");
  ::kill(pid_, SIGTERM);
  return wait_for_end(std::exchange(pid_, -1), directory_.path() + "/log");
}

void ServerProcess::start() {
  kill();
  if (!try_start()) throw std::runtime_error("the server did not start again; its log:\n" + log());
}

void ServerProcess::start(std::vector<std::string> options) {
  options_ = std::move(options);
  start();
}

void ServerProcess::start_and_kill(std::chrono::microseconds after) {
  kill();
  launch();
  std::this_thread::sleep_for(after);
  kill();
}

void ServerProcess::launch() {
  std::vector<std::string> words = {"--bind",       "127.0.0.1",   "--port", std::to_string(port_),
                                    "--unixsocket", unix_socket(), "--dir",  data_directory()};
  words.insert(words.end(), options_.begin(), options_.end());
  pid_ = spawn(words, directory_.path() + "/log");
}

bool ServerProcess::try_start() {
  const size_t log_before = log().size();
  launch();
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (log().find("Ready to accept connections", log_before) == std::string::npos) {
    if (!running()) return false;
    if (std::chrono::steady_clock::now() > deadline) {
      kill();
      return false;
    }
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

Ended run_server(const std::vector<std::string>& words) {
  const TemporaryDirectory directory;
  const std::string log = directory.path() + "/log";
  const pid_t pid = spawn(words, log);
  const int status = wait_for_end(pid, log);
  return {status, contents(log)};
}

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  const bool ok = fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
                  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  if (fd >= 0) ::close(fd);
  if (!ok) throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

}  // namespace support
