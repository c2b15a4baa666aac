// server/scripts/lib_cmsgpack.cc: the library `cmsgpack`: Lua values to and from MessagePack.
#include <bit>
#include <climits>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "server/scripts/libraries.h"

namespace server {
namespace {

constexpr int kNestingMax = 16;                        // Deeper tables are written as nil.
constexpr size_t kPackedBytesMax = size_t{512} << 20;  // No value may be longer.

// Whether x is a whole number of 64 bits.
bool is_int64(double x) { return x >= -0x1p63 && x < 0x1p63 && std::trunc(x) == x; }

// ------------------------------------------------------------------ packing

class Packer {
 public:
  explicit Packer(lua_State* lua) : lua_(lua) {}

  // Writes the value on top of the stack, and pops it.
  void value(int level) {
    if (out_.size() > kPackedBytesMax) luaL_error(lua_, "packed string too long");
    int type = lua_type(lua_, -1);
    if (type == LUA_TTABLE && level == kNestingMax) type = LUA_TNIL;
    switch (type) {
      case LUA_TSTRING: string(); break;
      case LUA_TBOOLEAN: byte(lua_toboolean(lua_, -1) ? 0xc3 : 0xc2); break;
      case LUA_TNUMBER: number(lua_tonumber(lua_, -1)); break;
      case LUA_TTABLE: table(level); break;
      default: byte(0xc0);
    }
    lua_pop(lua_, 1);
  }
  const std::string& out() const { return out_; }

 private:
  void byte(uint64_t b) { out_ += static_cast<char>(b); }
  void big_endian(uint64_t bits, int bytes) {
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) byte(bits >> shift & 0xff);
  }
  void tagged(uint64_t tag, uint64_t bits, int bytes) {
    byte(tag);
    big_endian(bits, bytes);
  }

  void string() {
    size_t length = 0;
    const char* text = lua_tolstring(lua_, -1, &length);
    if (length < 32)
      byte(0xa0 | length);
    else if (length <= 0xff)
      tagged(0xd9, length, 1);
    else if (length <= 0xffff)
      tagged(0xda, length, 2);
    else if (length <= 0xffffffff)
      tagged(0xdb, length, 4);
    else
      luaL_error(lua_, "packed string too long");
    out_.append(text, length);
  }

  void number(double x) {
    if (is_int64(x)) return integer(static_cast<int64_t>(x));
    const auto narrow = static_cast<float>(x);
    if (static_cast<double>(narrow) == x) return tagged(0xca, std::bit_cast<uint32_t>(narrow), 4);
    tagged(0xcb, std::bit_cast<uint64_t>(x), 8);
  }

  void integer(int64_t n) {
    const auto bits = static_cast<uint64_t>(n);
    if (n >= 0) {
      if (n <= 127) return byte(bits);
      if (n <= 0xff) return tagged(0xcc, bits, 1);
      if (n <= 0xffff) return tagged(0xcd, bits, 2);
      if (n <= 0xffffffff) return tagged(0xce, bits, 4);
      return tagged(0xcf, bits, 8);
    }
    if (n >= -32) return byte(bits & 0xff);
    if (n >= INT8_MIN) return tagged(0xd0, bits, 1);
    if (n >= INT16_MIN) return tagged(0xd1, bits, 2);
    if (n >= INT32_MIN) return tagged(0xd2, bits, 4);
    tagged(0xd3, bits, 8);
  }

  void header(uint64_t fixed, uint64_t wide, size_t count) {
    if (count <= 15)
      byte(fixed | count);
    else if (count <= 0xffff)
      tagged(wide, count, 2);
    else
      tagged(wide + 1, count, 4);
  }

  // How many elements a table has that is 1 to n and nothing else; -1 for any other.
  int array_size() {
    int count = 0, max = 0;
    luaL_checkstack(lua_, 2, "in function table_is_an_array");
    lua_pushnil(lua_);
    while (lua_next(lua_, -2)) {
      lua_pop(lua_, 1);
      const double n = lua_type(lua_, -1) == LUA_TNUMBER ? lua_tonumber(lua_, -1) : 0;
      if (!(n > 0 && n <= INT_MAX && std::trunc(n) == n)) {
        lua_pop(lua_, 1);
        return -1;
      }
      max = std::max(max, static_cast<int>(n));
      ++count;
    }
    return max == count ? count : -1;
  }

