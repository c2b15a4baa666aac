#include "server/command_line.h"

#include <cstring>

#include "server/units.h"

namespace server {
namespace {

engine::Status wrong(const std::string& text) { return {engine::Code::kInvalid, text}; }

}  // namespace

engine::Result<CommandLine> parse_command_line(std::span<const char* const> words) {
  CommandLine result;
  if (words.empty()) return result;
  const std::string_view first = words[0];
  if (first == "-v" || first == "--version") {
    result.action = CommandLine::Action::kVersion;
    return result;
  }
  if (first == "-h" || first == "--help") {
    result.action = CommandLine::Action::kHelp;
    return result;
  }
  size_t next = 0;
  if (!first.starts_with('-')) {
    result.file = first;
    next = 1;
  }
  bool option_has_value = true;
  for (size_t i = next; i < words.size(); ++i) {
    const std::string_view word = words[i];
    const bool is_last = i + 1 == words.size();
    if (word == "-" && (i == 0 || is_last)) {
      result.read_stdin = true;
      continue;
    }
    if (!(option_has_value && word.starts_with("--"))) {
      if (result.options.empty()) {
        return wrong("unexpected '" + std::string(word) +
                     "': options are --name value; the file comes first");
      }
      result.options.back().words.emplace_back(word);
      option_has_value = true;
      continue;
    }
    // "--port 6380" may also come as one word.
    const auto parts = split_words(word.substr(2));
    if (!parts) return wrong("quotes do not close: " + std::string(word));
    if (parts->empty()) return wrong("a name is missing behind --");
    Entry option;
    option.source = "command line";
    option.name = lower(parts->front());
    option.words.assign(parts->begin() + 1, parts->end());
    option_has_value = parts->size() > 1;
    if (option.name == "save" && !option_has_value &&
        (is_last || std::string_view(words[i + 1]).starts_with("--"))) {
      option.words.emplace_back();
      option_has_value = true;
    }
    result.options.push_back(std::move(option));
  }
  // These are not parameters: what to do with the data, instead of serving it.
  for (auto option = result.options.begin(); option != result.options.end();) {
    if (option->name != "import" && option->name != "export") {
      ++option;
      continue;
    }
    if (option->words.size() != 1) return wrong("--" + option->name + " wants the name of one RDB file");
    if (!result.rdb_file.empty()) return wrong("--import or --export, and one of them");
    result.action = option->name == "import" ? CommandLine::Action::kImport : CommandLine::Action::kExport;
    result.rdb_file = option->words[0];
    option = result.options.erase(option);
  }
  return result;
}

const char* usage_text() {
  return "Usage: varve-server [file] [--name value ...]... [-]\n"
         "       varve-server -                      configuration from stdin\n"
         "       varve-server [file] [--name value ...]... --import dump.rdb\n"
         "       varve-server [file] [--name value ...]... --export dump.rdb\n"
         "       varve-server -v, --version\n"
         "       varve-server -h, --help\n"
         "\n"
         "A file *.conf is read in redis.conf syntax, any other as TOML. Options override the file; their "
         "names\n"
         "are those of CONFIG GET *. --import reads an RDB file of Redis into an empty data directory and "
         "ends;\n"
         "--export writes one that Redis 7.0 reads.\n"
         "\n"
         "Examples:\n"
         "       varve-server --dir /var/lib/varve --appendfsync always\n"
         "       varve-server /etc/varve.toml --port 7777\n"
         "       varve-server /etc/redis/redis.conf --maxmemory 400mb\n"
         "       echo 'maxmemory 400mb' | varve-server -\n";
}

}  // namespace server
