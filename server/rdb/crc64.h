// server/rdb/crc64.h: the checksum of Redis's files and of DUMP: CRC-64 of Jones, reflected, begun at 0.
//
// Threads: pure functions; any.
#pragma once

#include <cstdint>
#include <string_view>

namespace server::rdb {

// Of what gave `crc` followed by `bytes`. About a gigabyte a second.
uint64_t crc64(uint64_t crc, std::string_view bytes);

}  // namespace server::rdb