  void table(int level) {
    const int size = array_size();
    if (size >= 0) {
      header(0x90, 0xdc, static_cast<size_t>(size));
      luaL_checkstack(lua_, 1, "in function mp_encode_lua_table_as_array");
      for (int i = 1; i <= size; ++i) {
        lua_rawgeti(lua_, -1, i);
        value(level + 1);
      }
      return;
    }
    luaL_checkstack(lua_, 3, "in function mp_encode_lua_table_as_map");
    size_t count = 0;
    lua_pushnil(lua_);
    for (; lua_next(lua_, -2); ++count) lua_pop(lua_, 1);
    header(0x80, 0xde, count);
    lua_pushnil(lua_);
    while (lua_next(lua_, -2)) {
      lua_pushvalue(lua_, -2);
      value(level + 1);
      value(level + 1);
    }
  }

  lua_State* lua_;
  std::string out_;
};

int pack(lua_State* lua) {
  const int count = lua_gettop(lua);
  if (count == 0) return luaL_argerror(lua, 0, "MessagePack pack needs input.");
  if (!lua_checkstack(lua, 4)) return luaL_argerror(lua, 0, "Too many arguments for MessagePack pack.");
  Packer packer(lua);
  for (int i = 1; i <= count; ++i) {
    lua_pushvalue(lua, i);
    packer.value(0);
  }
  lua_pushlstring(lua, packer.out().data(), packer.out().size());
  return 1;
}

// ------------------------------------------------------------------ unpacking

class Unpacker {
 public:
  Unpacker(lua_State* lua, std::string_view bytes) : lua_(lua), bytes_(bytes) {}

  size_t left() const { return bytes_.size(); }

  // Pushes the next value. Errors are Lua's.
  void value() {
    luaL_checkstack(lua_, 1,
                    "too many return values at once; "
                    "use unpack_one or unpack_limit instead.");
    const uint8_t tag = next_byte();
    if (tag == 0xdc) return array(big_endian(2));
    if (tag == 0xdd) return array(big_endian(4));
    if (tag == 0xde) return map(big_endian(2));
    if (tag == 0xdf) return map(big_endian(4));
    if (tag >= 0x90 && tag < 0xa0) return array(tag & 0xf);
    if (tag >= 0x80 && tag < 0x90) return map(tag & 0xf);
    scalar(tag);
  }

 private:
  // What holds nothing else. Apart, as are the two below it, because value(), array() and map() call each
  // other as deeply as Lua has stack for, some 8000 times: what they keep on ours must be little in any
  // build.
  [[gnu::noinline]] void scalar(uint8_t tag) {
    switch (tag) {
      case 0xcc: return integer(static_cast<int64_t>(big_endian(1)));
      case 0xcd: return integer(static_cast<int64_t>(big_endian(2)));
      case 0xce: return integer(static_cast<int64_t>(big_endian(4)));
      case 0xcf: return integer(static_cast<int64_t>(big_endian(8)));
      case 0xd0: return integer(static_cast<int8_t>(big_endian(1)));
      case 0xd1: return integer(static_cast<int16_t>(big_endian(2)));
      case 0xd2: return integer(static_cast<int32_t>(big_endian(4)));
      case 0xd3: return integer(static_cast<int64_t>(big_endian(8)));
      case 0xc0: return lua_pushnil(lua_);
      case 0xc2: return lua_pushboolean(lua_, 0);
      case 0xc3: return lua_pushboolean(lua_, 1);
      case 0xca:
        return lua_pushnumber(
            lua_, static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(big_endian(4)))));
      case 0xcb: return lua_pushnumber(lua_, std::bit_cast<double>(big_endian(8)));
      case 0xd9: return string(big_endian(1));
      case 0xda: return string(big_endian(2));
      case 0xdb: return string(big_endian(4));
      default: break;
    }
    if (tag < 0x80) return integer(tag);
    if (tag >= 0xe0) return integer(static_cast<int8_t>(tag));
    if (tag >= 0xa0 && tag < 0xc0) return string(tag & 0x1f);
    luaL_error(lua_, "Bad data format in input.");
  }
  [[gnu::noinline]] uint8_t next_byte() { return static_cast<uint8_t>(take(1)[0]); }
  std::string_view take(uint64_t n) {
    if (n > bytes_.size()) luaL_error(lua_, "Missing bytes in input.");
    const std::string_view taken = bytes_.substr(0, static_cast<size_t>(n));
    bytes_.remove_prefix(static_cast<size_t>(n));
    return taken;
  }
  [[gnu::noinline]] uint64_t big_endian(size_t bytes) {
    uint64_t bits = 0;
    for (const char c : take(bytes)) bits = bits << 8 | static_cast<unsigned char>(c);
    return bits;
  }
  void integer(int64_t n) { lua_pushinteger(lua_, n); }
  void string(uint64_t length) {
    const std::string_view text = take(length);
    lua_pushlstring(lua_, text.data(), text.size());
  }
  // The announced count is not believed: a table grows with what really comes.
  void array(uint64_t count) {
    lua_newtable(lua_);
    luaL_checkstack(lua_, 2, "in function mp_decode_to_lua_array");
    for (uint64_t i = 1; i <= count; ++i) {
      value();
      lua_rawseti(lua_, -2, static_cast<int>(i));
    }
  }
  void map(uint64_t count) {
    lua_newtable(lua_);
    luaL_checkstack(lua_, 3, "in function mp_decode_to_lua_hash");
    for (; count > 0; --count) {
      value();
      value();
      lua_settable(lua_, -3);
    }
  }

  lua_State* lua_;
  std::string_view bytes_;
};

