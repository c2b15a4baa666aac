// server/scripts/lib_bit.cc: the library `bit`: operations on numbers as 32-bit integers.
#include <array>
#include <bit>
#include <cstdint>

#include "server/scripts/libraries.h"

namespace server {
namespace {

// A number as 32 bits: rounded to an integer, modulo 2^32. Adding 2^52 + 2^51 leaves just that in the low
// bits.
uint32_t word(lua_State* lua, int index) {
  const double shifted = lua_tonumber(lua, index) + 6755399441055744.0;
  const auto bits = static_cast<uint32_t>(std::bit_cast<uint64_t>(shifted));
  if (bits == 0 && !lua_isnumber(lua, index)) luaL_typerror(lua, index, "number");
  return bits;
}

int result(lua_State* lua, uint32_t bits) {
  lua_pushnumber(lua, static_cast<int32_t>(bits));
  return 1;
}

template <typename Op>
int fold(lua_State* lua, Op op) {
  uint32_t bits = word(lua, 1);
  for (int i = lua_gettop(lua); i > 1; --i) bits = op(bits, word(lua, i));
  return result(lua, bits);
}

template <typename Op>
int shift(lua_State* lua, Op op) {
  const uint32_t bits = word(lua, 1);
  return result(lua, op(bits, static_cast<int>(word(lua, 2) & 31)));
}

int tobit(lua_State* lua) { return result(lua, word(lua, 1)); }
int bnot(lua_State* lua) { return result(lua, ~word(lua, 1)); }
int band(lua_State* lua) {
  return fold(lua, [](uint32_t a, uint32_t b) { return a & b; });
}
int bor(lua_State* lua) {
  return fold(lua, [](uint32_t a, uint32_t b) { return a | b; });
}
int bxor(lua_State* lua) {
  return fold(lua, [](uint32_t a, uint32_t b) { return a ^ b; });
}
int lshift(lua_State* lua) {
  return shift(lua, [](uint32_t bits, int by) { return bits << by; });
}
int rshift(lua_State* lua) {
  return shift(lua, [](uint32_t bits, int by) { return bits >> by; });
}
int arshift(lua_State* lua) {
  return shift(lua,
               [](uint32_t bits, int by) { return static_cast<uint32_t>(static_cast<int32_t>(bits) >> by); });
}
int rol(lua_State* lua) {
  return shift(lua, [](uint32_t bits, int by) { return std::rotl(bits, by); });
}
int ror(lua_State* lua) {
  return shift(lua, [](uint32_t bits, int by) { return std::rotr(bits, by); });
}
int bswap(lua_State* lua) { return result(lua, __builtin_bswap32(word(lua, 1))); }

int tohex(lua_State* lua) {
  uint32_t bits = word(lua, 1);
  // Wide enough to negate the smallest number there is: without that the length would stay negative.
  int64_t digits = lua_isnone(lua, 2) ? 8 : static_cast<int32_t>(word(lua, 2));
  const bool upper = digits < 0;
  if (upper) digits = -digits;
  if (digits > 8) digits = 8;
  std::array<char, 8> text;
  for (auto i = static_cast<size_t>(digits); i-- > 0; bits >>= 4)
    text[i] = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[bits & 15];
  lua_pushlstring(lua, text.data(), static_cast<size_t>(digits));
  return 1;
}

constexpr luaL_Reg kFunctions[] = {
    {"tobit", tobit}, {"bnot", bnot},     {"band", band},     {"bor", bor},         {"bxor", bxor},
    {"rol", rol},     {"lshift", lshift}, {"rshift", rshift}, {"arshift", arshift}, {"ror", ror},
    {"bswap", bswap}, {"tohex", tohex},   {nullptr, nullptr},
};

}  // namespace

void open_bit(lua_State* lua) {
  lua_newtable(lua);
  luaL_register(lua, nullptr, kFunctions);
}

}  // namespace server
