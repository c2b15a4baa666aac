// server/scripts/lib_struct.cc: the library `struct`: values to and from bytes, after a format.
//
//     > < big, little endian    ! alignment    x a zero byte     f d float, double
//     b h l T i<n> signed, B H L I<n> unsigned integers of 1, 2, 8, 8, n bytes     c<n> s strings
#include <algorithm>
#include <bit>
#include <cctype>
#include <climits>
#include <cstdint>
#include <cstring>
#include <string>

#include "server/scripts/libraries.h"

namespace server {
namespace {

constexpr int kIntegerBytesMax = 32;
constexpr int kAlignmentMax = 8;
constexpr size_t kPackedBytesMax = size_t{512} << 20;  // No value may be longer.

bool digit(char c) { return c >= '0' && c <= '9'; }

// A format being read.
struct Format {
  lua_State* lua;
  const char* at;
  bool big = false;
  size_t alignment = 1;

  int number(int otherwise) {
    if (!digit(*at)) return otherwise;
    int n = 0;
    for (; digit(*at); ++at) {
      const int next = *at - '0';
      if (n > INT_MAX / 10 || n * 10 > INT_MAX - next) luaL_error(lua, "integral size overflow");
      n = n * 10 + next;
    }
    return n;
  }

  size_t size_of(char option) {
    switch (option) {
      case 'B':
      case 'b':
      case 'x': return 1;
      case 'H':
      case 'h': return 2;
      case 'L':
      case 'l':
      case 'T':
      case 'd': return 8;
      case 'f': return 4;
      case 'c': return static_cast<size_t>(number(1));
      case 'i':
      case 'I': {
        const int n = number(4);
        if (n > kIntegerBytesMax)
          luaL_error(lua, "integral size %d is larger than limit of %d", n, kIntegerBytesMax);
        return static_cast<size_t>(n);
      }
      default: return 0;
    }
  }

  // How many bytes stand before what is aligned at `position`.
  size_t padding(size_t position, char option, size_t size) const {
    if (size == 0 || option == 'c') return 0;
    const size_t to = std::min(size, alignment);
    return (to - (position & (to - 1))) & (to - 1);
  }

  void control(char option) {
    switch (option) {
      case ' ': return;
      case '>': big = true; return;
      case '<': big = false; return;
      case '!': {
        const int n = number(kAlignmentMax);
        if (n <= 0 || (n & (n - 1)) != 0) luaL_error(lua, "alignment %d is not a power of 2", n);
        alignment = static_cast<size_t>(n);
        return;
      }
      default: luaL_argerror(lua, 1, lua_pushfstring(lua, "invalid format option '%c'", option));
    }
  }
};

bool integral(char option) { return std::strchr("bBhHlLTiI", option) != nullptr; }

// As C converts a double to a 64-bit integer on this machine, but defined for every double.
uint64_t to_bits(double n) {
  constexpr double kTwo63 = 9223372036854775808.0, kTwo64 = 18446744073709551616.0;
  if (n < 0) return n >= -kTwo63 ? static_cast<uint64_t>(static_cast<int64_t>(n)) : uint64_t{1} << 63;
  if (n < kTwo64) return static_cast<uint64_t>(n);
  return n != n ? uint64_t{1} << 63 : 0;
}

void append_integer(std::string& out, uint64_t value, size_t size, bool big) {
  char bytes[kIntegerBytesMax] = {};
  for (size_t i = 0; i < std::min<size_t>(size, 8); ++i)
    bytes[big ? size - 1 - i : i] = static_cast<char>(value >> (8 * i));
  out.append(bytes, size);
}

template <typename T>
void append_float(std::string& out, T value, bool big) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  if (big) std::reverse(bytes, bytes + sizeof(T));
  out.append(bytes, sizeof(T));
}

template <typename T>
T read_float(const char* data, bool big) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, data, sizeof(T));
  if (big) std::reverse(bytes, bytes + sizeof(T));
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

double read_integer(const char* data, size_t size, bool big, bool is_signed) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) {
    const auto byte = static_cast<unsigned char>(data[big ? i : size - 1 - i]);
    value = value << 8 | byte;
  }
  if (!is_signed) return static_cast<double>(value);
  if (size > 0 && size < 8 && (value >> (size * 8 - 1) & 1)) value |= ~uint64_t{0} << (size * 8 - 1);
  return static_cast<double>(static_cast<int64_t>(value));
}

