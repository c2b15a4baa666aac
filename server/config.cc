#include "server/config.h"

#include <algorithm>

#include "server/config/paths.h"
#include "server/glob.h"
#include "server/log.h"
#include "server/units.h"

namespace server {
namespace {

size_t index_of(const Parameter* parameter) { return static_cast<size_t>(parameter - parameters().data()); }

// A name under which CONFIG knows a parameter: its own or its alias.
struct Name {
  std::string_view text;
  const Parameter* parameter;
};

const std::vector<Name>& sorted_names() {
  static const std::vector<Name> names = [] {
    std::vector<Name> all;
    for (const Parameter& parameter : parameters()) {
      all.push_back({parameter.name, &parameter});
      if (parameter.alias != nullptr) all.push_back({parameter.alias, &parameter});
    }
    std::sort(all.begin(), all.end(), [](const Name& a, const Name& b) { return a.text < b.text; });
    return all;
  }();
  return names;
}

std::string failed(std::string_view name, const std::string& why) {
  return "ERR CONFIG SET failed (possibly related to argument '" + std::string(name) + "') - " + why;
}

bool is_allowed(Allowed allowed, bool client_is_local) {
  return allowed == Allowed::kYes || (allowed == Allowed::kLocal && client_is_local);
}

}  // namespace

Config::Config(std::string working_directory) : working_directory_(std::move(working_directory)) {
  std::vector<Value> values;
  for (const Parameter& parameter : parameters()) {
    values.push_back(initial_value(parameter));
    if (parameter.type == ParameterType::kDirectory) {
      values.back().text = absolute_path(working_directory_, parameter.initial);
    }
  }
  adopt(std::move(values));
}

void Config::adopt(std::vector<Value> values) {
  values_ = std::move(values);
  for (const Parameter& parameter : parameters()) {
    if (parameter.acts()) parameter.act(settings_, values_[index_of(&parameter)]);
  }
}

std::vector<std::pair<std::string, std::string>> Config::get(
    std::span<const std::string_view> patterns) const {
  std::vector<std::pair<std::string, std::string>> found;
  const auto add = [&](std::string_view name, const Parameter& parameter) {
    for (const auto& pair : found) {
      if (equals_ignoring_case(pair.first, name)) return;
    }
    found.emplace_back(name, values_[index_of(&parameter)].text);
  };
  for (const std::string_view pattern : patterns) {
    if (pattern.find_first_of("[*?") == std::string_view::npos) {
      if (const Parameter* parameter = find_parameter(pattern)) add(pattern, *parameter);
      continue;
    }
    for (const Name& name : sorted_names()) {
      if (name.parameter->flags & kHidden) continue;
      if (glob_match(pattern, name.text, GlobCase::kIgnore)) add(name.text, *name.parameter);
    }
  }
  return found;
}

const std::string& Config::value(std::string_view name) const {
  const Parameter* parameter = find_parameter(name);
  INVARIANT(parameter != nullptr);
  return values_[index_of(parameter)].text;
}

std::string Config::read_pair(size_t index, std::string_view text, Value& value) const {
  const Parameter& parameter = parameters()[index];
  const std::vector<std::string> words =
      parameter.takes_words() ? split_at_blanks(text) : std::vector<std::string>{std::string(text)};
  std::string error = read_value(parameter, words, value);
  if (error.empty() && parameter.type == ParameterType::kDirectory) {
    value.text = absolute_path(working_directory_, value.text);
  }
  return error;
}

std::string Config::set(std::span<const Pair> pairs, bool client_is_local) {
  std::vector<size_t> indexes;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const std::string_view name = pairs[i].first;
    const Parameter* parameter = find_parameter(name);
    if (parameter == nullptr) {
      return "ERR Unknown option or number of arguments for CONFIG SET - '" + std::string(name) + "'";
    }
    if ((parameter->flags & kProtected) && !is_allowed(settings_.enable_protected_configs, client_is_local)) {
      return failed(name, "can't set protected config");
    }
    const bool as_it_is =
        (parameter->flags & kSettled) && pairs[i].second == values_[index_of(parameter)].text;
    if ((parameter->flags & kImmutable) && !as_it_is) return failed(name, "can't set immutable config");
    // A parameter's name and its alias are two, as in Redis; the last one holds.
    for (size_t j = 0; j < i; ++j) {
      if (equals_ignoring_case(pairs[j].first, name)) return failed(name, "duplicate parameter");
    }
    indexes.push_back(index_of(parameter));
  }

