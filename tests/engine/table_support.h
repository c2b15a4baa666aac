// tests/engine/table_support.h: tables beside the ordered map that they must equal.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "engine/record.h"
#include "engine/sim_disk.h"
#include "engine/table.h"
#include "engine/table_builder.h"

namespace table_test {

using namespace engine;
using State = Iterator::State;

struct Entry {
  std::string value;
  uint8_t flags = kPut;
  bool operator==(const Entry&) const = default;
};
using Model = std::map<std::string, Entry>;

inline constexpr uint64_t kSeed = 0x5eed;
inline constexpr uint64_t kNumber = 7;
inline const std::string kPath = "db/000007.table";

inline TableMeta build(SimDisk& disk, const Model& model, TableOptions options = {}) {
  options.hash_seed = kSeed;
  REQUIRE(disk.make_directory("db").ok());
  if (*disk.exists(kPath)) REQUIRE(disk.remove(kPath).ok());
  auto file = disk.open(kPath, OpenMode::kCreate, Caching::kKernel);
  REQUIRE(file.ok());
  TableBuilder builder(std::move(*file), kNumber, options);
  for (const auto& [key, entry] : model) REQUIRE(builder.add(key, entry.value, entry.flags).ok());
  CHECK(builder.entries() == model.size());
  Result<TableMeta> meta = builder.finish(100, 200);
  REQUIRE(meta.ok());
  CHECK(builder.file_bytes() == meta->file_bytes);
  return *meta;
}

inline std::shared_ptr<const Table> opened(SimDisk& disk, const TableMeta& meta) {
  auto table = Table::open(disk, kPath, meta, kSeed);
  INFO(table.status().message());
  REQUIRE(table.ok());
  return *table;
}

// A point read as the engine does it.
inline std::optional<Entry> get(const Table& table, BlockSource& source, const std::string& key) {
  const uint64_t hash = hash_key(key, kSeed);
  if (!table.may_contain(hash)) return {};
  const uint32_t index = table.find_block(key);
  if (index == table.blocks()) return {};
  const BlockRef block = source.block(table, index);
  REQUIRE(block);
  const auto found = block->find(key, hash);
  if (!found) return {};
  return Entry{std::string(found->value), found->flags};
}

inline void check_at(const Iterator& it, const Model::value_type& expected) {
  REQUIRE(it.state() == State::kAt);
  CHECK(it.key() == expected.first);
  CHECK(it.value() == expected.second.value);
  CHECK(it.flags() == expected.second.flags);
}

// Every way of reading must give the model.
inline void check_equal(const std::shared_ptr<const Table>& table, const Model& model,
                        std::mt19937_64& random) {
  const auto source = blocking_source(0);
  const auto ahead = blocking_source(64 << 10);
  for (const auto& [key, entry] : model) {
    CAPTURE(key);
    REQUIRE(get(*table, *source, key) == entry);
  }
  auto it = table_iterator(table, *ahead);
  auto expected = model.begin();
  for (State s = it->seek_first(); s == State::kAt; s = it->next(), ++expected) {
    REQUIRE(expected != model.end());
    check_at(*it, *expected);
  }
  CHECK(it->state() == State::kEnd);
  CHECK(expected == model.end());

  auto backward = model.rbegin();
  for (State s = it->seek_last(); s == State::kAt; s = it->prev(), ++backward) {
    REQUIRE(backward != model.rend());
    check_at(*it, *backward);
  }
  CHECK(it->state() == State::kEnd);
  CHECK(backward == model.rend());

  // Seeks at keys of the model, and near them.
  for (const auto& pair : model) {
    if (model.size() > 300 && random() % (model.size() / 300) != 0) continue;
    std::string key = pair.first;
    switch (random() % 5) {
      case 0: break;
      case 1: key.push_back('\0'); break;
      case 2: key.pop_back(); break;
      case 3: key.back() = static_cast<char>(key.back() + 1); break;
      default: key.resize(1 + random() % key.size());
    }
    CAPTURE(key);
    const auto lower = model.lower_bound(key);
    it->seek(key);
    if (lower == model.end()) {
      REQUIRE(it->state() == State::kEnd);
    } else {
      check_at(*it, *lower);
      if (lower != model.begin()) {
        it->prev();
        check_at(*it, *std::prev(lower));
      } else {
        REQUIRE(it->prev() == State::kEnd);
      }
    }
    it->seek_before(key);
    if (lower == model.begin()) {
      REQUIRE(it->state() == State::kEnd);
    } else {
      check_at(*it, *std::prev(lower));
      if (lower == model.end()) {
        REQUIRE(it->next() == State::kEnd);
      } else {
        it->next();
        check_at(*it, *lower);
      }
    }
    if (!model.contains(key)) CHECK_FALSE(get(*table, *source, key).has_value());
  }
}

inline std::string random_bytes(std::mt19937_64& random, size_t length) {
  std::string bytes(length, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

inline std::string random_value(std::mt19937_64& random, size_t length) {  // Half compressible.
  return random_bytes(random, length / 2) + std::string(length - length / 2, 'v');
}

inline uint8_t random_flags(std::mt19937_64& random) {
  const auto roll = random() % 20;
  return roll == 0 ? kTombstone : roll == 1 ? kUnsettled : roll == 2 ? kTombstone | kUnsettled : kPut;
}

inline Model model_of_shape(const std::string& shape, std::mt19937_64& random, size_t count) {
  Model model;
  for (size_t i = 0; i < count; ++i) {
    std::string key;
    size_t length = random() % 200;
    if (shape == "random") {
      key = random_bytes(random, 16);
    } else if (shape == "sequential") {
      key = "user:" + std::to_string(100000 + i);
    } else if (shape == "binary") {  // Full of bytes that look like padding or the end of things.
      key = std::string(1 + random() % 20, '\0');
      for (char& c : key) c = "\0\0\0\1\xff"[random() % 5];
    } else if (shape == "long shared prefixes") {
      key = std::string(50, 'p') + std::to_string(random() % 5) + std::string(60, 'q') +
            std::to_string(random());
    } else if (shape == "short") {
      key = random_bytes(random, 1 + random() % 2);
    } else if (shape == "big values") {
      key = "k" + std::to_string(random() % 1000000);
      length = random() % 10 == 0 ? random() % (1 << 20) : random() % 9000;
    } else if (shape == "empty values") {
      key = std::to_string(random());
      length = 0;
    } else if (shape == "long keys") {
      key = random_bytes(random, 1 + random() % 20000);
    }
    const uint8_t flags = random_flags(random);
    model[key] = {(flags & kTombstone) != 0 ? "" : random_value(random, length), flags};
  }
  return model;
}

}  // namespace table_test
