// server/rdb/stream_writer.h: a stream in Redis's serialisation, written part by part.
//
// Redis wants to know first how many nodes there will be; where they end depends on what the entries hold. So
// the entries are walked twice, the first time only to count.
//
// Threads: those of the view. Not here: the bytes (server/rdb/stream_reader.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/types/stream_groups.h"

namespace server::rdb {

class StreamWriter {
 public:
  // Appends the next part, which may be empty; false: it was the last.
  bool next(View& view, Stream& stream, std::string* out);

 private:
  // A node ends with as many entries, or the entry with which it has as many bytes.
  static constexpr uint64_t kNodeEntries = 100, kNodeBytes = 4096;
  static constexpr uint64_t kPartEntries = 20'000, kPartBytes = 256 << 10;

  bool count_nodes(Stream& stream, std::string* out);
  bool write_nodes(Stream& stream, std::string* out);
  void write_state(Stream& stream, std::string* out);
  bool write_group(View& view, Stream& stream, std::string* out);

  enum class Phase : uint8_t { kCount, kNodes, kState, kGroups } phase_ = Phase::kCount;
  StreamId from_;  // The next entry to look at.
  uint64_t nodes_ = 0, node_entries_ = 0, node_bytes_ = 0;
  std::string group_;  // The last one written.
  bool any_group_ = false;
};

}  // namespace server::rdb
