// Reading the configuration at the start.
#include <algorithm>
#include <numeric>

#include "server/config.h"
#include "server/config/paths.h"
#include "server/units.h"

namespace server {
namespace {

constexpr int kIncludeDepthMax = 16;  // Deeper is a file that includes itself.

// Settings of old that no longer mean anything, to Redis 7.0 either.
constexpr std::string_view kIgnored[] = {"list-max-ziplist-entries", "list-max-ziplist-value",
                                         "lua-replicate-commands"};
struct Directive {
  std::string_view name;
  std::string_view missing;  // What Varve does not have.
};
constexpr Directive kDirectives[] = {{"user", "users"},
                                     {"rename-command", "renaming of commands"},
                                     {"loadmodule", "modules"},
                                     {"sentinel", "Sentinel mode"}};

engine::Status invalid(const Entry& entry, const std::string& text) {
  return {engine::Code::kInvalid, entry.place() + ": " + text};
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

std::string did_you_mean(std::string_view name) {
  std::string_view best;
  size_t best_distance = std::max<size_t>(2, name.size() / 4) + 1;
  const auto consider = [&](std::string_view candidate) {
    const size_t distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  };
  for (const Parameter& parameter : parameters()) {
    consider(parameter.name);
    if (parameter.alias != nullptr) consider(parameter.alias);
  }
  consider("include");
  for (const Directive& directive : kDirectives) consider(directive.name);
  if (best.empty()) return "; neither Redis 7.0 nor Varve has one of that name";
  return "; did you mean '" + std::string(best) + "'?";
}

// What Redis's error text leaves open.
std::string hint(const Parameter& parameter, const Entry& entry) {
  for (const std::string& word : entry.words) {
    if (word.starts_with('#')) return " (a comment needs a line of its own)";
  }
  switch (parameter.type) {
    case ParameterType::kMemory: return ", such as 104857600, 100mb or 1gb";
    case ParameterType::kMemoryOrPart: return ", such as 100mb or 5%";
    case ParameterType::kSave:
      return ": pairs of seconds (from 1) and changes, such as 3600 1, or \"\" for none";
    case ParameterType::kOutputLimits: return " Right would be: replica 256mb 64mb 60";
    case ParameterType::kOctal: return ", such as 770";
    default: return "";
  }
}

std::string as_written(const Parameter& parameter, const Entry& entry) {
  std::string text = entry.name;
  for (const std::string& word : entry.words) text += parameter.flags & kSensitive ? " …" : " " + word;
  return text;
}

}  // namespace

// What load() has gathered so far. Nothing of it counts before all of it is right.
struct Config::Source {
  std::vector<Value> values;
  std::vector<bool> seen;  // In this source; a repeated `save` adds to the earlier ones of the same source.
  std::vector<Entry> directives;
  std::span<const std::string_view> understood;
};

engine::Status Config::load(engine::FileSystem& files, const CommandLine& command_line,
                            std::string_view stdin_text, std::span<const std::string_view> understood) {
  Source source{values_, std::vector<bool>(parameters().size()), {}, understood};
  const std::string file =
      command_line.file.empty() ? "" : absolute_path(working_directory_, command_line.file);
  if (!file.empty()) {
    if (engine::Status status = read_file(files, file, 0, source); !status.ok()) return status;
  }
  if (command_line.read_stdin) {
    source.seen.assign(parameters().size(), false);
    const auto entries = parse_conf(stdin_text, "stdin");
    if (!entries.ok()) return entries.status();
    for (const Entry& entry : entries.value()) {
      if (engine::Status status = take(files, entry, 0, source); !status.ok()) return status;
    }
  }
  source.seen.assign(parameters().size(), false);
  for (const Entry& entry : command_line.options) {
    if (engine::Status status = take(files, entry, 0, source); !status.ok()) return status;
  }
  file_ = file;
  directives_ = std::move(source.directives);
  adopt(std::move(source.values));
  return {};
}

engine::Result<std::vector<Value>> Config::reread(engine::FileSystem& files, std::string_view text) const {
  constexpr std::string_view kAll[] = {"user", "rename-command"};
  Config other(working_directory_);
  Source source{other.values_, std::vector<bool>(parameters().size()), {}, kAll};
  if (engine::Status status = other.read_text(files, text, file_, 0, source); !status.ok()) return status;
  return std::move(source.values);
}

engine::Status Config::read_file(engine::FileSystem& files, const std::string& path, int depth,
                                 Source& source) {
  const auto text = read_config_file(files, path);
  if (!text.ok()) {
    return {engine::Code::kInvalid,
            "can't read the configuration file " + path + ": " + text.status().message()};
  }
  return read_text(files, text.value(), path, depth, source);
}

engine::Status Config::read_text(engine::FileSystem& files, std::string_view text, const std::string& name,
                                 int depth, Source& source) {
  const bool is_toml = syntax_of(name) == Syntax::kToml;
  auto entries = is_toml ? parse_toml(text, name) : parse_conf(text, name);
  if (!entries.ok()) return entries.status();
  // Order means nothing in TOML, so there a file's own settings always override what it includes.
  if (is_toml) {
    std::stable_partition(entries.value().begin(), entries.value().end(),
                          [](const Entry& entry) { return entry.name == "include"; });
  }
  for (const Entry& entry : entries.value()) {
    if (engine::Status status = take(files, entry, depth, source); !status.ok()) return status;
  }
  return {};
}

engine::Status Config::take(engine::FileSystem& files, const Entry& entry, int depth, Source& source) {
  if (const Parameter* parameter = find_parameter(entry.name)) {
    const auto index = static_cast<size_t>(parameter - parameters().data());
    const std::string error = absorb(index, entry, source.seen[index], source.values[index]);
    if (!error.empty()) {
      return invalid(entry, "'" + as_written(*parameter, entry) + "': " + error + hint(*parameter, entry));
    }
    source.seen[index] = true;
    return {};
  }
  if (std::find(std::begin(kIgnored), std::end(kIgnored), entry.name) != std::end(kIgnored)) return {};
  if (entry.name == "include") return include(files, entry, depth, source);
  for (const Directive& directive : kDirectives) {
    if (entry.name != directive.name) continue;
    const auto& understood = source.understood;
    if (std::find(understood.begin(), understood.end(), directive.name) == understood.end()) {
      return invalid(entry, "'" + entry.name + "': Varve has no " + std::string(directive.missing) +
                                "; to start without, remove this line");
    }
    if (!entry.is_array) {
      source.directives.push_back(entry);
      return {};
    }
    for (const std::string& element : entry.words) {
      Entry one = entry;
      one.is_array = false;
      auto words = split_words(element);
      if (!words) return invalid(entry, "quotes do not close: " + element);
      one.words = std::move(*words);
      source.directives.push_back(std::move(one));
    }
    return {};
  }
  if (entry.name.find('.') != std::string::npos) {
    return invalid(entry, "'" + entry.name + "' is a setting of a module; Varve has no modules");
  }
  return invalid(entry, "unknown setting '" + entry.name + "'" + did_you_mean(entry.name));
}

engine::Status Config::include(engine::FileSystem& files, const Entry& entry, int depth, Source& source) {
  if (entry.words.size() != 1 && !entry.is_array) return invalid(entry, "'include' takes one path");
  if (depth == kIncludeDepthMax)
    return invalid(entry, "'include' goes too deep: does a file include itself?");
  for (const std::string& pattern : entry.words) {
    for (const std::string& path : expand_path(files, absolute_path(working_directory_, pattern))) {
      engine::Status status = read_file(files, path, depth + 1, source);
      if (status.ok()) continue;
      // Name the line that asked for a file only when the file itself is at fault.
      const auto exists = files.exists(path);
      if (exists.ok() && exists.value()) return status;
      return invalid(entry, "can't read the included file " + path + ": there is none");
    }
  }
  return {};
}

// Reads one entry of a file, of stdin or the command line into `value`.
std::string Config::absorb(size_t index, const Entry& entry, bool continues, Value& value) const {
  const Parameter& parameter = parameters()[index];
  if (!parameter.takes_words()) {
    if (entry.is_array || entry.words.size() != 1) return "wrong number of arguments, there must be one";
    return read_pair(index, entry.words[0], value);
  }
  std::vector<std::string> words;
  if (entry.is_array || (entry.words.size() == 1 && !entry.words[0].empty())) {
    // "--bind '10.0.0.1 ::1'" is two addresses.
    for (const std::string& word : entry.words) {
      const auto parts = split_words(word);
      if (!parts) return "quotes do not close: " + word;
      words.insert(words.end(), parts->begin(), parts->end());
    }
  } else {
    words = entry.words;
  }
  const bool is_none = words.size() == 1 && words[0].empty();
  if (parameter.type == ParameterType::kSave && continues && !is_none) {
    const std::vector<std::string> earlier = split_at_blanks(value.text);
    words.insert(words.begin(), earlier.begin(), earlier.end());
  }
  return read_value(parameter, words, value);
}

}  // namespace server
