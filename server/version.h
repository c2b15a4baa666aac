// server/version.h: who we are.
#pragma once

namespace server {

inline constexpr char kVarveVersion[] = "0.1.0";
// What clients may rely on: they choose their ways by this number.
inline constexpr char kRedisVersion[] = "7.0.15";

}  // namespace server
