// server/main.cc: from the command line to a running server, and back to the shell.
#include <unistd.h>
#include <uv.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "engine/env_posix.h"
#include "engine/uv_executor.h"
#include "server/build_info.h"
#include "server/command_line.h"
#include "server/config.h"
#include "server/engine_settings.h"
#include "server/keyspace.h"
#include "server/log.h"
#include "server/memory_usage.h"
#include "server/process.h"
#include "server/rdb/file_transfer.h"
#include "server/server.h"
#include "server/version.h"

// jemalloc reads it before main. What is freed goes back to the system within a second and not within ten, by
// a thread of jemalloc's own and not by the reactor; and four arenas serve all threads, however many
// processors there are: so the process's memory follows what maxmemory divides (measured by
// scripts/bench-memory).
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0,narenas:4";
}

namespace server {
namespace {

constexpr int kWorkers = 8;

std::string read_all(std::FILE* file) {
  std::string text;
  char chunk[4096];
  while (const size_t n = std::fread(chunk, 1, sizeof(chunk), file)) text.append(chunk, n);
  return text;
}

int refuse(const engine::Status& status) {
  std::fprintf(stderr, "\n*** FATAL: Varve cannot start ***\n%s\n", status.message().c_str());
  return 1;
}

int fail(const engine::Status& status) {
  log_warning("%s", status.message().c_str());
  return 1;
}

std::string human(uint64_t bytes) {
  char text[32];
  double size = static_cast<double>(bytes);
  const char* unit = "KMGT";
  if (bytes < 1024) return std::to_string(bytes) + " bytes";
  for (size /= 1024; size >= 1024 && unit[1] != '\0'; ++unit) size /= 1024;
  std::snprintf(text, sizeof(text), "%.1f %cB", size, *unit);
  return text;
}

void say_who(const Settings& settings, engine::Engine& engine, Databases& databases) {
  uint64_t keys = 0;
  for (uint32_t i = 0; i < databases.count(); ++i) keys += engine.count(databases.object(i));
  static constexpr const char* kDurable[] = {
      "everysec: an acknowledged write survives a crash of the server, and a power cut but for the last "
      "second",
      "always: an acknowledged write survives a power cut",
      "no: an acknowledged write survives a crash of the server; the system decides when it reaches the "
      "disk"};
  log_notice("Varve %s serves the Redis protocol (version %s)", kVarveVersion, kRedisVersion);
  log_notice("Data: %s, %llu keys, %s on disk", settings.dir.c_str(), static_cast<unsigned long long>(keys),
             human(engine.stats().disk_bytes).c_str());
  log_notice("Memory: %s; what does not fit stays on disk", human(memory_limit(settings)).c_str());
  log_notice("Durability: appendfsync %s", kDurable[static_cast<size_t>(settings.appendfsync)]);
}

void say_ready(const Settings& settings, const Listeners& listeners) {
  const std::string& path = listeners.unix_path();
  if (!listeners.tcp_addresses().empty()) {
    log_notice("Talk to it: redis-cli -p %d", settings.port);
    log_notice("Ready to accept connections");
  } else {
    log_notice("Talk to it: redis-cli -s %s", path.c_str());
  }
  if (!path.empty()) log_notice("The server is now ready to accept connections at %s", path.c_str());
}

// The loop, the signals, and the way out.
class Process {
 public:
  // `pid_file`: where the pid is written once the doors are open; empty: nowhere.
  Process(Config& config, std::string pid_file) : config_(config), pid_path_(std::move(pid_file)) {
    INVARIANT(uv_loop_init(&loop_) == 0);
    executor_ = std::make_unique<engine::UvExecutor>(&loop_, kWorkers);
  }

