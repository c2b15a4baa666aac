// server/scripts/convert.h: replies to Lua values and back, by Redis's rules.
//
//     reply               RESP2                RESP3 (after redis.setresp(3))
//     status, error       {ok = s}, {err = s}  the same
//     null                false                nil
//     map, set                                 {map = {k = v}}, {set = {m = true}}
//     double              (a bulk string)      {double = x}
//     boolean                                  true, false
//     big number, verbatim                     {big_number = s}, {verbatim_string = {format =, string =}}
//
// Threads: the reactor.
#pragma once

#include <lua.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "resp/reply_writer.h"

namespace server {

// Pushes the reply at the beginning of `wire`, which one of our own commands wrote.
void push_reply(lua_State* lua, std::string_view wire);

// Pushes {err = text}. `text` may begin with "-CODE "; otherwise its code is ERR.
void push_error(lua_State* lua, std::string_view text);
// The same, raised. Does not return.
int raise_error(lua_State* lua, std::string_view text);

// Writes the value on top of the stack as the script's reply, and pops it. `script_version` is what the
// script asked for; the reply is in the version of the client.
void write_value(lua_State* lua, resp::ReplyWriter& reply, resp::Version script_version);

// What the error on top of the stack says: a text, or a table with fields err, source and line.
struct ScriptError {
  std::string text;  // With its code.
  std::optional<std::string> source;
  std::optional<std::string> line;
};
ScriptError error_at_top(lua_State* lua);

}  // namespace server