  std::vector<Value> values = values_;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const std::string error = read_pair(indexes[i], pairs[i].second, values[indexes[i]]);
    if (!error.empty()) return failed(lower(pairs[i].first), error);
  }

  std::vector<Value> old_values = values_;
  adopt(std::move(values));
  for (size_t w = 0; w < watches_.size(); ++w) {
    // The name to blame: the first that the listener watches and that is new.
    std::string_view changed;
    for (size_t i = 0; i < pairs.size() && changed.empty(); ++i) {
      const size_t index = indexes[i];
      const auto& watched = watches_[w].indexes;
      if (values_[index].text == old_values[index].text) continue;
      if (std::find(watched.begin(), watched.end(), index) != watched.end()) changed = pairs[i].first;
    }
    if (changed.empty()) continue;
    const std::string error = watches_[w].listener();
    if (error.empty()) continue;

    log_warning(
        "Failed applying new configuration. Possibly related to new %s setting. Restoring previous settings.",
        lower(changed).c_str());
    const std::vector<Value> refused = values_;
    adopt(std::move(old_values));
    for (size_t undo = 0; undo <= w; ++undo) {
      const auto& watched = watches_[undo].indexes;
      const bool was_called = std::any_of(watched.begin(), watched.end(), [&](size_t index) {
        return refused[index].text != values_[index].text;
      });
      if (!was_called) continue;
      if (const std::string again = watches_[undo].listener(); !again.empty()) {
        log_warning("Failed applying restored failed CONFIG SET command: %s", again.c_str());
      }
    }
    return failed(lower(changed), error);
  }
  return {};
}

engine::Status Config::assign(std::string_view name, std::string_view text) {
  const Parameter* parameter = find_parameter(name);
  INVARIANT(parameter != nullptr);
  std::vector<Value> values = values_;
  const std::string error = read_pair(index_of(parameter), text, values[index_of(parameter)]);
  if (!error.empty()) return {engine::Code::kInvalid, error};
  adopt(std::move(values));
  return {};
}

void Config::on_change(std::initializer_list<std::string_view> names, Listener listener) {
  Watch watch;
  for (const std::string_view name : names) {
    const Parameter* parameter = find_parameter(name);
    INVARIANT(parameter != nullptr);
    watch.indexes.push_back(index_of(parameter));
  }
  watch.listener = std::move(listener);
  watches_.push_back(std::move(watch));
}

bool Config::is_sensitive(std::string_view name) {
  const Parameter* parameter = find_parameter(name);
  return parameter != nullptr && (parameter->flags & kSensitive) != 0;
}

std::string Config::describe() {
  std::string text =
      "# Settings\n\n"
      "Written by the test of server/config.h from server/config/table.cc; do not edit. All parameters of "
      "Redis 7.0\n"
      "and Varve's own, for CONFIG GET and SET, configuration files and `--name value`. **acts**: it has an "
      "effect.\n"
      "accepted: checked, remembered, shown and written by CONFIG REWRITE, so that files and tools carry "
      "over,\n"
      "without an effect. *start*: cannot be changed by CONFIG SET.\n\n"
      "| name | default | | what it does |\n| --- | --- | --- | --- |\n";
  for (const Parameter& parameter : parameters()) {
    if (parameter.flags & kHidden) continue;
    text += std::string("| `") + parameter.name + "`";
    if (parameter.alias != nullptr) text += std::string(", `") + parameter.alias + "`";
    text += std::string(" | ") +
            (*parameter.initial == '\0' ? "" : std::string("`") + parameter.initial + "`") + " | ";
    text += parameter.acts() ? "**acts**" : "accepted";
    if (parameter.flags & kImmutable) text += ", *start*";
    text += std::string(" | ") + parameter.purpose + " |\n";
  }
  return text;
}

}  // namespace server