  // `rdb_file`: for kImport and kExport, which serve nobody.
  int run(CommandLine::Action action, const std::string& rdb_file) {
    const Settings& settings = config_.settings();
    engine::Env env{files_, clock_, entropy_, *executor_};
    engine::LogRecovery recovery;
    auto opened = engine::Engine::open(env, engine_options(settings), schema_, &recovery);
    if (!opened.ok()) return give_up(opened.status());
    engine_ = std::move(opened).value();
    if (recovery.records > 0) {
      log_notice("Replayed %llu records (%s) of the log", static_cast<unsigned long long>(recovery.records),
                 human(recovery.bytes).c_str());
    }
    if (recovery.cut_bytes > 0) {
      log_warning("The log ended in what a power cut leaves: %llu bytes given up at %s",
                  static_cast<unsigned long long>(recovery.cut_bytes), recovery.cut_at.c_str());
    }
    if (!rdb_file.empty()) return transfer(env, action, rdb_file);
    server_ = std::make_unique<Server>(&loop_, env, *engine_, config_);
    server_->log_was_closed = recovery.clean;
    server_->on_shutdown = [this] { stop(); };
    for (auto [handle, number] : {std::pair{&terminate_, SIGTERM}, std::pair{&interrupt_, SIGINT}}) {
      uv_signal_init(&loop_, handle);
      handle->data = this;
      uv_signal_start(
          handle, [](uv_signal_t* h, int n) { static_cast<Process*>(h->data)->on_signal(n); }, number);
    }
    if (auto status = server_->start(); !status.ok()) {
      exit_code_ = fail(status);
      stop();
    } else {
      if (!pid_path_.empty()) {
        if (auto written = pid_file_.write(pid_path_); !written.ok())
          log_warning("%s", written.message().c_str());
      }
      say_who(settings, *engine_, server_->databases());
      say_ready(settings, server_->listeners());
      notify_supervisor(settings.supervised, "STATUS=Ready to accept connections\nREADY=1\n");
    }
    uv_run(&loop_, UV_RUN_DEFAULT);
    return leave();
  }

 private:
  void on_signal(int number) {
    const bool under_way = server_->stopping() || server_->shutdown().under_way();
    if (number == SIGINT && signalled_ && under_way) {
      log_warning("You insist... exiting now.");
      std::_Exit(1);
    }
    signalled_ = true;
    log_warning("Received %s scheduling shutdown...", number == SIGINT ? "SIGINT" : "SIGTERM");
    const Settings& settings = config_.settings();
    server_->shutdown().request(
        Shutdown::how(number == SIGINT ? settings.shutdown_on_sigint : settings.shutdown_on_sigterm),
        nullptr);
  }

  void stop() {
    notify_supervisor(config_.settings().supervised, "STOPPING=1\n");
    server_->stop([this](const engine::Status& status) {
      if (!status.ok()) exit_code_ = fail(status);
      // They stay open to the end: a second signal must not make a failure of it.
      uv_unref(reinterpret_cast<uv_handle_t*>(&terminate_));
      uv_unref(reinterpret_cast<uv_handle_t*>(&interrupt_));
      uv_stop(&loop_);
    });
  }

  // The loop has ended: everything is synced.
  int leave() {
    if (server_->dispatcher().waiting() > 0) {
      // A worker is still reading for somebody who is gone. Nothing depends on it.
      log_warning("Varve leaves a long read unfinished, bye bye...");
      std::_Exit(exit_code_);
    }
    executor_->stop();
    while (uv_run(&loop_, UV_RUN_NOWAIT) != 0) {
    }
    server_.reset();
    engine_.reset();
    uv_close(reinterpret_cast<uv_handle_t*>(&terminate_), nullptr);
    std::signal(SIGTERM, SIG_IGN);
    uv_close(reinterpret_cast<uv_handle_t*>(&interrupt_), nullptr);
    uv_run(&loop_, UV_RUN_NOWAIT);
    uv_loop_close(&loop_);
    log_warning("Varve is now ready to exit, bye bye...");
    return exit_code_;
  }

