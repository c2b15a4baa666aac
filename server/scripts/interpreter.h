// server/scripts/interpreter.h: one Lua state, and the way out of it.
//
// What the view throws (ColdRead …) must not be seen by a script, nor stopped by its pcall. It does not
// travel through Lua as it is: it is kept here, a Lua error goes up in its place, and whatever in Lua could
// stop an error (pcall, xpcall, coroutines, load) raises it again while something is kept. protect() throws
// it once Lua has been left. A run that ends so leaves nothing behind.
//
//     handler ─▶ protect ─▶ script ─▶ pcall ─▶ redis.call ─▶ nested command: throws ColdRead
//        ▲          │ throw_left()      ▲ raise_if_left()      │ leave(): keeps it, raises
//        └──────────┘                   └──────────────────────┘
//
// Lua is compiled as C++: its errors unwind, so destructors run.
//
// Threads: the reactor.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <lua.hpp>
#include <string>
#include <string_view>

#include "server/scripts/libraries.h"

namespace server {

struct ScriptRun;
struct LibraryLoad;

class Interpreter {
 public:
  // Allocates at most `memory_bytes_max`: past that scripts get "not enough memory".
  explicit Interpreter(size_t memory_bytes_max);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  lua_State* lua() const { return lua_; }
  static Interpreter& of(lua_State* lua);
  size_t memory_bytes() const { return memory_bytes_; }

  // Calls `body`, which may use Lua in any way; the stack is afterwards as it was. Nothing of Lua may be
  // used outside of one. Empty: it went well; otherwise the text of the error that it did not catch.
  // Throws what leave() was given.
  std::string protect(const std::function<void(lua_State*)>& body);

  // Ends the run with `what`. Does not return.
  [[noreturn]] void leave(lua_State* lua, std::exception_ptr what);
  // For what has just stopped an error.
  void raise_if_left(lua_State* lua) {
    if (left_) [[unlikely]]
      lua_error(lua);
  }
  bool left() const { return left_ != nullptr; }

  ScriptRun* run = nullptr;        // What runs now.
  LibraryLoad* loading = nullptr;  // What is being loaded now.
  JsonConfig json;

 private:
  static void* allocate(void* self, void* block, size_t old_bytes, size_t new_bytes);

  const size_t memory_bytes_max_;
  size_t memory_bytes_ = 0;
  lua_State* lua_;
  std::exception_ptr left_;
};

// The text at an index, as lua_tolstring() has it; requires: it is a string or a number.
std::string_view text_at(lua_State* lua, int index);

}  // namespace server
