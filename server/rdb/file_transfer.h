// server/rdb/file_transfer.h: a whole store from an RDB file, and into one; for the command line.
//
// Threads: the reactor, which serves nobody meanwhile: both block.
#pragma once

#include <functional>
#include <string>

#include "engine/engine.h"
#include "engine/env.h"
#include "server/databases.h"
#include "server/settings.h"

namespace server::rdb {

// Lets the loop run: what is ready, or (`wait`) until something is.
using LoopTurn = std::function<void(bool wait)>;

// Requires: the databases are empty, or it is an error that says which is not: nothing is merged with what
// is here. Progress goes to the log. After any other error a part of the file has been imported.
// Errors: kInvalid: not empty, or too few databases; kCorruption naming the file's offset; kIoError; what
// refuses writes.
engine::Status import_file(engine::Engine& engine, engine::Env& env, const Databases& databases,
                           const Settings& settings, const std::string& path, const LoopTurn& turn);

// Writes all databases as they are now, in RDB version 10, which Redis 7.0 and later read. The file appears
// under its name when it is whole and on stable storage.
engine::Status export_file(engine::Engine& engine, engine::Env& env, const Databases& databases,
                           const std::string& path);

}  // namespace server::rdb
