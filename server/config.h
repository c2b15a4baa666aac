// server/config.h: the configuration: read at the start, shown and changed by CONFIG, written back by
// REWRITE.
//
//     file (.conf or TOML)  ─┐                        ┌─▶ settings()   plain fields for the code
//     (server/settings.h) stdin (-)             ─┼─▶ table of parameters ─┤
//     --name value …        ─┘   (config/table.cc)    ├─▶ get(), set(), rewrite()   for CONFIG
//     a later source overrides an earlier one         └─▶ listeners    modules that must act, and may refuse
//
// Invariants
//   C1  settings() always equals what get() shows.
//   C2  set() changes all of its pairs or none; after an error every listener has seen the old values last.
//   C3  After rewrite() a start with the file alone gives the values of now.
//
// Threads: the reactor's, all of it; rewrite() blocks on the disk for some milliseconds.
// Not here: the CONFIG command itself; the effect of any setting.
#pragma once

#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/env.h"
#include "engine/status.h"
#include "server/command_line.h"
#include "server/config/entry.h"
#include "server/config/parameter.h"
#include "server/settings.h"

namespace server {

class Config {
 public:
  // All defaults. `working_directory` is absolute: what relative paths of `dir` and of the file start from.
  explicit Config(std::string working_directory);

  // Reads the command line's file with what it includes, then `stdin_text`, then the options. Once, at the
  // start. `understood` names the directives (rename-command, user) that the caller acts on by reading
  // directives(); all others are refused, since ignoring one could leave open what its owner believes shut.
  // Errors: kInvalid, one or two lines that name file and line and say what would be right.
  engine::Status load(engine::FileSystem& files, const CommandLine& command_line, std::string_view stdin_text,
                      std::span<const std::string_view> understood = {});

  const Settings& settings() const { return settings_; }
  const std::vector<Entry>& directives() const { return directives_; }
  const std::string& file() const { return file_; }  // Absolute; empty: none.

  // CONFIG GET: names and values that match any of the patterns, each name once. An exact name is shown as it
  // was asked for; hidden ones are found by exact name only.
  std::vector<std::pair<std::string, std::string>> get(std::span<const std::string_view> patterns) const;
  // One value in the form of CONFIG GET. Requires: the parameter exists.
  const std::string& value(std::string_view name) const;

  // CONFIG SET name value …: an empty text for success, or the whole error ("ERR …").
  using Pair = std::pair<std::string_view, std::string_view>;
  std::string set(std::span<const Pair> pairs, bool client_is_local = false);
  // The server's own change (an effective maxclients, REPLICAOF): of immutable ones too, and no listener
  // runs. Errors: kInvalid, as set() would say.
  engine::Status assign(std::string_view name, std::string_view value);

  // CONFIG REWRITE: an empty text for success, or the whole error. `users`: the lines `user …` that are to be
  // in the file; null: those that are there stay.
  std::string rewrite(engine::FileSystem& files, const std::vector<std::string>* users = nullptr);

  // Called after settings() has changed for at least one of the names; once per set(). Returns an empty text,
  // or why the change cannot be: then all is put back, and it is called again if it had been called before.
  using Listener = std::function<std::string()>;
  void on_change(std::initializer_list<std::string_view> names, Listener listener);

  // Whether the value of a parameter must not be shown in logs, SLOWLOG or MONITOR. False for unknown names.
  static bool is_sensitive(std::string_view name);

  // The table for people, in Markdown: server/config/PARAMETERS.md is this text.
  static std::string describe();

 private:
  struct Watch {
    std::vector<size_t> indexes;
    Listener listener;
  };
  struct Source;

  engine::Status read_file(engine::FileSystem& files, const std::string& path, int depth, Source& source);
  engine::Status read_text(engine::FileSystem& files, std::string_view text, const std::string& name,
                           int depth, Source& source);
  engine::Status take(engine::FileSystem& files, const Entry& entry, int depth, Source& source);
  engine::Status include(engine::FileSystem& files, const Entry& entry, int depth, Source& source);
  // The values that a start with `text` as the file, and nothing else, would have.
  engine::Result<std::vector<Value>> reread(engine::FileSystem& files, std::string_view text) const;
  engine::Result<std::string> rewritten(engine::FileSystem& files, std::string_view text,
                                        const std::vector<std::string>* users) const;
  std::string absorb(size_t index, const Entry& entry, bool continues, Value& value) const;
  std::string read_pair(size_t index, std::string_view text, Value& value) const;
  void adopt(std::vector<Value> values);

  std::string working_directory_;
  std::string file_;
  std::vector<Value> values_;  // By place in the table.
  Settings settings_;
  std::vector<Entry> directives_;
  std::vector<Watch> watches_;
};

}  // namespace server
