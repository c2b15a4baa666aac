// server/scripts/libraries.h: the libraries that Redis gives to scripts besides Lua's own: bit, struct,
// cmsgpack and cjson. Each open function pushes its table.
//
// They behave as Redis 7.0's do, to the texts of errors, but share no code with them: sizes are checked
// before they are used, buffers grow by themselves, depth is bounded by what Lua's stack takes. They are made
// for Lua compiled as C++, where an error unwinds, so what they hold is freed.
//
// Threads: the reactor.
#pragma once

#include <lua.hpp>

namespace server {

void open_bit(lua_State* lua);
void open_struct(lua_State* lua);
void open_cmsgpack(lua_State* lua);

// What a script may set of cjson. It stays as set for the scripts that follow; a run that is taken back puts
// back what it found.
struct JsonConfig {
  bool sparse_convert = false;  // Whether a sparse array becomes an object rather than an error.
  int sparse_ratio = 2;
  int sparse_safe = 10;
  int encode_max_depth = 1000;
  int decode_max_depth = 1000;
  int encode_invalid_numbers = 0;  // 0: an error, 1: as they print, 2: null.
  bool decode_invalid_numbers = true;
  int number_precision = 14;
  bool keep_buffer = true;  // Remembered, without an effect.

  bool operator==(const JsonConfig&) const = default;
};
// `config` must live as long as the interpreter.
void open_cjson(lua_State* lua, JsonConfig* config);

}  // namespace server
