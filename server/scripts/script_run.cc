#include "server/scripts/script_run.h"

#include <algorithm>
#include <array>
#include <utility>

#include "server/acl/acl.h"
#include "server/authorize.h"
#include "server/call_log.h"
#include "server/client.h"
#include "server/nested_call.h"
#include "server/out_of_memory.h"
#include "server/replication.h"
#include "server/scripts/convert.h"
#include "server/scripts/sandbox.h"
#include "server/scripts/script_flags.h"
#include "server/scripts/scripting.h"
#include "server/server.h"
#include "server/units.h"

namespace server {
namespace {

constexpr int kRunsBetweenCollections = 50;

// Thrown out of Lua when somebody has stopped the script.
struct ScriptKilled {
  std::string where;  // "script: …, on source:line."
};

std::string place(const ScriptRun& run, std::string_view source, std::string_view line) {
  std::string text = " script: " + run.name;
  return text.append(", on ").append(source).append(":").append(line).append(".");
}

Interrupt* current_interrupt = nullptr;

void look_hook(lua_State* lua, lua_Debug* at) {
  Interpreter& interpreter = Interpreter::of(lua);
  ScriptRun& run = *interpreter.run;
  if (!run.killed) current_interrupt->look(run);
  if (!run.killed) return;
  lua_getinfo(lua, "Sl", at);
  interpreter.leave(
      lua, std::make_exception_ptr(ScriptKilled{place(run, at->source, std::to_string(at->currentline))}));
}

// Turns any error into a table that says where it came from, as Redis's clients expect.
int locate_error(lua_State* lua) {
  if (Interpreter::of(lua).left()) return 1;
  lua_settop(lua, 1);
  lua_Debug at{};
  bool found = lua_getstack(lua, 1, &at) && lua_getinfo(lua, "nSl", &at);
  if (found && std::string_view(at.what) == "C")
    found = lua_getstack(lua, 2, &at) && lua_getinfo(lua, "nSl", &at);
  const bool stand_in = push_real(lua, 1);
  lua_settop(lua, 1);
  if (!lua_istable(lua, 1) || stand_in) {
    std::string text = "ERR ";
    if (lua_isstring(lua, 1))
      text += text_at(lua, 1);
    else
      text += luaL_typename(lua, 1);
    lua_newtable(lua);
    lua_pushlstring(lua, text.data(), text.size());
    lua_setfield(lua, -2, "err");
    lua_replace(lua, 1);
  }
  if (found) {
    lua_pushliteral(lua, "source");
    lua_pushstring(lua, at.source);
    lua_rawset(lua, 1);
    lua_pushliteral(lua, "line");
    lua_pushinteger(lua, at.currentline);
    lua_rawset(lua, 1);
  }
  return 1;
}

void push_list(lua_State* lua, std::span<const std::string_view> words) {
  lua_createtable(lua, static_cast<int>(words.size()), 0);
  for (size_t i = 0; i < words.size(); ++i) {
    lua_pushlstring(lua, words[i].data(), words[i].size());
    lua_rawseti(lua, -2, static_cast<int>(i + 1));
  }
}

void set_global(lua_State* lua, const char* name, std::span<const std::string_view> words) {
  push_globals(lua);
  lua_pushstring(lua, name);
  push_list(lua, words);
  lua_rawset(lua, -3);
  lua_pop(lua, 1);
}

void call_in_lua(lua_State* lua, ScriptRun& run, const ScriptCall& call, resp::ReplyWriter& reply) {
  lua_pushcfunction(lua, locate_error);
  call.push_function(lua);
  int arguments = 0;
  if (call.is_eval) {
    set_global(lua, "KEYS", call.keys);
    set_global(lua, "ARGV", call.args);
  } else {
    push_list(lua, call.keys);
    push_list(lua, call.args);
    arguments = 2;
  }
  lua_sethook(lua, look_hook, LUA_MASKCOUNT, kInstructionsBetweenLooks);
  const int status = lua_pcall(lua, arguments, 1, 1);
  lua_sethook(lua, nullptr, 0, 0);
  Interpreter::of(lua).raise_if_left(lua);
  if (status == 0) return write_value(lua, reply, run.version);
  if (!lua_istable(lua, -1)) {
    std::string text = lua_isstring(lua, -1) ? lua_tostring(lua, -1) : "execution failure";
    text.resize(std::min<size_t>(text.size(), 100));
    return reply.error("ERR Error running script " + run.name + ", " + text);
  }
  const ScriptError error = error_at_top(lua);
  std::string text = error.text;
  if (error.source && error.line) text += place(run, *error.source, *error.line);
  reply.error(text);
}

// XREAD and XREADGROUP may run, but not wait. Elsewhere in a transaction they find nothing instead.
std::string refuse_to_block(const Command& command, std::span<const std::string_view> args) {
  if (command.name != "xread" && command.name != "xreadgroup") return {};
  for (size_t i = 1; i < args.size() && !equals_ignoring_case(args[i], "streams"); ++i) {
    if (equals_ignoring_case(args[i], "block"))
      return std::string(args[0]) + " command is not allowed with BLOCK option from scripts";
    if (equals_ignoring_case(args[i], "group")) i += 2;
    if (i < args.size() && equals_ignoring_case(args[i], "count")) ++i;
  }
  return {};
}

// Whether it may run at all; a refusal has been replied.
bool admitted(CommandContext& c, const ScriptCall& call) {
  if (call.flags & (script::kCompatible | script::kNoWrites)) return true;
  const engine::Status& refusal = c.server.engine().refusal();
  if (!refusal.ok()) {
    c.reply.error(
        "MISCONF Errors writing to the log: writable scripts are blocked. Use 'no-writes' flag for read only "
        "scripts. " +
        refusal.message());
    return false;
  }
  if (call.by_read_only_command) {
    c.reply.error("ERR Can not execute a script with write flag using *_ro command.");
    return false;
  }
  if (!(call.flags & script::kAllowOom) && memory_denied(c.server.settings())) {
    c.reply.error(
        "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'");
    return false;
  }
  return true;
}

}  // namespace

// ------------------------------------------------------------------ commands inside

ScriptRun::ScriptRun(CommandContext& c, std::string_view script_name)
    : context(c), name(script_name), started_us(c.server.env().clock.monotonic_us()) {
  seed_random(static_cast<int32_t>(c.random_seed));
}

void ScriptRun::seed_random(int32_t seed) { random_ = uint64_t{static_cast<uint32_t>(seed)} << 16 | 0x330e; }

int32_t ScriptRun::next_random() {
  random_ = (random_ * 0x5deece66d + 0xb) & ((uint64_t{1} << 48) - 1);
  return static_cast<int32_t>(random_ >> 17);
}

std::string ScriptRun::refuse(const Command* command, std::span<const std::string_view> args) {
  if (command == nullptr || command->handler == nullptr) return "Unknown Redis command called from script";
  if (!command->accepts(args.size())) return "Wrong number of args calling Redis command from script";
  Server& server = context.server;
  if ((command->flags & cmd::kNoScript) && !server.scripting().call_anything)
    return "This Redis command is not allowed from script";
  if (const auto error = authorize(server, context.client, *command, args, Place::kScript); !error.empty()) {
    if (!error.starts_with("NOAUTH"))  // That is not logged.
      context.effects->on_take_back([&log = server.acl().log] { log.take_back(); });
    return "-" + std::string(error);
  }
  if (command->flags & cmd::kBlocking) {
    if (const auto error = refuse_to_block(*command, args); !error.empty()) return error;
  }
  if (read_only && (command->flags & (cmd::kWrite | cmd::kMayReplicate)))
    return "Write commands are not allowed from read-only scripts.";
  if ((command->flags & cmd::kDenyOom) && !wrote && !allow_oom && memory_denied(server.settings()))
    return "-" + std::string(kOutOfMemory);
  if (!wrote) {
    if (const auto error = server.replication().refusal(command->flags); !error.empty())
      return "-" + std::string(error);
  }
  if ((command->flags & cmd::kWrite) && !wrote && !server.engine().refusal().ok())
    return "-MISCONF Errors writing to the log, writes are refused: " + server.engine().refusal().message();
  return {};
}

void ScriptRun::note_refusal(const Command* command, const std::string& refusal) {
  if (context.rehearsal) return;
  if (context.calls != nullptr)
    context.calls->at(context.calls->begin(nullptr)).error =
        refusal.starts_with('-') ? refusal : "-ERR " + refusal;
  if (command == nullptr) return;
  uint64_t& rejected = context.server.stats().by_command[command->id].rejected;
  ++rejected;
  context.effects->on_take_back([&rejected] { --rejected; });
}

std::string_view ScriptRun::call(std::span<const std::string_view> args, std::string* refusal) {
  const Command* command = context.server.table().find(args);
  *refusal = refuse(command, args);
  if (!refusal->empty()) {
    note_refusal(command, *refusal);
    return {};
  }
  if (command->flags & cmd::kWrite) wrote = true;
  output_.truncate(output_.begin_position());
  resp::ReplyWriter reply(output_, version);
  nested_call(context, *command, args, reply);
  std::array<std::string_view, 2> blocks;
  if (output_.blocks(blocks) == 1) return blocks[0];
  wire_ = output_.to_string();
  return wire_;
}

// ------------------------------------------------------------------ the run

void run_script(Interpreter& interpreter, Interrupt& interrupt, CommandContext& c, const ScriptCall& call) {
  if (!admitted(c, call)) return;
  c.view.prefetch_headers(c.database, call.keys);

  ScriptRun run(c, call.name);
  run.is_eval = call.is_eval;
  run.allow_oom = !(call.flags & script::kCompatible) && (call.flags & script::kAllowOom);
  run.read_only =
      call.by_read_only_command || (!(call.flags & script::kCompatible) && (call.flags & script::kNoWrites));
  const uint64_t mark = c.reply.mark();
  const JsonConfig json_before = interpreter.json;
  const auto end = [&] {
    lua_sethook(interpreter.lua(), nullptr, 0, 0);
    interpreter.run = nullptr;
    if (interpreter.json != json_before)
      c.effects->on_take_back([&interpreter, json_before] { interpreter.json = json_before; });
  };
  interpreter.run = &run;
  current_interrupt = &interrupt;
  std::string failure;
  try {
    failure = interpreter.protect([&](lua_State* lua) { call_in_lua(lua, run, call, c.reply); });
    end();
  } catch (const ScriptKilled& killed) {
    end();
    if (run.killed_for_good) throw StorageError{{engine::Code::kInvalid, "the server is shutting down"}};
    c.reply.rollback(mark);
    c.reply.error("ERR Script killed by user with SCRIPT KILL..." + killed.where);
  } catch (...) {
    end();
    throw;
  }
  if (!failure.empty()) {
    c.reply.rollback(mark);
    c.reply.error("ERR Error running script " + run.name + ", " + failure);
  }
  if (c.rehearsal) return;
  static int runs = 0;
  if (++runs % kRunsBetweenCollections == 0)
    interpreter.protect([](lua_State* lua) { lua_gc(lua, LUA_GCSTEP, kRunsBetweenCollections); });
}

}  // namespace server
