// server/scripts/lib_cjson.cc: the library `cjson`: Lua values to and from JSON.
#include <strings.h>
#include <climits>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "server/scripts/libraries.h"

namespace server {
namespace {

constexpr size_t kTextBytesMax = size_t{1} << 30;

// ------------------------------------------------------------------ encoding

class Encoder {
 public:
  Encoder(lua_State* lua, const JsonConfig& config) : lua_(lua), config_(config) {}

  // Writes the value on top of the stack, which stays there.
  void value(int depth) {
    if (out_.size() > kTextBytesMax) luaL_error(lua_, "not enough memory");
    switch (lua_type(lua_, -1)) {
      case LUA_TSTRING: return string(-1);
      case LUA_TNUMBER: return number(-1);
      case LUA_TBOOLEAN: out_ += lua_toboolean(lua_, -1) ? "true" : "false"; return;
      case LUA_TTABLE: return table(depth + 1);
      case LUA_TNIL: out_ += "null"; return;
      case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(lua_, -1) == nullptr) {
          out_ += "null";
          return;
        }
        break;
      default: break;
    }
    fail(-1, "type not supported");
  }
  const std::string& out() const { return out_; }

 private:
  void fail(int index, const char* reason) {
    luaL_error(lua_, "Cannot serialise %s: %s", lua_typename(lua_, lua_type(lua_, index)), reason);
  }

  void string(int index) {
    size_t length = 0;
    const char* text = lua_tolstring(lua_, index, &length);
    if (length > kTextBytesMax) luaL_error(lua_, "not enough memory");
    out_ += '"';
    for (size_t i = 0; i < length; ++i) {
      const char c = text[i];
      switch (c) {
        case '"': out_ += "\\\""; continue;
        case '\\': out_ += "\\\\"; continue;
        case '/': out_ += "\\/"; continue;
        case '\b': out_ += "\\b"; continue;
        case '\t': out_ += "\\t"; continue;
        case '\n': out_ += "\\n"; continue;
        case '\f': out_ += "\\f"; continue;
        case '\r': out_ += "\\r"; continue;
        default: break;
      }
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
        out_ += "\\u00";
        out_ += "0123456789abcdef"[c >> 4];
        out_ += "0123456789abcdef"[c & 15];
      } else {
        out_ += c;
      }
    }
    out_ += '"';
  }

  void number(int index) {
    const double x = lua_tonumber(lua_, index);
    if (!std::isfinite(x)) {
      if (config_.encode_invalid_numbers == 0) fail(index, "must not be NaN or Inf");
      if (config_.encode_invalid_numbers == 2) {
        out_ += "null";
        return;
      }
      if (std::isnan(x)) {
        out_ += "nan";
        return;
      }
    }
    char text[40];
    const int length = std::snprintf(text, sizeof(text), "%.*g", config_.number_precision, x);
    out_.append(text, static_cast<size_t>(length));
  }

  // The highest index of a table that has no other keys; -1 for any other, or for one that is too sparse.
  int array_size() {
    double max = 0;
    int items = 0;
    lua_pushnil(lua_);
    while (lua_next(lua_, -2) != 0) {
      const double k = lua_type(lua_, -2) == LUA_TNUMBER ? lua_tonumber(lua_, -2) : 0;
      lua_pop(lua_, 1);
      if (!(k >= 1 && std::floor(k) == k && k <= INT_MAX)) {
        lua_pop(lua_, 1);
        return -1;
      }
      max = std::max(max, k);
      ++items;
    }
    if (config_.sparse_ratio > 0 && max > static_cast<double>(items) * config_.sparse_ratio &&
        max > config_.sparse_safe) {
      if (!config_.sparse_convert) fail(-1, "excessively sparse array");
      return -1;
    }
    return static_cast<int>(max);
  }

  void table(int depth) {
    // A key, a value, and a text for an error.
    if (depth > config_.encode_max_depth || !lua_checkstack(lua_, 3))
      luaL_error(lua_, "Cannot serialise, excessive nesting (%d)", depth);
    const int size = array_size();
    if (size > 0)
      array(size, depth);
    else
      object(depth);
  }

  void array(int size, int depth) {
    out_ += '[';
    for (int i = 1; i <= size; ++i) {
      if (i > 1) out_ += ',';
      lua_rawgeti(lua_, -1, i);
      value(depth);
      lua_pop(lua_, 1);
    }
    out_ += ']';
  }

