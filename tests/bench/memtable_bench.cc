// What a memtable's and the record index's operations cost, in ns. Not a test: nothing here passes or fails.
//
//   g++ -std=c++20 -O2 -g -I. tests/bench/memtable_bench.cc engine/memtable*.cc engine/record_index*.cc
//   -lxxhash
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "engine/memtable.h"

namespace {

using engine::Iterator;
using engine::MemRecord;
using engine::Memtable;

template <typename F>
void measure(const char* what, size_t times, F&& f) {
  const auto begin = std::chrono::steady_clock::now();
  f();
  const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - begin;
  std::printf("  %-36s %8.1f ns\n", what, spent.count() / static_cast<double>(times));
}

uint64_t sum;  // Keeps what is read from being optimised away.

void memtable(const char* kind, const std::vector<std::string>& keys) {
  const std::string value(100, 'v');
  const size_t n = keys.size();
  std::vector<std::string> shuffled = keys;
  std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937_64(7));
  std::printf("memtable, %zu %s keys of %zu bytes\n", n, kind, keys[0].size());

  Memtable table(0);
  measure("insert", n, [&] {
    for (const auto& key : keys) table.put(key, value, engine::kPut, 1, nullptr);
  });
  std::printf("  %-36s %8.1f bytes\n", "overhead of a record (24 its head)",
              static_cast<double>(table.bytes()) / static_cast<double>(n) - 100 -
                  static_cast<double>(keys[0].size()));
  std::vector<MemRecord*> records;
  measure("find (tree walk)", n, [&] {
    for (const auto& key : shuffled) sum += table.find(key)->value_size;
  });
  measure("iterate", n, [&] {
    const auto it = table.iterator();
    for (auto s = it->seek_first(); s == Iterator::State::kAt; s = it->next())
      sum += it->key().size() + it->flags();
  });
  measure("iterate backwards", n, [&] {
    const auto it = table.iterator();
    for (auto s = it->seek_last(); s == Iterator::State::kAt; s = it->prev())
      sum += it->key().size() + it->flags();
  });
  measure("seek + 10", n / 10, [&] {
    const auto it = table.iterator();
    for (size_t i = 0; i < n / 10; ++i) {
      auto s = it->seek(shuffled[i]);
      for (int j = 0; j < 10 && s == Iterator::State::kAt; ++j) {
        sum += it->key().size();
        s = it->next();
      }
    }
  });
  for (const auto& key : shuffled) records.push_back(const_cast<MemRecord*>(table.find(key)));
  measure("overwrite in place, record known", n, [&] {
    for (size_t i = 0; i < n; ++i) table.put(shuffled[i], value, engine::kPut, 2, records[i]);
  });
  const auto view = table.view();
  measure("overwrite under a view (first time)", n, [&] {
    for (size_t i = 0; i < n; ++i) table.put(shuffled[i], value, engine::kPut, 3, records[i]);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const size_t n = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 500'000;
  std::mt19937_64 random(42);
  std::vector<std::string> binary(n);
  for (auto& key : binary) {
    const uint64_t halves[] = {random(), random()};
    key.assign(reinterpret_cast<const char*>(halves), sizeof halves);
  }
  memtable("random binary", binary);

  std::vector<std::string> text(n);
  for (size_t i = 0; i < n; ++i) {
    char key[32];
    std::snprintf(key, sizeof key, "H%c%c%c%ckey:%012zu", 0, 0, 0, 1, i);
    text[i].assign(key, 21);
  }
  memtable("rising, prefixed", text);
  std::shuffle(text.begin(), text.end(), random);
  memtable("shuffled, prefixed", text);
  return sum == 1 ? 1 : 0;
}
