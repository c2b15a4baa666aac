// server/scripts/sandbox.h: what of Lua a script can reach, and what of that it can change: nothing.
//
// Lua 5.1 has no read-only tables, so a script is shown stand-ins. A stand-in is an empty table whose
// metatable reads from the real one and refuses writes:
//
//     stand-in {} ──metatable──▶ { __index = real, __newindex = refuse, mark = real }
//
// The functions that pass metatables by (next, rawget, rawset, setmetatable, table.insert …) know stand-ins
// by the mark. The metatables themselves are never handed out: getmetatable() of a stand-in or of a string
// gives a stand-in too. What remains: nothing a script does to the globals, to a library or to the methods of
// strings is seen by the next one.
//
// Not there, besides what Redis leaves out (files, print, package, os, debug, setfenv): newproxy, whose
// finalizers could run in somebody else's script; and collectgarbage() changes no settings.
//
// Threads: the reactor.
#pragma once

#include <lua.hpp>
#include <string_view>

#include "server/scripts/interpreter.h"

namespace server {

// Fills a new state: Lua's libraries and ours, and what `add_api` adds to the real table of globals, which is
// on top of the stack. Within protect().
void build_sandbox(lua_State* lua, void (*add_api)(lua_State* lua));

// Makes the table on top of the stack one where reading what is absent is an error.
void refuse_absent(lua_State* lua);
// Replaces the table on top of the stack by a stand-in for it.
void make_stand_in(lua_State* lua);
// Pushes the real table behind the stand-in at `index`; false: it is none, and nothing is pushed.
bool push_real(lua_State* lua, int index);

// The real table of globals: pushed.
void push_globals(lua_State* lua);
// What globals are read from, from now on: the table on top of the stack, popped; nil: the real ones.
void read_globals_from(lua_State* lua);

// As luaL_loadbuffer(), but for source only: what begins like compiled code is a syntax error.
int load_source(lua_State* lua, std::string_view source, const char* name);

}  // namespace server
