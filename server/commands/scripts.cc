// server/commands/scripts.cc: EVAL, EVALSHA, their forms that only read, and SCRIPT.
#include "server/bindings.h"
#include "server/command.h"
#include "server/commands/command_docs.h"
#include "server/scripts/scripting.h"
#include "server/server.h"
#include "server/units.h"

namespace server {
namespace {

Scripts& scripts(CommandContext& c) { return c.server.scripting().scripts; }

void eval(CommandContext& c) { scripts(c).eval(c, Scripts::By::kText, false); }
void eval_ro(CommandContext& c) { scripts(c).eval(c, Scripts::By::kText, true); }
void evalsha(CommandContext& c) { scripts(c).eval(c, Scripts::By::kSha1, false); }
void evalsha_ro(CommandContext& c) { scripts(c).eval(c, Scripts::By::kSha1, true); }

void load(CommandContext& c) {
  std::string sha1;
  const std::string error = scripts(c).load(c.args[2], &sha1);
  if (error.empty())
    c.reply.bulk(sha1);
  else
    c.reply.error(error);
}

void exists(CommandContext& c) {
  c.reply.array(c.args.size() - 2);
  for (const std::string_view sha1 : c.args.subspan(2)) c.reply.integer(scripts(c).known(sha1));
}

void flush(CommandContext& c) {
  // ASYNC and SYNC are alike: what is to be freed is little.
  const bool right = c.args.size() == 2 || (c.args.size() == 3 && (equals_ignoring_case(c.args[2], "sync") ||
                                                                   equals_ignoring_case(c.args[2], "async")));
  if (!right) return c.reply.error("ERR SCRIPT FLUSH only support SYNC|ASYNC option");
  scripts(c).flush();
  c.reply.ok();
}

void kill(CommandContext& c) {
  const std::string_view error = c.server.scripting().busy.kill(true);
  if (error.empty())
    c.reply.ok();
  else
    c.reply.error(error);
}

void debug(CommandContext& c) {
  if (equals_ignoring_case(c.args[2], "no")) return c.reply.ok();
  if (!equals_ignoring_case(c.args[2], "yes") && !equals_ignoring_case(c.args[2], "sync"))
    return c.reply.error("ERR Use SCRIPT DEBUG YES/SYNC/NO");
  c.reply.error("ERR Varve has no debugger for scripts");
}

void help(CommandContext& c) { container_help(c.server.table(), "script", c.reply); }

constexpr Binding kBindings[] = {{"eval", &eval},          {"eval_ro", &eval_ro},
                                 {"evalsha", &evalsha},    {"evalsha_ro", &evalsha_ro},
                                 {"script|load", &load},   {"script|exists", &exists},
                                 {"script|flush", &flush}, {"script|kill", &kill},
                                 {"script|debug", &debug}, {"script|help", &help}};

}  // namespace

void bind_script_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