  void object(int depth) {
    out_ += '{';
    bool first = true;
    lua_pushnil(lua_);
    while (lua_next(lua_, -2) != 0) {
      if (!first) out_ += ',';
      first = false;
      switch (lua_type(lua_, -2)) {
        case LUA_TNUMBER:
          out_ += '"';
          number(-2);
          out_ += '"';
          break;
        case LUA_TSTRING: string(-2); break;
        default: fail(-2, "table key must be a number or string");
      }
      out_ += ':';
      value(depth);
      lua_pop(lua_, 1);
    }
    out_ += '}';
  }

  lua_State* lua_;
  const JsonConfig& config_;
  std::string out_;
};

// ------------------------------------------------------------------ decoding

enum class Token : unsigned char {
  kObjectBegin,
  kObjectEnd,
  kArrayBegin,
  kArrayEnd,
  kString,
  kNumber,
  kBoolean,
  kNull,
  kColon,
  kComma,
  kEnd,
  kError,
};
constexpr const char* kTokenNames[] = {"T_OBJ_BEGIN", "T_OBJ_END", "T_ARR_BEGIN", "T_ARR_END",
                                       "T_STRING",    "T_NUMBER",  "T_BOOLEAN",   "T_NULL",
                                       "T_COLON",     "T_COMMA",   "T_END",       "T_ERROR"};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = static_cast<char>(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Four digits; -1 if there are not so many. Stops at the zero byte that ends the text.
int hex4(const char* at) {
  int n = 0;
  for (int i = 0; i < 4; ++i) {
    const int digit = hex_digit(at[i]);
    if (digit < 0) return -1;
    n = n * 16 + digit;
  }
  return n;
}

void append_utf8(std::string& out, int point) {
  const auto put = [&](int byte) { out += static_cast<char>(byte); };
  if (point <= 0x7f) return put(point);
  if (point <= 0x7ff) {
    put(point >> 6 | 0xc0);
  } else {
    if (point <= 0xffff) {
      put(point >> 12 | 0xe0);
    } else {
      put(point >> 18 | 0xf0);
      put((point >> 12 & 0x3f) | 0x80);
    }
    put((point >> 6 & 0x3f) | 0x80);
  }
  put((point & 0x3f) | 0x80);
}

// Reads text that ends with a zero byte, as Lua's strings do; one within it ends it early.
class Decoder {
 public:
  Decoder(lua_State* lua, const JsonConfig& config, const char* text)
      : lua_(lua), config_(config), begin_(text), at_(text) {}

  void document() {
    next();
    value();
    next();
    if (token_ != Token::kEnd) unexpected("the end");
  }

 private:
  void unexpected(const char* wanted) {
    const char* found = token_ == Token::kError ? error_ : kTokenNames[static_cast<size_t>(token_)];
    luaL_error(lua_, "Expected %s but found %s at character %d", wanted, found,
               static_cast<int>(token_at_ + 1));
  }

  void fail(const char* what) {
    token_ = Token::kError;
    token_at_ = at_ - begin_;
    error_ = what;
  }

  void next() {
    while (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r') ++at_;
    token_at_ = at_ - begin_;
    const auto single = [&](Token token) {
      token_ = token;
      ++at_;
    };
    switch (*at_) {
      case '{': return single(Token::kObjectBegin);
      case '}': return single(Token::kObjectEnd);
      case '[': return single(Token::kArrayBegin);
      case ']': return single(Token::kArrayEnd);
      case ',': return single(Token::kComma);
      case ':': return single(Token::kColon);
      case '\0': token_ = Token::kEnd; return;
      case '"': return string();
      default: break;
    }
    if (*at_ == '-' || (*at_ >= '0' && *at_ <= '9')) {
      if (!config_.decode_invalid_numbers && is_invalid_number()) return fail("invalid number");
      return number();
    }
    if (word("true", Token::kBoolean)) {
      boolean_ = true;
    } else if (word("false", Token::kBoolean)) {
      boolean_ = false;
    } else if (!word("null", Token::kNull)) {
      const bool may_be_number = std::strchr("iInN+", *at_) != nullptr;
      if (may_be_number && config_.decode_invalid_numbers && is_invalid_number()) return number();
      fail("invalid token");
    }
  }

  bool word(const char* text, Token token) {
    const size_t length = std::strlen(text);
    if (std::strncmp(at_, text, length) != 0) return false;
    token_ = token;
    at_ += length;
    return true;
  }

  // What C reads as a number and JSON does not: +1, 0x1, 01, inf, nan.
  bool is_invalid_number() const {
    const char* p = at_;
    if (*p == '+') return true;
    if (*p == '-') ++p;
    if (*p == '0') return (p[1] | 0x20) == 'x' || (p[1] >= '0' && p[1] <= '9');
    if (*p <= '9') return false;
    return strncasecmp(p, "inf", 3) == 0 || strncasecmp(p, "nan", 3) == 0;
  }

  void number() {
    char* end = nullptr;
    number_ = std::strtod(at_, &end);
    if (end == at_) return fail("invalid number");
    token_ = Token::kNumber;
    at_ = end;
  }

  void string() {
    string_.clear();
    for (++at_; *at_ != '"';) {
      if (*at_ == '\0') return fail("unexpected end of string");
      if (*at_ != '\\') {
        string_ += *at_++;
        continue;
      }
      switch (at_[1]) {
        case '"':
        case '\\':
        case '/': string_ += at_[1]; break;
        case 'b': string_ += '\b'; break;
        case 't': string_ += '\t'; break;
        case 'n': string_ += '\n'; break;
        case 'f': string_ += '\f'; break;
        case 'r': string_ += '\r'; break;
        case 'u':
          if (!unicode()) return fail("invalid unicode escape code");
          continue;
        default: return fail("invalid escape code");
      }
      at_ += 2;
    }
    ++at_;
    token_ = Token::kString;
  }

  // At \uXXXX, or at two of them that make one character.
  bool unicode() {
    int point = hex4(at_ + 2);
    if (point < 0) return false;
    ptrdiff_t length = 6;
    if ((point & 0xf800) == 0xd800) {
      if (point & 0x400) return false;
      if (at_[6] != '\\' || at_[7] != 'u') return false;
      const int low = hex4(at_ + 8);
      if (low < 0 || (low & 0xfc00) != 0xdc00) return false;
      point = ((point & 0x3ff) << 10 | (low & 0x3ff)) + 0x10000;
      length = 12;
    }
    append_utf8(string_, point);
    at_ += length;
    return true;
  }

  // Pushes the value that the current token begins.
  void value() {
    switch (token_) {
      case Token::kString: lua_pushlstring(lua_, string_.data(), string_.size()); return;
      case Token::kNumber: lua_pushnumber(lua_, number_); return;
      case Token::kBoolean: lua_pushboolean(lua_, boolean_); return;
      case Token::kNull: lua_pushlightuserdata(lua_, nullptr); return;
      case Token::kObjectBegin: return object();
      case Token::kArrayBegin: return array();
      default: unexpected("value");
    }
  }

  void descend(int slots) {
    if (++depth_ <= config_.decode_max_depth && lua_checkstack(lua_, slots)) return;
    luaL_error(lua_, "Found too many nested data structures (%d) at character %d", depth_,
               static_cast<int>(at_ - begin_));
  }

  void object() {
    descend(3);
    lua_newtable(lua_);
    next();
    while (token_ != Token::kObjectEnd) {
      if (token_ != Token::kString) unexpected("object key string");
      lua_pushlstring(lua_, string_.data(), string_.size());
      next();
      if (token_ != Token::kColon) unexpected("colon");
      next();
      value();
      lua_rawset(lua_, -3);
      next();
      if (token_ == Token::kObjectEnd) break;
      if (token_ != Token::kComma) unexpected("comma or object end");
      next();
      if (token_ == Token::kObjectEnd) unexpected("object key string");
    }
    --depth_;
  }

  void array() {
    descend(2);
    lua_newtable(lua_);
    next();
    if (token_ != Token::kArrayEnd) {
      for (int i = 1;; ++i) {
        value();
        lua_rawseti(lua_, -2, i);
        next();
        if (token_ == Token::kArrayEnd) break;
        if (token_ != Token::kComma) unexpected("comma or array end");
        next();
      }
    }
    --depth_;
  }

  lua_State* lua_;
  const JsonConfig& config_;
  const char* begin_;
  const char* at_;
  int depth_ = 0;
  Token token_ = Token::kEnd;
  ptrdiff_t token_at_ = 0;
  const char* error_ = "";
  double number_ = 0;
  bool boolean_ = false;
  std::string string_;
};

// ------------------------------------------------------------------ the functions

JsonConfig& config_of(lua_State* lua) {
  return *static_cast<JsonConfig*>(lua_touserdata(lua, lua_upvalueindex(1)));
}

int encode(lua_State* lua) {
  luaL_argcheck(lua, lua_gettop(lua) == 1, 1, "expected 1 argument");
  Encoder encoder(lua, config_of(lua));
  encoder.value(0);
  lua_pushlstring(lua, encoder.out().data(), encoder.out().size());
  return 1;
}

int decode(lua_State* lua) {
  luaL_argcheck(lua, lua_gettop(lua) == 1, 1, "expected 1 argument");
  size_t length = 0;
  const char* text = luaL_checklstring(lua, 1, &length);
  if (length >= 2 && (text[0] == '\0' || text[1] == '\0'))
    luaL_error(lua, "JSON parser does not support UTF-16 or UTF-32");
  Decoder(lua, config_of(lua), text).document();
  return 1;
}

JsonConfig& settings_call(lua_State* lua, int args_max) {
  luaL_argcheck(lua, lua_gettop(lua) <= args_max, args_max + 1, "found too many arguments");
  lua_settop(lua, args_max);
  return config_of(lua);
}

void integer_setting(lua_State* lua, int index, int* setting, int min, int max) {
  if (!lua_isnil(lua, index)) {
    const lua_Integer value = luaL_checkinteger(lua, index);
    char problem[64];
    std::snprintf(problem, sizeof(problem), "expected integer between %d and %d", min, max);
    luaL_argcheck(lua, min <= value && value <= max, 1, problem);
    *setting = static_cast<int>(value);
  }
  lua_pushinteger(lua, *setting);
}

void switch_setting(lua_State* lua, int index, bool* setting) {
  static const char* const kWords[] = {"off", "on", nullptr};
  if (lua_isboolean(lua, index))
    *setting = lua_toboolean(lua, index);
  else if (!lua_isnil(lua, index))
    *setting = luaL_checkoption(lua, index, nullptr, kWords) == 1;
  lua_pushboolean(lua, *setting);
}

int encode_sparse_array(lua_State* lua) {
  JsonConfig& config = settings_call(lua, 3);
  switch_setting(lua, 1, &config.sparse_convert);
  integer_setting(lua, 2, &config.sparse_ratio, 0, INT_MAX);
  integer_setting(lua, 3, &config.sparse_safe, 0, INT_MAX);
  return 3;
}
int encode_max_depth(lua_State* lua) {
  integer_setting(lua, 1, &settings_call(lua, 1).encode_max_depth, 1, INT_MAX);
  return 1;
}
int decode_max_depth(lua_State* lua) {
  integer_setting(lua, 1, &settings_call(lua, 1).decode_max_depth, 1, INT_MAX);
  return 1;
}
int encode_number_precision(lua_State* lua) {
  integer_setting(lua, 1, &settings_call(lua, 1).number_precision, 1, 14);
  return 1;
}
int encode_keep_buffer(lua_State* lua) {
  switch_setting(lua, 1, &settings_call(lua, 1).keep_buffer);
  return 1;
}
int decode_invalid_numbers(lua_State* lua) {
  switch_setting(lua, 1, &settings_call(lua, 1).decode_invalid_numbers);
  return 1;
}
int encode_invalid_numbers(lua_State* lua) {
  static const char* const kWords[] = {"off", "on", "null", nullptr};
  int& setting = settings_call(lua, 1).encode_invalid_numbers;
  if (lua_isboolean(lua, 1))
    setting = lua_toboolean(lua, 1);
  else if (!lua_isnil(lua, 1))
    setting = luaL_checkoption(lua, 1, nullptr, kWords);
  if (setting == 2)
    lua_pushstring(lua, "null");
  else
    lua_pushboolean(lua, setting);
  return 1;
}

void push_module(lua_State* lua);

// A second module with settings of its own, which the functions hold.
int make_new(lua_State* lua) {
  auto* config = static_cast<JsonConfig*>(lua_newuserdata(lua, sizeof(JsonConfig)));
  *config = JsonConfig();
  push_module(lua);
  return 1;
}

// Requires: on top of the stack the settings, as userdata; they are replaced by the table.
void push_module(lua_State* lua) {
  static constexpr luaL_Reg kFunctions[] = {
      {"encode", encode},
      {"decode", decode},
      {"encode_sparse_array", encode_sparse_array},
      {"encode_max_depth", encode_max_depth},
      {"decode_max_depth", decode_max_depth},
      {"encode_number_precision", encode_number_precision},
      {"encode_keep_buffer", encode_keep_buffer},
      {"encode_invalid_numbers", encode_invalid_numbers},
      {"decode_invalid_numbers", decode_invalid_numbers},
      {"new", make_new},
  };
  lua_newtable(lua);
  for (const luaL_Reg& function : kFunctions) {
    lua_pushvalue(lua, -2);
    lua_pushcclosure(lua, function.func, 1);
    lua_setfield(lua, -2, function.name);
  }
  lua_remove(lua, -2);
  lua_pushlightuserdata(lua, nullptr);
  lua_setfield(lua, -2, "null");
  lua_pushliteral(lua, "cjson");
  lua_setfield(lua, -2, "_NAME");
  lua_pushliteral(lua, "2.1.0");
  lua_setfield(lua, -2, "_VERSION");
}

}  // namespace

void open_cjson(lua_State* lua, JsonConfig* config) {
  lua_pushlightuserdata(lua, config);
  push_module(lua);
}

}  // namespace server
