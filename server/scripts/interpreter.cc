#include "server/scripts/interpreter.h"

#include <cstdlib>
#include <new>
#include <utility>

#include "engine/status.h"

namespace server {

Interpreter::Interpreter(size_t memory_bytes_max)
    : memory_bytes_max_(memory_bytes_max), lua_(lua_newstate(&Interpreter::allocate, this)) {
  if (lua_ == nullptr) throw std::bad_alloc();
}

Interpreter::~Interpreter() { lua_close(lua_); }

Interpreter& Interpreter::of(lua_State* lua) {
  void* self = nullptr;
  lua_getallocf(lua, &self);
  return *static_cast<Interpreter*>(self);
}

void* Interpreter::allocate(void* self_pointer, void* block, size_t old_bytes, size_t new_bytes) {
  auto& self = *static_cast<Interpreter*>(self_pointer);
  if (new_bytes == 0) {
    std::free(block);
    self.memory_bytes_ -= old_bytes;
    return nullptr;
  }
  if (new_bytes > old_bytes && self.memory_bytes_ + (new_bytes - old_bytes) > self.memory_bytes_max_)
    return nullptr;
  void* moved = std::realloc(block, new_bytes);
  if (moved != nullptr) self.memory_bytes_ = self.memory_bytes_ - old_bytes + new_bytes;
  return moved;
}

std::string Interpreter::protect(const std::function<void(lua_State*)>& body) {
  const int status = lua_cpcall(
      lua_,
      [](lua_State* lua) {
        const auto* wanted = static_cast<const std::function<void(lua_State*)>*>(lua_touserdata(lua, 1));
        lua_settop(lua, 0);
        (*wanted)(lua);
        return 0;
      },
      const_cast<void*>(static_cast<const void*>(&body)));
  std::string error;
  if (status > 0) {
    error = lua_isstring(lua_, -1) ? std::string(text_at(lua_, -1)) : "execution failure";
    lua_pop(lua_, 1);
  } else if (status < 0) {
    lua_pop(lua_, 1);
    error = "not enough memory";  // The only thing that our own code throws through Lua.
  }
  if (left_) std::rethrow_exception(std::exchange(left_, nullptr));
  return error;
}

void Interpreter::leave(lua_State* lua, std::exception_ptr what) {
  left_ = std::move(what);
  lua_pushnil(lua);
  lua_error(lua);
  std::abort();  // lua_error() does not return.
}

std::string_view text_at(lua_State* lua, int index) {
  size_t length = 0;
  const char* text = lua_tolstring(lua, index, &length);
  return {text, length};
}

}  // namespace server
