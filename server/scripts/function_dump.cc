#include "server/scripts/function_dump.h"

#include "server/rdb/crc64.h"
#include "server/rdb/format.h"
#include "server/rdb/input.h"
#include "server/rdb/payload.h"

namespace server {
namespace {

constexpr uint8_t kLibraryOpcode = 245;
constexpr uint8_t kEarlyLibraryOpcode = 246;  // Of Redis 7.0's release candidates: name, engine, description.

void append_length(std::string& out, size_t length) {
  if (length < 1 << 6) {
    out += static_cast<char>(length);
  } else if (length < 1 << 14) {
    out += static_cast<char>(0x40 | length >> 8);
    out += static_cast<char>(length);
  } else {
    out += static_cast<char>(0x80);
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(length >> shift);
  }
}

}  // namespace

std::string dump_libraries(const Functions::Libraries& libraries) {
  std::string payload;
  for (const auto& [name, library] : libraries) {
    payload += static_cast<char>(kLibraryOpcode);
    append_length(payload, library.source.size());
    payload += library.source;
  }
  payload += static_cast<char>(rdb::kVersion);
  payload += '\0';
  const uint64_t checksum = rdb::crc64(0, payload);
  for (int shift = 0; shift < 64; shift += 8) payload += static_cast<char>(checksum >> shift);
  return payload;
}

std::string read_library_dump(std::string_view payload, std::vector<std::string>* sources) {
  const auto body = rdb::verified_payload(payload);
  if (!body) return "DUMP payload version or checksum are wrong";
  rdb::Input in(*body, rdb::kPayloadBytesMax);
  std::string scratch;
  while (!in.at_end()) {
    const uint8_t opcode = in.byte();
    if (opcode == kLibraryOpcode) {
      sources->emplace_back(in.string(&scratch));
    } else if (opcode == kEarlyLibraryOpcode) {
      const std::string name(in.string(&scratch));
      const std::string engine(in.string(&scratch));
      if (in.length() != 0) in.string(&scratch);
      sources->push_back("#!" + engine + " name=" + name + "\n" + std::string(in.string(&scratch)));
    } else {
      return "given type is not a function";
    }
    if (!in.ok()) return "Failed loading library payload";
    in.commit();
  }
  return {};
}

}  // namespace server
