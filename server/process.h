// server/process.h: what a daemon owes the system it runs on.
//
// Threads: main's, before and after the loop.
#pragma once

#include <string>

#include "engine/status.h"
#include "server/settings.h"

namespace server {

void ignore_signals();  // SIGPIPE, SIGHUP: a closed terminal or a gone peer is no reason to end.

// Goes on as a child in a session of its own, with /dev/null for a terminal. Before any thread is started.
engine::Status daemonize();

// Writes the pid; the file goes when this does.
class PidFile {
 public:
  ~PidFile();
  engine::Status write(const std::string& path);

 private:
  std::string path_;
};

// Makes room for `maxclients` connections and our own files. Returns how many connections fit.
uint32_t raise_file_limit(uint32_t maxclients);

// Tells systemd ("READY=1", "STOPPING=1"); nothing happens under no supervisor.
void notify_supervisor(Supervision supervised, const char* message);
bool is_supervised(Supervision supervised);

}  // namespace server