// Without a limit: all there is. With one: first the offset of the rest, -1 when there is none.
int unpack_some(lua_State* lua, lua_Integer limit, lua_Integer offset) {
  size_t length = 0;
  const char* data = luaL_checklstring(lua, 1, &length);
  const bool all = limit == 0 && offset == 0;
  if (offset < 0 || limit < 0) {
    return luaL_error(lua, "Invalid request to unpack with offset of %d and limit of %d.",
                      static_cast<int>(offset), static_cast<int>(length));
  }
  if (static_cast<size_t>(offset) > length) {
    return luaL_error(lua, "Start offset %d greater than input length %d.", static_cast<int>(offset),
                      static_cast<int>(length));
  }
  if (all) limit = INT_MAX;
  Unpacker unpacker(lua, {data + offset, length - static_cast<size_t>(offset)});
  int count = 0;
  for (; unpacker.left() > 0 && count < limit; ++count) unpacker.value();
  if (all) return count;
  luaL_checkstack(lua, 1, "in function mp_unpack_full");
  lua_pushinteger(lua, unpacker.left() == 0 ? -1 : static_cast<lua_Integer>(length - unpacker.left()));
  lua_insert(lua, 2);
  return count + 1;
}

int unpack(lua_State* lua) {
  luaL_checkstring(lua, 1);
  lua_settop(lua, 1);
  return unpack_some(lua, 0, 0);
}
int unpack_one(lua_State* lua) {
  const lua_Integer offset = luaL_optinteger(lua, 2, 0);
  luaL_checkstring(lua, 1);
  lua_settop(lua, 1);
  return unpack_some(lua, 1, offset);
}
int unpack_limit(lua_State* lua) {
  const lua_Integer limit = luaL_checkinteger(lua, 2);
  const lua_Integer offset = luaL_optinteger(lua, 3, 0);
  luaL_checkstring(lua, 1);
  lua_settop(lua, 1);
  return unpack_some(lua, limit, offset);
}

constexpr luaL_Reg kFunctions[] = {{"pack", pack},
                                   {"unpack", unpack},
                                   {"unpack_one", unpack_one},
                                   {"unpack_limit", unpack_limit},
                                   {nullptr, nullptr}};

}  // namespace

void open_cmsgpack(lua_State* lua) {
  lua_newtable(lua);
  luaL_register(lua, nullptr, kFunctions);
  const auto text = [&](const char* name, const char* value) {
    lua_pushstring(lua, value);
    lua_setfield(lua, -2, name);
  };
  text("_NAME", "cmsgpack");
  text("_VERSION", "lua-cmsgpack 0.4.0");
  text("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo");
  text("_DESCRIPTION", "MessagePack C implementation for Lua");
}

}  // namespace server
