#include "server/scripts/library.h"

#include <algorithm>
#include <memory>
#include <set>

#include "engine/status.h"
#include "server/config/entry.h"
#include "server/scripts/convert.h"
#include "server/scripts/redis_api.h"
#include "server/scripts/sandbox.h"
#include "server/scripts/script_flags.h"
#include "server/scripts/script_run.h"
#include "server/units.h"

namespace server {
namespace {

char kLoadingGlobals;  // Its address is a key of the registry.
constexpr std::string_view kBadName =
    "Library names can only contain letters, numbers, or underscores(_) and must be at least one character "
    "long";

struct LoadTimeout {};

// ------------------------------------------------------------------ redis.register_function

int bad(lua_State* lua, std::string_view what) { return raise_error(lua, what); }

std::string string_argument(lua_State* lua, int index, const char* problem) {
  if (!lua_isstring(lua, index)) bad(lua, problem);
  return std::string(text_at(lua, index));
}

// Flags of the table at `index`, by name.
uint32_t read_flags(lua_State* lua, int index) {
  uint32_t flags = 0;
  for (int i = 1;; ++i) {
    lua_rawgeti(lua, index, i);
    if (lua_isnil(lua, -1)) break;
    uint32_t flag = 0;
    if (lua_isstring(lua, -1)) {
      for (const auto& known : script::kFlagNames)
        if (equals_ignoring_case(known.name, text_at(lua, -1))) flag = known.flag;
    }
    if (flag == 0) bad(lua, "unknown flag given");
    flags |= flag;
    lua_pop(lua, 1);
  }
  lua_pop(lua, 1);
  return flags;
}

// From a table of named arguments, which is the only thing on the stack; leaves the callback on top of it.
LibraryFunction read_named(lua_State* lua) {
  if (!lua_istable(lua, 1)) {
    bad(lua,
        "calling redis.register_function with a single argument is only applicable to Lua table "
        "(representing "
        "named arguments).");
  }
  LibraryFunction function;
  bool named = false;
  lua_pushnil(lua);  // 2: where the callback will be.
  lua_pushnil(lua);
  while (lua_next(lua, 1)) {
    if (!lua_isstring(lua, -2))
      bad(lua, "named argument key given to redis.register_function is not a string");
    // A number stays one: it is the key from which lua_next() goes on.
    const std::string_view key = lua_type(lua, -2) == LUA_TSTRING ? text_at(lua, -2) : "";
    const int value = lua_gettop(lua);
    if (equals_ignoring_case(key, "function_name")) {
      function.name = string_argument(
          lua, value, "function_name argument given to redis.register_function must be a string");
      named = true;
    } else if (equals_ignoring_case(key, "description")) {
      function.description = string_argument(
          lua, value, "description argument given to redis.register_function must be a string");
    } else if (equals_ignoring_case(key, "callback")) {
      if (!lua_isfunction(lua, value))
        bad(lua, "callback argument given to redis.register_function must be a function");
      lua_pushvalue(lua, value);
      lua_replace(lua, 2);
    } else if (equals_ignoring_case(key, "flags")) {
      if (!lua_istable(lua, value))
        bad(lua, "flags argument to redis.register_function must be a table representing function flags");
      function.flags = read_flags(lua, value);
    } else {
      bad(lua, "unknown argument given to redis.register_function");
    }
    lua_pop(lua, 1);
  }
  if (!named) bad(lua, "redis.register_function must get a function name argument");
  if (!lua_isfunction(lua, 2)) bad(lua, "redis.register_function must get a callback argument");
  lua_settop(lua, 2);
  return function;
}

int register_function(lua_State* lua) {
  LibraryLoad* load = Interpreter::of(lua).loading;
  if (load == nullptr) return bad(lua, "redis.register_function can only be called on FUNCTION LOAD command");
  LibraryFunction function;
  switch (lua_gettop(lua)) {
    case 1: function = read_named(lua); break;
    case 2:
      function.name = string_argument(lua, 1, "first argument to redis.register_function must be a string");
      if (!lua_isfunction(lua, 2))
        return bad(lua, "second argument to redis.register_function must be a function");
      break;
    default: return bad(lua, "wrong number of arguments to redis.register_function");
  }
  if (!is_function_name(function.name)) return bad(lua, kBadName);
  if (load->library->functions.contains(function.name))
    return bad(lua, "Function already exists in the library");
  function.callback = luaL_ref(lua, LUA_REGISTRYINDEX);
  load->library->functions.emplace(function.name, std::move(function));
  return 0;
}

void time_hook(lua_State* lua, lua_Debug*) {
  Interpreter& interpreter = Interpreter::of(lua);
  const LibraryLoad& load = *interpreter.loading;
  if (load.deadline_us != 0 && load.now_us() > load.deadline_us)
    interpreter.leave(lua, std::make_exception_ptr(LoadTimeout()));
}

// Whether the function on top of the stack, or one that it can reach by its variables, can reach anything but
// functions. Pops it.
bool reaches_state(lua_State* lua, std::set<const void*>& seen) {
  luaL_checkstack(lua, 2, "too many nested functions");
  bool found = false;
  if (seen.insert(lua_topointer(lua, -1)).second) {
    for (int i = 1; !found && lua_getupvalue(lua, -1, i) != nullptr; ++i) {
      if (lua_isfunction(lua, -1)) {
        found = reaches_state(lua, seen);
      } else {
        found = true;
        lua_pop(lua, 1);
      }
    }
  }
  lua_pop(lua, 1);
  return found;
}

void make_loading_globals(lua_State* lua) {
  lua_pushlightuserdata(lua, &kLoadingGlobals);
  lua_newtable(lua);
  lua_newtable(lua);
  lua_pushcfunction(lua, register_function);
  lua_setfield(lua, -2, "register_function");
  add_loading_api(lua);
  refuse_absent(lua);
  make_stand_in(lua);
  lua_setfield(lua, -2, "redis");
  refuse_absent(lua);
  lua_rawset(lua, LUA_REGISTRYINDEX);
}

}  // namespace

bool is_function_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

LibraryHead read_library_head(std::string_view source) {
  LibraryHead head;
  const auto fail = [&](std::string error) {
    head.error = std::move(error);
    return head;
  };
  if (!source.starts_with("#!")) return fail("Missing library metadata");
  const size_t end = source.find('\n');
  if (end == std::string_view::npos) return fail("Invalid library metadata");
  const auto words = split_words(source.substr(0, end));
  if (!words || words->empty()) return fail("Invalid library metadata");
  bool named = false;
  for (size_t i = 1; i < words->size(); ++i) {
    const std::string& word = (*words)[i];
    if (!equals_ignoring_case(std::string_view(word).substr(0, 5), "name="))
      return fail("Invalid metadata value given: " + word);
    if (named) return fail("Invalid metadata value, name argument was given multiple times");
    head.name = word.substr(5);
    named = true;
  }
  if (!named) return fail("Library name was not given");
  if (!is_function_name(head.name)) return fail(std::string(kBadName));
  const std::string engine = words->front().substr(2);
  if (!equals_ignoring_case(engine, "lua")) return fail("Engine '" + engine + "' not found");
  head.bytes = end;
  return head;
}

std::unique_ptr<Interpreter> make_library_interpreter(size_t memory_bytes_max) {
  auto interpreter = std::make_unique<Interpreter>(memory_bytes_max);
  const std::string error = interpreter->protect([](lua_State* lua) {
    build_sandbox(lua, add_function_api);
    make_loading_globals(lua);
  });
  INVARIANT(error.empty());
  return interpreter;
}

std::string load_library(Interpreter& interpreter, std::string_view source, size_t head_bytes,
                         uint64_t timeout_us, const std::function<uint64_t()>& now_us, Library* library) {
  LibraryLoad load{library, timeout_us == 0 ? 0 : now_us() + timeout_us, now_us};
  interpreter.loading = &load;
  std::string problem, failure;
  try {
    failure = interpreter.protect([&](lua_State* lua) {
      lua_pushlightuserdata(lua, &kLoadingGlobals);
      lua_rawget(lua, LUA_REGISTRYINDEX);
      read_globals_from(lua);
      if (load_source(lua, source.substr(head_bytes), "@user_function") != 0) {
        problem = "Error compiling function: " + std::string(text_at(lua, -1));
        return;
      }
      lua_sethook(lua, time_hook, LUA_MASKCOUNT, kInstructionsBetweenLooks);
      const int status = lua_pcall(lua, 0, 0, 0);
      lua_sethook(lua, nullptr, 0, 0);
      Interpreter::of(lua).raise_if_left(lua);
      if (status != 0) {
        problem = "Error registering functions: " + error_at_top(lua).text;
        return;
      }
      std::set<const void*> seen;
      for (const auto& [name, function] : library->functions) {
        lua_rawgeti(lua, LUA_REGISTRYINDEX, function.callback);
        library->keeps_state |= reaches_state(lua, seen);
      }
    });
  } catch (const LoadTimeout&) {
    problem = "Error registering functions: ERR FUNCTION LOAD timeout";
  }
  lua_sethook(interpreter.lua(), nullptr, 0, 0);
  interpreter.loading = nullptr;
  const std::string restored = interpreter.protect([](lua_State* lua) {
    lua_pushnil(lua);
    read_globals_from(lua);
  });
  INVARIANT(restored.empty());
  if (problem.empty() && !failure.empty()) problem = "Error registering functions: ERR " + failure;
  if (problem.empty() && library->functions.empty()) problem = "No functions registered";
  if (!problem.empty()) {
    unload_library(interpreter, *library);
    library->functions.clear();
  }
  return problem;
}

void unload_library(Interpreter& interpreter, const Library& library) {
  interpreter.protect([&](lua_State* lua) {
    for (const auto& [name, function] : library.functions)
      luaL_unref(lua, LUA_REGISTRYINDEX, function.callback);
  });
}

}  // namespace server