  int transfer(engine::Env& env, CommandLine::Action action, const std::string& rdb_file) {
    const Settings& settings = config_.settings();
    const auto turn = [this](bool wait) { uv_run(&loop_, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT); };
    Databases databases;
    auto status = databases.open(*engine_, static_cast<uint32_t>(settings.databases));
    if (status.ok()) {
      status = action == CommandLine::Action::kImport
                   ? rdb::import_file(*engine_, env, databases, settings, rdb_file, turn)
                   : rdb::export_file(*engine_, env, databases, rdb_file);
    }
    if (!status.ok()) exit_code_ = fail(status);
    bool stopped = false;
    engine_->stop([&](const engine::Status& stop_status) {
      stopped = true;
      if (!stop_status.ok()) exit_code_ = fail(stop_status);
    });
    while (!stopped) turn(true);
    executor_->stop();
    engine_.reset();
    uv_loop_close(&loop_);
    return exit_code_;
  }

  int give_up(const engine::Status& status) {
    executor_->stop();
    uv_loop_close(&loop_);
    return fail(status);
  }

  Config& config_;
  uv_loop_t loop_{};
  uv_signal_t terminate_{}, interrupt_{};
  engine::PosixFileSystem files_;
  engine::SystemClock clock_;
  engine::SystemEntropy entropy_;
  KeyspaceSchema schema_;
  std::unique_ptr<engine::UvExecutor> executor_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<Server> server_;
  const std::string pid_path_;
  PidFile pid_file_;
  bool signalled_ = false;
  int exit_code_ = 0;
};

int serve(const CommandLine& line) {
  char here[4096];
  if (!::getcwd(here, sizeof(here))) return refuse({engine::Code::kIoError, "no working directory"});
  Config config{std::string(here)};
  engine::PosixFileSystem files;
  const std::string from_stdin = line.read_stdin ? read_all(stdin) : std::string();
  static constexpr std::string_view kUnderstood[] = {"user", "rename-command"};
  if (auto status = config.load(files, line, from_stdin, kUnderstood); !status.ok()) return refuse(status);
  const Settings& settings = config.settings();
  if (auto status = files.make_directory(settings.dir); !status.ok()) return refuse(status);
  if (::chdir(settings.dir.c_str()) != 0) {
    return refuse({engine::Code::kIoError, "Can't chdir to '" + settings.dir + "'"});
  }
  if (auto status = log_to(settings.logfile); !status.ok()) return refuse(status);
  log_set_level(settings.loglevel);
  if (const uint32_t fit = raise_file_limit(settings.maxclients); fit < settings.maxclients) {
    log_warning(
        "The system allows %u connections, not the %u of maxclients: maxclients is %u now. Raise 'ulimit "
        "-n'.",
        fit, settings.maxclients, fit);
    if (auto status = config.assign("maxclients", std::to_string(fit)); !status.ok()) return refuse(status);
  }
  ignore_signals();
  const bool background = settings.daemonize && !is_supervised(settings.supervised) && line.rdb_file.empty();
  if (background) {
    if (auto status = daemonize(); !status.ok()) return refuse(status);
  }
  std::string pid_file = settings.pidfile;
  if (background && pid_file.empty()) pid_file = "/var/run/varve.pid";
  std::string rdb_file = line.rdb_file;
  if (!rdb_file.empty() && rdb_file[0] != '/') rdb_file = std::string(here) + "/" + rdb_file;
  return Process(config, std::move(pid_file)).run(line.action, rdb_file);
}

}  // namespace

int run(int argument_count, char** arguments) {
  // libuv reads it when the first job is queued.
  ::setenv("UV_THREADPOOL_SIZE", std::to_string(kWorkers).c_str(), 1);
  const auto line = parse_command_line({arguments + 1, arguments + argument_count});
  if (!line.ok()) {
    std::fprintf(stderr, "%s\n", line.status().message().c_str());
    return 1;
  }
  switch (line.value().action) {
    case CommandLine::Action::kVersion: std::puts(version_line(allocator_name()).c_str()); return 0;
    case CommandLine::Action::kHelp: std::fputs(usage_text(), stdout); return 0;
    case CommandLine::Action::kServe:
    case CommandLine::Action::kImport:
    case CommandLine::Action::kExport: break;
  }
  return serve(line.value());
}

}  // namespace server

int main(int argument_count, char** arguments) { return server::run(argument_count, arguments); }
