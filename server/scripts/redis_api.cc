#include "server/scripts/redis_api.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <deque>
#include <exception>
#include <string>
#include <vector>

#include "server/acl/user.h"
#include "server/client.h"
#include "server/scripts/convert.h"
#include "server/scripts/script_run.h"
#include "server/scripts/sha1.h"
#include "server/server.h"
#include "server/version.h"

namespace server {
namespace {

constexpr int kReplicateAof = 1, kReplicateReplicas = 2;

// Null: no script runs; `what` says in an error what could not be done.
ScriptRun& run_of(lua_State* lua, const char* what) {
  ScriptRun* run = Interpreter::of(lua).run;
  if (run == nullptr) raise_error(lua, std::string(what) + " can only be called inside a script invocation");
  return *run;
}

// The arguments of redis.call(): texts stay where Lua has them, numbers are printed.
class Arguments {
 public:
  // False: they are none; then the error is on the stack.
  bool read(lua_State* lua) {
    const int count = lua_gettop(lua);
    if (count == 0) {
      push_error(lua, "Please specify at least one argument for this redis lib call");
      return false;
    }
    words_.reserve(static_cast<size_t>(count));
    for (int i = 1; i <= count; ++i) {
      if (lua_type(lua, i) == LUA_TNUMBER) {
        auto& digits = numbers_.emplace_back();
        const int length = std::snprintf(digits.data(), digits.size(), "%.17g", lua_tonumber(lua, i));
        words_.emplace_back(digits.data(), static_cast<size_t>(length));
      } else if (lua_type(lua, i) == LUA_TSTRING) {
        words_.push_back(text_at(lua, i));
      } else {
        push_error(lua, "Lua redis lib command arguments must be strings or integers");
        return false;
      }
    }
    return true;
  }
  const std::vector<std::string_view>& words() const { return words_; }

