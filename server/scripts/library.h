// server/scripts/library.h: a library of functions: its source, and what it registers when it is run.
//
//     #!lua name=mylib
//     redis.register_function('f', function(keys, args) return #keys end)
//
// While a library is run it sees nothing but `redis`, and of that only register_function, log and constants;
// its functions see, when they are called, what scripts see.
//
// Threads: the reactor.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/scripts/interpreter.h"

namespace server {

struct LibraryFunction {
  std::string name;
  std::optional<std::string> description;
  uint32_t flags = 0;  // namespace script
  int callback = 0;    // Its reference in Lua's registry.
};

struct Library {
  std::string name;
  std::string source;  // With its first line.
  std::map<std::string, LibraryFunction, std::less<>> functions;
  // Whether its functions share variables of the library, which a call may leave otherwise than it found
  // them.
  bool keeps_state = false;
};

// What the first line says.
struct LibraryHead {
  std::string error;  // Without its code; empty: the rest is good.
  std::string name;
  size_t bytes = 0;  // How much of the source is not Lua.
};
LibraryHead read_library_head(std::string_view source);

// The interpreter for libraries, empty.
std::unique_ptr<Interpreter> make_library_interpreter(size_t memory_bytes_max);

// What is being loaded, for redis.register_function().
struct LibraryLoad {
  Library* library;
  uint64_t deadline_us;  // 0: none.
  const std::function<uint64_t()>& now_us;
};
// Runs the source. The error is without its code; then nothing of it is left. Empty: *library is filled.
std::string load_library(Interpreter& interpreter, std::string_view source, size_t head_bytes,
                         uint64_t timeout_us, const std::function<uint64_t()>& now_us, Library* library);
// Its functions go.
void unload_library(Interpreter& interpreter, const Library& library);

// Letters, digits and underscores, at least one.
bool is_function_name(std::string_view name);

}  // namespace server
