#include "server/scripts/convert.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "engine/status.h"
#include "server/scripts/interpreter.h"

namespace server {
namespace {

// ------------------------------------------------------------------ a reply to Lua

class ReplyReader {
 public:
  ReplyReader(lua_State* lua, std::string_view wire) : lua_(lua), wire_(wire) {}

  void value() {
    luaL_checkstack(lua_, 6, "reply nested too deeply");
    const char type = wire_[0];
    const std::string_view line = take_line();
    switch (type) {
      case ':': lua_pushnumber(lua_, static_cast<lua_Number>(integer(line))); return;
      case '$': bulk(line); return;
      case '+': field("ok", line); return;
      case '-':
        push_error(lua_, "-" + std::string(line));
        lua_pushboolean(lua_, 1);
        lua_setfield(lua_, -2, "ignore_error_stats_update");
        return;
      case '*': array(integer(line)); return;
      case '%': map(integer(line)); return;
      case '~': set(integer(line)); return;
      case '_': lua_pushnil(lua_); return;
      case '#': lua_pushboolean(lua_, line == "t"); return;
      case ',':
        lua_newtable(lua_);
        lua_pushnumber(lua_, std::strtod(std::string(line).c_str(), nullptr));
        lua_setfield(lua_, -2, "double");
        return;
      case '(': field("big_number", line); return;
      case '=': verbatim(integer(line)); return;
      case '|': {  // Scripts do not see attributes.
        for (int64_t i = 2 * integer(line); i > 0; --i) {
          value();
          lua_pop(lua_, 1);
        }
        return value();
      }
      default: break;
    }
    luaL_error(lua_, "a command replied with something unknown");
  }

 private:
  std::string_view take_line() {
    const size_t end = wire_.find("\r\n");
    if (end == std::string_view::npos) luaL_error(lua_, "a command replied with half a line");
    const std::string_view line = wire_.substr(1, end - 1);
    wire_.remove_prefix(end + 2);
    return line;
  }
  static int64_t integer(std::string_view digits) {
    int64_t n = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), n);
    return n;
  }
  std::string_view take_body(int64_t length) {
    const std::string_view body = wire_.substr(0, static_cast<size_t>(length));
    wire_.remove_prefix(std::min(wire_.size(), static_cast<size_t>(length) + 2));
    return body;
  }
  void field(const char* name, std::string_view text) {
    lua_newtable(lua_);
    lua_pushlstring(lua_, text.data(), text.size());
    lua_setfield(lua_, -2, name);
  }
  void bulk(std::string_view line) {
    const int64_t length = integer(line);
    if (length < 0) return lua_pushboolean(lua_, 0);
    const std::string_view body = take_body(length);
    lua_pushlstring(lua_, body.data(), body.size());
  }
  void array(int64_t count) {
    if (count < 0) return lua_pushboolean(lua_, 0);
    lua_createtable(lua_, static_cast<int>(std::min<int64_t>(count, 1 << 20)), 0);
    for (int64_t i = 1; i <= count; ++i) {
      value();
      lua_rawseti(lua_, -2, static_cast<int>(i));
    }
  }
  void map(int64_t count) {
    lua_newtable(lua_);
    lua_newtable(lua_);
    for (; count > 0; --count) {
      value();
      value();
      lua_settable(lua_, -3);
    }
    lua_setfield(lua_, -2, "map");
  }
  void set(int64_t count) {
    lua_newtable(lua_);
    lua_newtable(lua_);
    for (; count > 0; --count) {
      value();
      lua_pushboolean(lua_, 1);
      lua_settable(lua_, -3);
    }
    lua_setfield(lua_, -2, "set");
  }
  void verbatim(int64_t length) {
    const std::string_view body = take_body(length);  // "txt:text"
    lua_newtable(lua_);
    lua_newtable(lua_);
    lua_pushlstring(lua_, body.data() + 4, body.size() - 4);
    lua_setfield(lua_, -2, "string");
    lua_pushlstring(lua_, body.data(), 3);
    lua_setfield(lua_, -2, "format");
    lua_setfield(lua_, -2, "verbatim_string");
  }

  lua_State* lua_;
  std::string_view wire_;
};

// ------------------------------------------------------------------ Lua to a reply

// Pushes a field of the table on top of the stack, past its metatable; if it is not of this type it pushes
// nothing.
bool push_field(lua_State* lua, const char* name, int type) {
  lua_pushstring(lua, name);
  lua_rawget(lua, -2);
  if (lua_type(lua, -1) == type) return true;
  lua_pop(lua, 1);
  return false;
}

class ValueWriter {
 public:
  ValueWriter(lua_State* lua, resp::ReplyWriter& reply, resp::Version script_version)
      : lua_(lua), reply_(reply), script_version_(script_version) {}

  // Pops what it writes.
  void value() {
    if (!lua_checkstack(lua_, 4)) {
      reply_.error("ERR reached lua stack limit");
      lua_pop(lua_, 1);
      return;
    }
    switch (lua_type(lua_, -1)) {
      case LUA_TSTRING: reply_.bulk(text_at(lua_, -1)); break;
      case LUA_TBOOLEAN: boolean(lua_toboolean(lua_, -1)); break;
      case LUA_TNUMBER: reply_.integer(to_integer(lua_tonumber(lua_, -1))); break;
      case LUA_TTABLE: table(); break;
      default: reply_.null();
    }
    lua_pop(lua_, 1);
  }

