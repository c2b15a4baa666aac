// server/rdb/portion.h: a bounded part of a serialised data set, taken out of the bytes and not yet written.
//
// It owns what it holds, so that writing it can be tried again after a cold read while the bytes that it came
// from are gone. A large collection comes in many portions: in runs of which the first begins the key.
//
// Threads: any, one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/rdb/item.h"

namespace server::rdb {

// What follows each other of one key.
struct Run {
  uint64_t database = 0;  // As numbered there.
  std::string key;
  Type type = Type::kString;
  int64_t expiry_ms = kNoExpiry;
  bool first = true, last = false;
  std::vector<Item> items;
};

class Portion {
 public:
  static constexpr size_t kBytes = 256 << 10;
  static constexpr size_t kItems = 2048;

  std::vector<Run> runs;
  std::vector<std::string> functions;  // Code of libraries.

  bool empty() const { return runs.empty() && functions.empty(); }
  bool full() const { return bytes_ >= kBytes || items_ >= kItems; }
  void begin(Run run) {
    ++items_;
    bytes_ += run.key.size();
    runs.push_back(std::move(run));
  }
  // To the last run. What the item refers to is copied.
  void add(const Item& item) {
    Item& kept = runs.back().items.emplace_back(item);
    kept.name = keep(item.name);
    kept.value = keep(item.value);
    for (std::string_view& field : kept.fields) field = keep(field);
    items_ += 1 + item.fields.size();
  }
  void add_function(std::string_view code) {
    functions.emplace_back(code);
    bytes_ += code.size();
  }

 private:
  static constexpr size_t kChunkBytes = 16 << 10;
  std::string_view keep(std::string_view bytes) {
    if (bytes.empty()) return {};
    if (left_ < bytes.size()) {
      left_ = bytes.size() > kChunkBytes ? bytes.size() : kChunkBytes;
      chunks_.push_back(std::make_unique_for_overwrite<char[]>(left_));
      to_ = chunks_.back().get();
    }
    bytes.copy(to_, bytes.size());
    const std::string_view kept(to_, bytes.size());
    to_ += bytes.size();
    left_ -= bytes.size();
    bytes_ += bytes.size();
    return kept;
  }

  size_t bytes_ = 0, items_ = 0;
  std::vector<std::unique_ptr<char[]>> chunks_;
  char* to_ = nullptr;
  size_t left_ = 0;
};

}  // namespace server::rdb
