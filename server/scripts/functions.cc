#include "server/scripts/functions.h"

#include <set>
#include <utility>

#include "server/databases.h"
#include "server/log.h"
#include "server/scripts/scripts.h"
#include "server/server.h"
#include "server/units.h"

namespace server {
namespace {

constexpr uint64_t kLoadTimeoutUs = 500'000;
constexpr char kTag = 'F';

std::string record_key(std::string_view name) { return std::string(1, kTag).append(name); }

}  // namespace

Functions::Functions(Server& server, Interrupt& interrupt) : server_(server), interrupt_(interrupt) {}
Functions::~Functions() = default;

Interpreter& Functions::interpreter() {
  if (!interpreter_) interpreter_ = make_library_interpreter(script_memory_max(server_.settings()));
  return *interpreter_;
}

// ------------------------------------------------------------------ what is in memory

engine::Status Functions::open() {
  libraries_.clear();
  by_name_.clear();
  interpreter_.reset();
  const auto found = sources(*server_.engine().snapshot());
  if (!found.ok()) return found.status();
  for (const std::string& source : found.value()) install(source);
  return {};
}

engine::Result<std::vector<std::string>> Functions::sources(const engine::Snapshot& snapshot) {
  const auto reader = snapshot.reader();
  engine::Batch nothing;
  View view(*reader, nullptr, nothing, 0);
  std::vector<std::string> all;
  try {
    auto records = view.range(std::string(1, kTag), prefix_end(std::string(1, kTag)));
    for (bool more = records.seek_first(); more; more = records.next()) all.emplace_back(records.value());
  } catch (const StorageError& error) {
    return error.status;
  }
  return all;
}

void Functions::refresh(const engine::Batch& batch) {
  engine::BatchReader reader(batch.bytes());
  while (reader.next()) {
    if (reader.op() == engine::Batch::Op::kMoved || !reader.key().starts_with(kTag)) continue;
    if (const auto ahead = ahead_.find(reader.key().substr(1)); ahead != ahead_.end()) {
      ahead_.erase(ahead);
      continue;
    }
    remove(reader.key().substr(1));
    if (reader.op() == engine::Batch::Op::kPut) install(reader.value());
  }
}

void Functions::install(std::string_view source) {
  Library library;
  const LibraryHead head = read_library_head(source);
  std::string problem = head.error;
  if (problem.empty()) {
    library.name = head.name;
    library.source = source;
    problem = load_library(
        interpreter(), source, head.bytes, 0, [] { return uint64_t{0}; }, &library);
  }
  if (!problem.empty()) {
    log_warning("Failed creating function library '%s': %s", head.name.c_str(), problem.c_str());
    return;
  }
  const Library& kept = libraries_.insert_or_assign(head.name, std::move(library)).first->second;
  for (const auto& [name, function] : kept.functions) by_name_[lower(name)] = {&kept, &function};
}

void Functions::remove(std::string_view name) {
  const auto found = libraries_.find(name);
  if (found == libraries_.end()) return;
  std::erase_if(by_name_, [&](const auto& entry) { return entry.second.library == &found->second; });
  unload_library(interpreter(), found->second);
  libraries_.erase(found);
}

size_t Functions::source_bytes() const {
  size_t bytes = 0;
  for (const auto& [name, library] : libraries_)
    bytes += library.source.size() + sizeof(Library) + library.functions.size() * sizeof(LibraryFunction);
  return bytes;
}

// ------------------------------------------------------------------ changes

void Functions::change(CommandContext& c, const std::string& name, std::optional<std::string_view> source) {
  if (source)
    c.view.put(record_key(name), *source);
  else
    c.view.erase(record_key(name));
  c.databases_changed = true;
  if (!c.nested) return;
  const auto found = libraries_.find(name);
  std::optional<std::string> before;
  if (found != libraries_.end()) before = found->second.source;
  const bool first = ahead_.insert(name).second;
  remove(name);
  if (source) install(*source);
  c.effects->on_take_back([this, name, before, first] {
    if (first) ahead_.erase(name);
    remove(name);
    if (before) install(*before);
  });
}

std::string Functions::examine(std::string_view source, uint64_t timeout_us, Library* library) {
  const LibraryHead head = read_library_head(source);
  if (!head.error.empty()) return head.error;
  library->name = head.name;
  library->source = source;
  const auto now_us = [this] { return server_.env().clock.monotonic_us(); };
  std::string problem = load_library(interpreter(), source, head.bytes, timeout_us, now_us, library);
  if (problem.empty()) unload_library(interpreter(), *library);
  return problem;
}

std::string Functions::load(CommandContext& c, std::string_view source, bool replace, std::string* name) {
  Library library;
  const LibraryHead head = read_library_head(source);
  if (!head.error.empty()) return head.error;
  if (libraries_.contains(head.name) && !replace) return "Library '" + head.name + "' already exists";
  if (auto problem = examine(source, kLoadTimeoutUs, &library); !problem.empty()) return problem;
  for (const auto& [function, unused] : library.functions) {
    const auto found = by_name_.find(lower(function));
    if (found != by_name_.end() && found->second.library->name != library.name)
      return "Function " + function + " already exists";
  }
  change(c, library.name, source);
  *name = library.name;
  return {};
}

std::string Functions::erase(CommandContext& c, std::string_view name) {
  if (!libraries_.contains(name)) return "Library not found";
  change(c, std::string(name), std::nullopt);
  return {};
}

void Functions::flush(View& view) const {
  for (const auto& [name, library] : libraries_) view.erase(record_key(name));
}

void Functions::store(View& view, std::string_view source) {
  const LibraryHead head = read_library_head(source);
  if (!head.error.empty()) return log_warning("A function library is left out: %s", head.error.c_str());
  view.put(record_key(head.name), source);
}

void Functions::flush(CommandContext& c) {
  std::vector<std::string> names;
  for (const auto& [name, library] : libraries_) names.push_back(name);
  for (const std::string& name : names) change(c, name, std::nullopt);
}

std::string Functions::restore(CommandContext& c, const std::vector<std::string>& sources, Restore policy) {
  Libraries fresh;
  std::set<std::string> names;  // Of all functions of those, in lower case.
  for (const std::string& source : sources) {
    Library library;
    if (auto problem = examine(source, 0, &library); !problem.empty()) return problem;
    if (fresh.contains(library.name)) return "Library '" + library.name + "' already exists";
    for (const auto& [function, unused] : library.functions)
      if (!names.insert(lower(function)).second) return "Function " + function + " already exists";
    std::string name = library.name;
    fresh.emplace(std::move(name), std::move(library));
  }
  if (policy == Restore::kFlush) {
    flush(c);
  } else {
    for (const auto& [name, library] : fresh) {
      if (policy == Restore::kAppend && libraries_.contains(name))
        return "Library " + name + " already exists";
      for (const auto& [function, unused] : library.functions) {
        const auto found = by_name_.find(lower(function));
        if (found != by_name_.end() && !fresh.contains(found->second.library->name))
          return "Function " + function + " already exists";
      }
    }
  }
  for (const auto& [name, library] : fresh) change(c, name, library.source);
  return {};
}

// ------------------------------------------------------------------ FCALL

std::optional<uint32_t> Functions::flags(std::string_view function) const {
  const auto found = by_name_.find(lower(function));
  return found == by_name_.end() ? std::nullopt : std::optional(found->second.function->flags);
}

void Functions::call(CommandContext& c, bool by_read_only_command) {
  const auto found = by_name_.find(lower(c.args[1]));
  if (found == by_name_.end()) return c.reply.error("ERR Function not found");
  const auto keys = parse_integer(c.args[2]);
  if (!keys) return c.reply.error("ERR Bad number of keys provided");
  const auto rest = c.args.subspan(3);
  if (*keys > static_cast<int64_t>(rest.size()))
    return c.reply.error("ERR Number of keys can't be greater than number of args");
  if (*keys < 0) return c.reply.error("ERR Number of keys can't be negative");
  const LibraryFunction& function = *found->second.function;
  ScriptCall call;
  call.name = function.name;
  call.is_eval = false;
  call.flags = function.flags;
  call.by_read_only_command = by_read_only_command;
  call.keys = rest.first(static_cast<size_t>(*keys));
  call.args = rest.subspan(static_cast<size_t>(*keys));
  call.push_function = [&function](lua_State* lua) {
    lua_rawgeti(lua, LUA_REGISTRYINDEX, function.callback);
  };
  // If the run is taken back, so must be what it did to the library's variables: they are as after a start.
  if (found->second.library->keeps_state) {
    c.effects->on_take_back([this, name = found->second.library->name] {
      const std::string source = libraries_.find(name)->second.source;
      remove(name);
      install(source);
    });
  }
  run_script(interpreter(), interrupt_, c, call);
}

}  // namespace server