 private:
  void boolean(bool b) {
    if (script_version_ == resp::Version::kResp3) return reply_.boolean(b);
    if (b)
      reply_.integer(1);
    else
      reply_.null();
  }

  // As C does on this machine, but defined for every double.
  static int64_t to_integer(double x) {
    return x >= -0x1p63 && x < 0x1p63 ? static_cast<int64_t>(x) : INT64_MIN;
  }

  // What a table means follows from the first of these fields that it has.
  void table() {
    if (push_field(lua_, "err", LUA_TSTRING)) {
      lua_pop(lua_, 1);
      return reply_.error(error_at_top(lua_).text);
    }
    if (push_field(lua_, "ok", LUA_TSTRING)) {
      reply_.simple(lua_tostring(lua_, -1));
    } else if (push_field(lua_, "double", LUA_TNUMBER)) {
      reply_.number(lua_tonumber(lua_, -1));
    } else if (push_field(lua_, "big_number", LUA_TSTRING)) {
      std::string digits(text_at(lua_, -1));
      std::replace_if(
          digits.begin(), digits.end(), [](char c) { return c == '\r' || c == '\n'; }, ' ');
      reply_.big_number(digits);
    } else if (verbatim()) {
      return;
    } else if (push_field(lua_, "map", LUA_TTABLE)) {
      const auto open = reply_.open_map();
      reply_.close(open, entries(true));
    } else if (push_field(lua_, "set", LUA_TTABLE)) {
      const auto open = reply_.open_set();
      reply_.close(open, entries(false));
    } else {
      const auto open = reply_.open_array();
      int count = 0;
      for (;; ++count) {
        lua_rawgeti(lua_, -1, count + 1);
        if (lua_isnil(lua_, -1)) break;
        value();
      }
      reply_.close(open, static_cast<size_t>(count));
    }
    lua_pop(lua_, 1);
  }

  bool verbatim() {
    if (!push_field(lua_, "verbatim_string", LUA_TTABLE)) return false;
    bool written = false;
    if (push_field(lua_, "format", LUA_TSTRING)) {
      std::string format(text_at(lua_, -1));
      format.resize(3, ' ');
      lua_pop(lua_, 1);
      if (push_field(lua_, "string", LUA_TSTRING)) {
        reply_.verbatim(format, text_at(lua_, -1));
        lua_pop(lua_, 1);
        written = true;
      }
    }
    lua_pop(lua_, 1);
    return written;
  }

  size_t entries(bool with_values) {
    size_t count = 0;
    lua_pushnil(lua_);
    for (; lua_next(lua_, -2); ++count) {
      if (!with_values) lua_pop(lua_, 1);
      lua_pushvalue(lua_, with_values ? -2 : -1);
      value();
      if (with_values) value();
    }
    return count;
  }

  lua_State* lua_;
  resp::ReplyWriter& reply_;
  resp::Version script_version_;
};

}  // namespace

void push_reply(lua_State* lua, std::string_view wire) { ReplyReader(lua, wire).value(); }

void push_error(lua_State* lua, std::string_view text) {
  std::string_view code = "ERR", message = text;
  if (text.starts_with('-')) {
    const size_t end = text.find(' ');
    if (end != std::string_view::npos) code = text.substr(1, end - 1);
    message = text.substr(end == std::string_view::npos ? 1 : end + 1);
  }
  while (!message.empty() && (message.back() == '\r' || message.back() == '\n')) message.remove_suffix(1);
  while (!message.empty() && (message.front() == '\r' || message.front() == '\n')) message.remove_prefix(1);
  const std::string line = std::string(code) + " " + std::string(message);
  lua_newtable(lua);
  lua_pushlstring(lua, line.data(), line.size());
  lua_setfield(lua, -2, "err");
}

int raise_error(lua_State* lua, std::string_view text) {
  push_error(lua, text);
  return lua_error(lua);
}

void write_value(lua_State* lua, resp::ReplyWriter& reply, resp::Version script_version) {
  ValueWriter(lua, reply, script_version).value();
}

ScriptError error_at_top(lua_State* lua) {
  ScriptError error;
  if (lua_isstring(lua, -1)) {
    error.text = "ERR " + std::string(lua_tostring(lua, -1));
    return error;
  }
  error.text = "ERR unknown error";
  if (!lua_istable(lua, -1)) return error;
  const auto text = [&](const char* name) -> std::optional<std::string> {
    lua_pushstring(lua, name);
    lua_rawget(lua, -2);
    std::optional<std::string> found;
    if (lua_isstring(lua, -1)) found = lua_tostring(lua, -1);
    lua_pop(lua, 1);
    return found;
  };
  if (auto err = text("err")) error.text = std::move(*err);
  error.source = text("source");
  error.line = text("line");
  return error;
}

}  // namespace server
