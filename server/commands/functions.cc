// server/commands/functions.cc: FUNCTION, FCALL and FCALL_RO.
#include "server/bindings.h"
#include "server/command.h"
#include "server/commands/command_docs.h"
#include "server/glob.h"
#include "server/scripts/function_dump.h"
#include "server/scripts/script_flags.h"
#include "server/scripts/scripting.h"
#include "server/server.h"
#include "server/units.h"

namespace server {
namespace {

Functions& functions(CommandContext& c) { return c.server.scripting().functions; }

void answer(CommandContext& c, const std::string& problem) {
  if (problem.empty())
    c.reply.ok();
  else
    c.reply.error("ERR " + problem);
}

void fcall(CommandContext& c) { functions(c).call(c, false); }
void fcall_ro(CommandContext& c) { functions(c).call(c, true); }

void load(CommandContext& c) {
  bool replace = false;
  for (const std::string_view option : c.args.subspan(2, c.args.size() - 3)) {
    if (!equals_ignoring_case(option, "replace"))
      return c.reply.error("ERR Unknown option given: " + std::string(option));
    replace = true;
  }
  std::string name;
  const std::string problem = functions(c).load(c, c.args.back(), replace, &name);
  if (problem.empty())
    c.reply.bulk(name);
  else
    c.reply.error("ERR " + problem);
}

void erase(CommandContext& c) { answer(c, functions(c).erase(c, c.args[2])); }

void flush(CommandContext& c) {
  if (c.args.size() > 3)
    return c.reply.error("ERR unknown subcommand or wrong number of arguments for '" +
                         std::string(c.args[1]) + "'. Try FUNCTION HELP.");
  // ASYNC and SYNC are alike: what is to be freed is little.
  if (c.args.size() == 3 && !equals_ignoring_case(c.args[2], "sync") &&
      !equals_ignoring_case(c.args[2], "async"))
    return c.reply.error("ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
  functions(c).flush(c);
  c.reply.ok();
}

void write_library(resp::ReplyWriter& reply, const Library& library, bool with_code) {
  reply.map(with_code ? 4 : 3);
  reply.bulk("library_name");
  reply.bulk(library.name);
  reply.bulk("engine");
  reply.bulk("LUA");
  reply.bulk("functions");
  reply.array(library.functions.size());
  for (const auto& [name, function] : library.functions) {
    reply.map(3);
    reply.bulk("name");
    reply.bulk(name);
    reply.bulk("description");
    if (function.description)
      reply.bulk(*function.description);
    else
      reply.null();
    reply.bulk("flags");
    size_t count = 0;
    for (const auto& known : script::kFlagNames) count += (function.flags & known.flag) != 0;
    reply.set(count);
    for (const auto& known : script::kFlagNames)
      if (function.flags & known.flag) reply.simple(known.name);
  }
  if (!with_code) return;
  reply.bulk("library_code");
  reply.bulk(library.source);
}

void list(CommandContext& c) {
  bool with_code = false;
  std::optional<std::string_view> pattern;
  for (size_t i = 2; i < c.args.size(); ++i) {
    if (!with_code && equals_ignoring_case(c.args[i], "withcode")) {
      with_code = true;
    } else if (!pattern && equals_ignoring_case(c.args[i], "libraryname")) {
      if (i + 1 == c.args.size()) return c.reply.error("ERR library name argument was not given");
      pattern = c.args[++i];
    } else {
      return c.reply.error("ERR Unknown argument " + std::string(c.args[i]));
    }
  }
  const auto open = c.reply.open_array();
  size_t count = 0;
  for (const auto& [name, library] : functions(c).libraries()) {
    if (pattern && !glob_match(*pattern, name, GlobCase::kIgnore)) continue;
    write_library(c.reply, library, with_code);
    ++count;
  }
  c.reply.close(open, count);
}

void stats(CommandContext& c) {
  const ScriptRun* run = c.server.scripting().busy.running();
  if (run != nullptr && run->is_eval) return c.reply.error(kBusyScript);
  c.reply.map(2);
  c.reply.bulk("running_script");
  if (run == nullptr) {
    c.reply.null();
  } else {
    c.reply.map(3);
    c.reply.bulk("name");
    c.reply.bulk(run->name);
    c.reply.bulk("command");
    c.reply.array(run->context.args.size());
    for (const std::string_view arg : run->context.args) c.reply.bulk(arg);
    c.reply.bulk("duration_ms");
    c.reply.integer(static_cast<int64_t>((c.server.env().clock.monotonic_us() - run->started_us) / 1000));
  }
  c.reply.bulk("engines");
  c.reply.map(1);
  c.reply.bulk("LUA");
  c.reply.map(2);
  c.reply.bulk("libraries_count");
  c.reply.integer(static_cast<int64_t>(functions(c).libraries().size()));
  c.reply.bulk("functions_count");
  c.reply.integer(static_cast<int64_t>(functions(c).function_count()));
}

void dump(CommandContext& c) { c.reply.bulk(dump_libraries(functions(c).libraries())); }

void restore(CommandContext& c) {
  auto policy = Functions::Restore::kAppend;
  if (c.args.size() > 4)
    return c.reply.error("ERR unknown subcommand or wrong number of arguments for '" +
                         std::string(c.args[1]) + "'. Try FUNCTION HELP.");
  if (c.args.size() == 4) {
    if (equals_ignoring_case(c.args[3], "flush"))
      policy = Functions::Restore::kFlush;
    else if (equals_ignoring_case(c.args[3], "replace"))
      policy = Functions::Restore::kReplace;
    else if (!equals_ignoring_case(c.args[3], "append"))
      return c.reply.error(
          "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.");
  }
  std::vector<std::string> sources;
  std::string problem = read_library_dump(c.args[2], &sources);
  if (problem.empty()) problem = functions(c).restore(c, sources, policy);
  answer(c, problem);
}

void kill(CommandContext& c) {
  const std::string_view error = c.server.scripting().busy.kill(false);
  if (error.empty())
    c.reply.ok();
  else
    c.reply.error(error);
}

void help(CommandContext& c) { container_help(c.server.table(), "function", c.reply); }

constexpr Binding kBindings[] = {
    {"fcall", &fcall},           {"fcall_ro", &fcall_ro},    {"function|load", &load},
    {"function|delete", &erase}, {"function|flush", &flush}, {"function|list", &list},
    {"function|stats", &stats},  {"function|dump", &dump},   {"function|restore", &restore},
    {"function|kill", &kill},    {"function|help", &help}};

}  // namespace

void bind_function_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