int pack(lua_State* lua) {
  Format format{lua, luaL_checkstring(lua, 1)};
  std::string out;
  int arg = 2;
  while (*format.at != '\0') {
    const char option = *format.at++;
    const size_t size = format.size_of(option);
    out.append(format.padding(out.size(), option, size), '\0');
    if (integral(option)) {
      append_integer(out, to_bits(luaL_checknumber(lua, arg++)), size, format.big);
    } else if (option == 'x') {
      out += '\0';
    } else if (option == 'f') {
      append_float(out, static_cast<float>(luaL_checknumber(lua, arg++)), format.big);
    } else if (option == 'd') {
      append_float(out, luaL_checknumber(lua, arg++), format.big);
    } else if (option == 'c' || option == 's') {
      size_t length = 0;
      const char* text = luaL_checklstring(lua, arg++, &length);
      const size_t wanted = size == 0 ? length : size;
      luaL_argcheck(lua, length >= wanted, arg, "string too short");
      out.append(text, wanted);
      if (option == 's') out += '\0';
    } else {
      format.control(option);
    }
    if (out.size() > kPackedBytesMax) return luaL_error(lua, "packed string too long");
  }
  lua_pushlstring(lua, out.data(), out.size());
  return 1;
}

int unpack(lua_State* lua) {
  Format format{lua, luaL_checkstring(lua, 1)};
  size_t length = 0;
  const char* data = luaL_checklstring(lua, 2, &length);
  const lua_Integer from = luaL_optinteger(lua, 3, 1);
  luaL_argcheck(lua, from > 0, 3, "offset must be 1 or greater");
  size_t position = static_cast<size_t>(from) - 1;
  int results = 0;
  const auto check = [&](size_t size) {
    luaL_argcheck(lua, size <= length && position <= length - size, 2, "data string too short");
  };
  while (*format.at != '\0') {
    const char option = *format.at++;
    size_t size = format.size_of(option);
    position += format.padding(position, option, size);
    check(size);
    luaL_checkstack(lua, 2, "too many results");
    const char* at = data + position;
    if (integral(option)) {
      lua_pushnumber(lua, read_integer(at, size, format.big, option >= 'a'));
      ++results;
    } else if (option == 'f') {
      lua_pushnumber(lua, static_cast<double>(read_float<float>(at, format.big)));
      ++results;
    } else if (option == 'd') {
      lua_pushnumber(lua, read_float<double>(at, format.big));
      ++results;
    } else if (option == 'c') {
      if (size == 0) {
        if (results == 0 || !lua_isnumber(lua, -1)) luaL_error(lua, "format 'c0' needs a previous size");
        const double told = lua_tonumber(lua, -1);
        lua_pop(lua, 1);
        --results;
        luaL_argcheck(lua, told >= 0 && told <= static_cast<double>(length), 2, "data string too short");
        size = static_cast<size_t>(told);
        check(size);
      }
      lua_pushlstring(lua, at, size);
      ++results;
    } else if (option == 's') {
      const void* end = std::memchr(at, '\0', length - position);
      if (end == nullptr) luaL_error(lua, "unfinished string in data");
      size = static_cast<size_t>(static_cast<const char*>(end) - at) + 1;
      lua_pushlstring(lua, at, size - 1);
      ++results;
    } else if (option != 'x') {
      format.control(option);
    }
    position += size;
  }
  lua_pushinteger(lua, static_cast<lua_Integer>(position + 1));
  return results + 1;
}

int size(lua_State* lua) {
  Format format{lua, luaL_checkstring(lua, 1)};
  size_t position = 0;
  while (*format.at != '\0') {
    const char option = *format.at++;
    const size_t bytes = format.size_of(option);
    position += format.padding(position, option, bytes);
    if (option == 's') return luaL_argerror(lua, 1, "option 's' has no fixed size");
    if (option == 'c' && bytes == 0) return luaL_argerror(lua, 1, "option 'c0' has no fixed size");
    if (!std::isalnum(static_cast<unsigned char>(option))) format.control(option);
    position += bytes;
  }
  lua_pushinteger(lua, static_cast<lua_Integer>(position));
  return 1;
}

constexpr luaL_Reg kFunctions[] = {{"pack", pack}, {"unpack", unpack}, {"size", size}, {nullptr, nullptr}};

}  // namespace

void open_struct(lua_State* lua) {
  lua_newtable(lua);
  luaL_register(lua, nullptr, kFunctions);
}

}  // namespace server