 private:
  std::vector<std::string_view> words_;
  std::deque<std::array<char, 32>> numbers_;
};

int call_command(lua_State* lua, bool raises) {
  Interpreter& interpreter = Interpreter::of(lua);
  interpreter.raise_if_left(lua);
  ScriptRun& run = run_of(lua, "redis.call/pcall");
  Arguments arguments;
  if (!arguments.read(lua)) return raises ? lua_error(lua) : 1;

  std::string refusal;
  std::string_view wire;
  std::exception_ptr left;
  try {
    wire = run.call(arguments.words(), &refusal);
  } catch (...) {  // Nothing of Lua's: run.call() does not come back to it.
    left = std::current_exception();
  }
  if (left) interpreter.leave(lua, std::move(left));
  lua_settop(lua, 0);
  if (!refusal.empty()) {
    push_error(lua, refusal);
    lua_pushboolean(lua, 1);
    lua_setfield(lua, -2, "ignore_error_stats_update");
    return raises ? lua_error(lua) : 1;
  }
  if (wire.empty()) wire = "+OK\r\n";  // A rehearsal (server/nested_call.h): it has not been done.
  push_reply(lua, wire);
  return raises && wire.starts_with('-') ? lua_error(lua) : 1;
}
int redis_call(lua_State* lua) { return call_command(lua, true); }
int redis_pcall(lua_State* lua) { return call_command(lua, false); }

int sha1hex(lua_State* lua) {
  if (lua_gettop(lua) != 1) return raise_error(lua, "wrong number of arguments");
  const std::string digits = lua_isstring(lua, 1) ? sha1_hex(text_at(lua, 1)) : sha1_hex("");
  lua_pushlstring(lua, digits.data(), digits.size());
  return 1;
}

int error_reply(lua_State* lua) {
  if (lua_gettop(lua) != 1 || lua_type(lua, 1) != LUA_TSTRING) {
    push_error(lua, "wrong number or type of arguments");
    return 1;
  }
  const std::string text = lua_tostring(lua, 1);
  push_error(lua, text.starts_with('-') ? text : "-" + text);
  return 1;
}

int status_reply(lua_State* lua) {
  if (lua_gettop(lua) != 1 || lua_type(lua, 1) != LUA_TSTRING) {
    push_error(lua, "wrong number or type of arguments");
    return 1;
  }
  lua_newtable(lua);
  lua_pushvalue(lua, 1);
  lua_setfield(lua, -2, "ok");
  return 1;
}

int set_repl(lua_State* lua) {
  run_of(lua, "redis.set_repl");
  if (lua_gettop(lua) != 1) return raise_error(lua, "redis.set_repl() requires two arguments.");
  const auto flags = static_cast<int>(lua_tointeger(lua, 1));
  if (flags & ~(kReplicateAof | kReplicateReplicas)) {
    return raise_error(lua, "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.");
  }
  return 0;  // What is written is in the log, and the log is what replicas follow.
}

int acl_check_cmd(lua_State* lua) {
  const ScriptRun& run = run_of(lua, "redis.acl_check_cmd");
  Arguments arguments;
  if (!arguments.read(lua)) return lua_error(lua);
  Server& server = run.context.server;
  const Command* command = server.table().find(arguments.words());
  if (command == nullptr) return raise_error(lua, "Invalid command passed to redis.acl_check_cmd()");
  lua_pushboolean(lua, run.context.client.session.user->check(*command, arguments.words()).allowed());
  return 1;
}

int log(lua_State* lua) {
  const int count = lua_gettop(lua);
  if (count < 2) return raise_error(lua, "redis.log() requires two arguments or more.");
  if (!lua_isnumber(lua, 1)) return raise_error(lua, "First argument must be a number (log level).");
  const double level = lua_tonumber(lua, 1);
  if (!(level > -1 && level < 4)) return raise_error(lua, "Invalid debug level.");
  std::string text;
  for (int i = 2; i <= count; ++i) {
    if (!lua_isstring(lua, i)) continue;
    if (i > 2) text += ' ';
    text += text_at(lua, i);
  }
  const auto rank = static_cast<LogLevel>(static_cast<int>(level));
  // While a library is loaded there is no run that could be taken back.
  if (ScriptRun* run = Interpreter::of(lua).run)
    run->context.effects->log(rank, std::move(text));
  else
    log_notice("%s", text.c_str());
  return 0;
}

int setresp(lua_State* lua) {
  ScriptRun& run = run_of(lua, "redis.setresp");
  if (lua_gettop(lua) != 1) return raise_error(lua, "redis.setresp() requires one argument.");
  const double version = std::trunc(lua_tonumber(lua, 1));
  if (version != 2 && version != 3) return raise_error(lua, "RESP version must be 2 or 3.");
  run.version = version == 2 ? resp::Version::kResp2 : resp::Version::kResp3;
  return 0;
}

int answer_true(lua_State* lua) {
  lua_pushboolean(lua, 1);
  return 1;
}
int answer_false(lua_State* lua) {
  lua_pushboolean(lua, 0);
  return 1;
}
int answer_nothing(lua_State*) { return 0; }

ScriptRun& random_run(lua_State* lua, const char* what) {
  ScriptRun* run = Interpreter::of(lua).run;
  if (run == nullptr) luaL_error(lua, "%s can only be called inside a script invocation", what);
  return *run;
}

// luaL_checkint() of a number that fits.
int random_bound(lua_State* lua, int index) {
  const double n = luaL_checknumber(lua, index);
  return n >= -2147483648.0 && n <= 2147483647.0 ? static_cast<int>(n)
                                                 : static_cast<int>(luaL_checkinteger(lua, index));
}

int math_random(lua_State* lua) {
  constexpr int32_t kMax = 2147483647;
  const double r = static_cast<double>(random_run(lua, "math.random").next_random() % kMax) / kMax;
  switch (lua_gettop(lua)) {
    case 0: lua_pushnumber(lua, r); return 1;
    case 1: {
      const int upper = random_bound(lua, 1);
      luaL_argcheck(lua, 1 <= upper, 1, "interval is empty");
      lua_pushnumber(lua, std::floor(r * upper) + 1);
      return 1;
    }
    case 2: {
      const int lower = random_bound(lua, 1), upper = random_bound(lua, 2);
      luaL_argcheck(lua, lower <= upper, 2, "interval is empty");
      lua_pushnumber(lua, std::floor(r * (static_cast<double>(upper) - lower + 1)) + lower);
      return 1;
    }
    default: return luaL_error(lua, "wrong number of arguments");
  }
}

int math_randomseed(lua_State* lua) {
  ScriptRun& run = random_run(lua, "math.randomseed");
  run.seed_random(random_bound(lua, 1));
  return 0;
}

void set_number(lua_State* lua, const char* name, int value) {
  lua_pushinteger(lua, value);
  lua_setfield(lua, -2, name);
}

// 7.0.15 as 0x0007000f.
int version_number() {
  int number = 0, part = 0;
  for (const char* at = kRedisVersion;; ++at) {
    if (*at >= '0' && *at <= '9') {
      part = part * 10 + (*at - '0');
      continue;
    }
    number = number << 8 | part;
    part = 0;
    if (*at == '\0') return number;
  }
}

// Adds `redis` to the table of globals on top of the stack.
void add_api(lua_State* lua, bool for_eval) {
  static constexpr luaL_Reg kFunctions[] = {
      {"call", redis_call},   {"pcall", redis_pcall},           {"setresp", setresp},
      {"sha1hex", sha1hex},   {"error_reply", error_reply},     {"status_reply", status_reply},
      {"set_repl", set_repl}, {"acl_check_cmd", acl_check_cmd}, {nullptr, nullptr}};
  static constexpr luaL_Reg kEvalFunctions[] = {{"breakpoint", answer_false},
                                                {"debug", answer_nothing},
                                                {"replicate_commands", answer_true},
                                                {nullptr, nullptr}};
  lua_newtable(lua);
  luaL_register(lua, nullptr, kFunctions);
  if (for_eval) luaL_register(lua, nullptr, kEvalFunctions);
  add_loading_api(lua);
  set_number(lua, "REPL_NONE", 0);
  set_number(lua, "REPL_AOF", kReplicateAof);
  set_number(lua, "REPL_SLAVE", kReplicateReplicas);
  set_number(lua, "REPL_REPLICA", kReplicateReplicas);
  set_number(lua, "REPL_ALL", kReplicateAof | kReplicateReplicas);
  lua_setfield(lua, -2, "redis");

  lua_getfield(lua, -1, "math");
  lua_pushcfunction(lua, math_random);
  lua_setfield(lua, -2, "random");
  lua_pushcfunction(lua, math_randomseed);
  lua_setfield(lua, -2, "randomseed");
  lua_pop(lua, 1);
}

}  // namespace

void add_loading_api(lua_State* lua) {
  lua_pushcfunction(lua, log);
  lua_setfield(lua, -2, "log");
  set_number(lua, "LOG_DEBUG", 0);
  set_number(lua, "LOG_VERBOSE", 1);
  set_number(lua, "LOG_NOTICE", 2);
  set_number(lua, "LOG_WARNING", 3);
  set_number(lua, "REDIS_VERSION_NUM", version_number());
  lua_pushstring(lua, kRedisVersion);
  lua_setfield(lua, -2, "REDIS_VERSION");
}

void add_eval_api(lua_State* lua) { add_api(lua, true); }
void add_function_api(lua_State* lua) { add_api(lua, false); }

}  // namespace server
