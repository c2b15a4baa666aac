// server/command_line.h: what the words after `varve-server` mean, as redis-server reads them.
//
//     varve-server [file] [--name value ...]... [-]
//     varve-server [the same] --import file | --export file
//
// A first word without a leading '-' is the file. An option's values go on to the next word that starts with
// "--"; but the first word behind an option is always its value, so that a password may start so.
// "--save" alone means --save ''. A '-' as first or last word: more configuration comes from stdin.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/status.h"
#include "server/config/entry.h"

namespace server {

struct CommandLine {
  enum class Action : unsigned char { kServe, kVersion, kHelp, kImport, kExport };
  Action action = Action::kServe;
  std::string file;      // As given; empty: none.
  std::string rdb_file;  // Of kImport, kExport.
  bool read_stdin = false;
  std::vector<Entry> options;
};

// `words` without the program's name. Errors: kInvalid, a sentence for stderr.
engine::Result<CommandLine> parse_command_line(std::span<const char* const> words);

// For --help.
const char* usage_text();

}  // namespace server
