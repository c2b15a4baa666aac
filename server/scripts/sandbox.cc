#include "server/scripts/sandbox.h"

#include <cstdint>
#include <string>

#include "server/scripts/libraries.h"

namespace server {
namespace {

// Keys of the registry and of metatables: their addresses.
char kMark, kGlobals, kGlobalsStandIn, kShown;

int refuse_write(lua_State* lua) { return luaL_error(lua, "Attempt to modify a readonly table"); }

int refuse_read(lua_State* lua) {
  if (lua_gettop(lua) != 2) return luaL_error(lua, "Wrong number of arguments to luaProtectedTableError");
  if (!lua_isstring(lua, 2)) {
    return luaL_error(lua, "Second argument to luaProtectedTableError must be a string or number");
  }
  return luaL_error(lua, "Script attempted to access nonexistent global variable '%s'", lua_tostring(lua, 2));
}

void push_registered(lua_State* lua, char* key) {
  lua_pushlightuserdata(lua, key);
  lua_rawget(lua, LUA_REGISTRYINDEX);
}

// Replaces a field of the table on top of the stack by a closure over the function that is there now.
void wrap(lua_State* lua, const char* field, lua_CFunction with) {
  lua_getfield(lua, -1, field);
  lua_pushcclosure(lua, with, 1);
  lua_setfield(lua, -2, field);
}
// The wrapped function, in this frame: Lua's own take no notice of whose frame it is.
int call_wrapped(lua_State* lua) { return lua_tocfunction(lua, lua_upvalueindex(1))(lua); }

// ------------------------------------------------------------------ what passes metatables by

int checked_write(lua_State* lua) {
  if (push_real(lua, 1)) {  // Without a place in the script: that is how Redis's clients know it.
    lua_pushliteral(lua, "Attempt to modify a readonly table");
    return lua_error(lua);
  }
  return call_wrapped(lua);
}

int real_next(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  lua_settop(lua, 2);
  if (push_real(lua, 1)) lua_replace(lua, 1);
  if (lua_next(lua, 1)) return 2;
  lua_pushnil(lua);
  return 1;
}

int real_pairs(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  lua_pushvalue(lua, lua_upvalueindex(1));
  lua_pushvalue(lua, 1);
  lua_pushnil(lua);
  return 3;
}

int real_rawget(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  luaL_checkany(lua, 2);
  lua_settop(lua, 2);
  if (push_real(lua, 1)) lua_replace(lua, 1);
  lua_rawget(lua, 1);
  return 1;
}

int shown_metatable(lua_State* lua) {
  luaL_checkany(lua, 1);
  if (push_real(lua, 1)) lua_replace(lua, 1);
  if (!lua_getmetatable(lua, 1)) {
    lua_pushnil(lua);
    return 1;
  }
  push_registered(lua, &kShown);
  lua_pushvalue(lua, -2);
  lua_rawget(lua, -2);
  if (!lua_isnil(lua, -1)) return 1;
  lua_pop(lua, 2);
  lua_pushliteral(lua, "__metatable");
  lua_rawget(lua, -2);
  if (lua_isnil(lua, -1)) lua_pop(lua, 1);
  return 1;
}

// From now on getmetatable() shows a stand-in for the metatable of the value on top of the stack.
void hide_metatable(lua_State* lua) {
  push_registered(lua, &kShown);
  if (lua_getmetatable(lua, -2)) {
    lua_pushvalue(lua, -1);
    make_stand_in(lua);
    lua_rawset(lua, -3);
  }
  lua_pop(lua, 1);
}

// ------------------------------------------------------------------ what stops errors

// As Redis's: an error that is a table with a text is given as the text.
int guarded_pcall(lua_State* lua) {
  luaL_checkany(lua, 1);
  lua_pushboolean(lua, 1);
  lua_insert(lua, 1);
  if (lua_pcall(lua, lua_gettop(lua) - 2, LUA_MULTRET, 0) != 0) {
    Interpreter::of(lua).raise_if_left(lua);
    if (lua_istable(lua, -1)) {
      lua_pushliteral(lua, "err");
      lua_rawget(lua, -2);
      if (lua_isstring(lua, -1))
        lua_replace(lua, -2);
      else
        lua_pop(lua, 1);
    }
    lua_pushboolean(lua, 0);
    lua_replace(lua, 1);
  }
  return lua_gettop(lua);
}

int guarded_handler(lua_State* lua) {
  if (Interpreter::of(lua).left()) return 1;
  lua_pushvalue(lua, lua_upvalueindex(1));
  lua_insert(lua, 1);
  lua_call(lua, lua_gettop(lua) - 1, 1);
  return 1;
}

int guarded_xpcall(lua_State* lua) {
  luaL_checkany(lua, 2);
  lua_settop(lua, 2);
  lua_pushcclosure(lua, guarded_handler, 1);
  lua_insert(lua, 1);
  const int status = lua_pcall(lua, 0, LUA_MULTRET, 1);
  if (status != 0) Interpreter::of(lua).raise_if_left(lua);
  lua_pushboolean(lua, status == 0);
  lua_replace(lua, 1);
  return lua_gettop(lua);
}

int guarded_resume(lua_State* lua) {
  const int results = call_wrapped(lua);
  Interpreter::of(lua).raise_if_left(lua);
  return results;
}

// ------------------------------------------------------------------ load

// In Lua's words for what it could not read.
int loaded(lua_State* lua, int status) {
  if (status == 0) return 1;
  Interpreter::of(lua).raise_if_left(lua);
  lua_pushnil(lua);
  lua_insert(lua, -2);
  return 2;
}

int load_string(lua_State* lua) {
  luaL_checkstring(lua, 1);
  const std::string_view source = text_at(lua, 1);
  return loaded(lua, load_source(lua, source, luaL_optstring(lua, 2, source.data())));
}

int load_pieces(lua_State* lua) {
  const char* name = luaL_optstring(lua, 2, "=(load)");
  luaL_checktype(lua, 1, LUA_TFUNCTION);
  lua_settop(lua, 3);
  lua_pushstring(lua, name);  // As in load_source().
  bool first = true;
  const auto read = [](lua_State* state, void* is_first, size_t* size) -> const char* {
    luaL_checkstack(state, 2, "too many nested functions");
    lua_pushvalue(state, 1);
    lua_call(state, 0, 1);
    if (lua_isnil(state, -1)) {
      *size = 0;
      return nullptr;
    }
    if (!lua_isstring(state, -1)) luaL_error(state, "reader function must return a string");
    lua_replace(state, 3);
    const std::string_view piece = text_at(state, 3);
    if (*static_cast<bool*>(is_first) && piece.starts_with(LUA_SIGNATURE[0]))
      luaL_error(state, "attempt to load chunk with wrong mode");
    *static_cast<bool*>(is_first) = *static_cast<bool*>(is_first) && piece.empty();
    *size = piece.size();
    return piece.data();
  };
  return loaded(lua, lua_load(lua, read, &first, name));
}

// Lua's own counts in 32 bits, and lets a range of more than 2^31 through.
int unpack_range(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  const auto first = static_cast<int>(luaL_optinteger(lua, 2, 1));
  const auto last = lua_isnoneornil(lua, 3) ? static_cast<int>(lua_objlen(lua, 1))
                                            : static_cast<int>(luaL_checkinteger(lua, 3));
  if (first > last) return 0;
  const int64_t count = int64_t{last} - first + 1;
  if (count > LUAI_MAXCSTACK || !lua_checkstack(lua, static_cast<int>(count)))
    return luaL_error(lua, "too many results to unpack");
  for (int64_t i = first; i <= last; ++i) lua_rawgeti(lua, 1, static_cast<int>(i));
  return static_cast<int>(count);
}

int collect_garbage(lua_State* lua) {
  static const char* const kWords[] = {"stop", "restart",  "collect",    "count",
                                       "step", "setpause", "setstepmul", nullptr};
  switch (luaL_checkoption(lua, 1, "collect", kWords)) {
    case 2: lua_pushinteger(lua, lua_gc(lua, LUA_GCCOLLECT, 0)); break;
    case 3: lua_pushnumber(lua, lua_gc(lua, LUA_GCCOUNT, 0) + lua_gc(lua, LUA_GCCOUNTB, 0) / 1024.0); break;
    case 4:
      lua_pushboolean(lua, lua_gc(lua, LUA_GCSTEP, static_cast<int>(luaL_optinteger(lua, 2, 0))));
      break;
    default: lua_pushinteger(lua, 0);  // Those would stay as set for all that follow.
  }
  return 1;
}

void open(lua_State* lua, const char* name, lua_CFunction library) {
  lua_pushcfunction(lua, library);
  lua_pushstring(lua, name);
  lua_call(lua, 1, 0);
}

}  // namespace

bool push_real(lua_State* lua, int index) {
  if (lua_type(lua, index) != LUA_TTABLE || !lua_getmetatable(lua, index)) return false;
  lua_pushlightuserdata(lua, &kMark);
  lua_rawget(lua, -2);
  lua_remove(lua, -2);
  if (lua_istable(lua, -1)) return true;
  lua_pop(lua, 1);
  return false;
}

void refuse_absent(lua_State* lua) {
  lua_newtable(lua);
  lua_pushcfunction(lua, refuse_read);
  lua_setfield(lua, -2, "__index");
  lua_setmetatable(lua, -2);
  hide_metatable(lua);
}

void make_stand_in(lua_State* lua) {
  lua_newtable(lua);  // real, stand-in
  lua_newtable(lua);
  lua_pushvalue(lua, -3);
  lua_setfield(lua, -2, "__index");
  lua_pushcfunction(lua, refuse_write);
  lua_setfield(lua, -2, "__newindex");
  lua_pushlightuserdata(lua, &kMark);
  lua_pushvalue(lua, -4);
  lua_rawset(lua, -3);
  lua_setmetatable(lua, -2);
  lua_replace(lua, -2);
}

void push_globals(lua_State* lua) { push_registered(lua, &kGlobals); }

void read_globals_from(lua_State* lua) {
  if (lua_isnil(lua, -1)) {
    lua_pop(lua, 1);
    push_globals(lua);
  }
  push_registered(lua, &kGlobalsStandIn);
  lua_getmetatable(lua, -1);
  lua_pushvalue(lua, -3);
  lua_setfield(lua, -2, "__index");
  lua_pushlightuserdata(lua, &kMark);
  lua_pushvalue(lua, -4);
  lua_rawset(lua, -3);
  lua_pop(lua, 3);
}

int load_source(lua_State* lua, std::string_view source, const char* name) {
  // The parser makes a string of the name and holds it nowhere where the collector would see it
  // (CVE-2025-49844): equal strings are one, and this one is on the stack.
  lua_pushstring(lua, name);
  int status = 0;
  if (!source.starts_with(LUA_SIGNATURE[0])) {
    status = luaL_loadbuffer(lua, source.data(), source.size(), name);
  } else {
    // Behind a blank it is text, and no text begins like that.
    const std::string text = " " + std::string(source);
    status = luaL_loadbuffer(lua, text.data(), text.size(), name);
  }
  lua_remove(lua, -2);
  return status;
}

void build_sandbox(lua_State* lua, void (*add_api)(lua_State* lua)) {
  open(lua, "", luaopen_base);
  open(lua, LUA_TABLIBNAME, luaopen_table);
  open(lua, LUA_STRLIBNAME, luaopen_string);
  open(lua, LUA_MATHLIBNAME, luaopen_math);

  lua_pushlightuserdata(lua, &kShown);
  lua_newtable(lua);
  lua_rawset(lua, LUA_REGISTRYINDEX);
  lua_pushlightuserdata(lua, &kGlobals);
  lua_pushvalue(lua, LUA_GLOBALSINDEX);
  lua_rawset(lua, LUA_REGISTRYINDEX);
  lua_pushvalue(lua, LUA_GLOBALSINDEX);

  for (const char* name : {"dofile", "loadfile", "print", "newproxy", "getfenv", "setfenv"}) {
    lua_pushnil(lua);
    lua_setfield(lua, -2, name);
  }
  wrap(lua, "rawset", checked_write);
  wrap(lua, "setmetatable", checked_write);
  const luaL_Reg replaced[] = {
      {"next", real_next},      {"rawget", real_rawget},    {"getmetatable", shown_metatable},
      {"pcall", guarded_pcall}, {"xpcall", guarded_xpcall}, {"loadstring", load_string},
      {"load", load_pieces},    {"unpack", unpack_range},   {"collectgarbage", collect_garbage}};
  for (const luaL_Reg& function : replaced) {
    lua_pushcfunction(lua, function.func);
    lua_setfield(lua, -2, function.name);
  }
  lua_getfield(lua, -1, "next");
  lua_pushcclosure(lua, real_pairs, 1);
  lua_setfield(lua, -2, "pairs");
  lua_getfield(lua, -1, "table");
  for (const char* name : {"insert", "remove", "sort"}) wrap(lua, name, checked_write);
  lua_pop(lua, 1);
  // coroutine.wrap() needs no guard: it passes errors on.
  lua_getfield(lua, -1, "coroutine");
  wrap(lua, "resume", guarded_resume);
  lua_pop(lua, 1);

  open_bit(lua);
  lua_setfield(lua, -2, "bit");
  open_struct(lua);
  lua_setfield(lua, -2, "struct");
  open_cmsgpack(lua);
  lua_setfield(lua, -2, "cmsgpack");
  open_cjson(lua, &Interpreter::of(lua).json);
  lua_setfield(lua, -2, "cjson");
  add_api(lua);

  for (const char* name :
       {"string", "table", "math", "coroutine", "bit", "struct", "cmsgpack", "cjson", "redis"}) {
    lua_getfield(lua, -1, name);
    make_stand_in(lua);
    lua_setfield(lua, -2, name);
  }
  // Methods of strings.
  lua_pushliteral(lua, "");
  lua_getmetatable(lua, -1);
  lua_getfield(lua, -3, "string");
  lua_setfield(lua, -2, "__index");
  lua_pop(lua, 1);
  hide_metatable(lua);
  lua_pop(lua, 1);

  refuse_absent(lua);
  lua_pushvalue(lua, -1);
  make_stand_in(lua);
  lua_pushlightuserdata(lua, &kGlobalsStandIn);
  lua_pushvalue(lua, -2);
  lua_rawset(lua, LUA_REGISTRYINDEX);
  lua_setfield(lua, -2, "_G");
  lua_pop(lua, 1);
  push_registered(lua, &kGlobalsStandIn);
  lua_replace(lua, LUA_GLOBALSINDEX);
}

}  // namespace server
