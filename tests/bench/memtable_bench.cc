// What a memtable's and the record index's operations cost, in ns. Not a test: nothing here passes or fails.
//
//   g++ -std=c++20 -O2 -g -I. tests/bench/memtable_bench.cc engine/memtable*.cc engine/record_*.cc -lxxhash
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "engine/memtable.h"
#include "engine/record.h"
#include "engine/record_index.h"

namespace {

using engine::Iterator;
using engine::MemRecord;
using engine::Memtable;

// The thread's own time, so that others on the machine count for less.
double now_ns() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

template <typename F>
void measure(const char* what, size_t times, F&& f) {
  const double begin = now_ns();
  f();
  std::printf("  %-36s %8.1f ns\n", what, (now_ns() - begin) / static_cast<double>(times));
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

constexpr uint64_t kSeed = 1;

void record_index(const std::vector<std::string>& keys) {
  const size_t n = keys.size();
  std::vector<std::string> shuffled = keys;
  std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937_64(7));
  std::vector<uint64_t> hashes(n);
  for (size_t i = 0; i < n; ++i) hashes[i] = engine::hash_key(shuffled[i], kSeed);
  std::printf("record index, %zu keys of %zu bytes\n", n, keys[0].size());

  const std::string value(100, 'v');
  Memtable table(0);
  std::vector<MemRecord*> records;
  for (const auto& key : shuffled) records.push_back(table.put(key, value, engine::kPut, 1, nullptr));
  engine::RecordIndex index(1 << 30, kSeed);
  const auto timed = [&] {
    double worst = 0;
    for (size_t i = 0; i < n; ++i) {
      const double begin = now_ns();
      index.point_to(hashes[i], records[i]);
      worst = std::max(worst, now_ns() - begin);
    }
    std::printf("  %-36s %8.1f us\n", "slowest point_to", worst / 1000);
  };
  measure("point_to, growing (and the clock)", n, timed);
  std::printf("  %-36s %8.1f bytes\n", "slots of a record",
              static_cast<double>(index.bytes() - (16 << 20)) / static_cast<double>(n));
  const size_t few = std::min<size_t>(n, 1000);
  measure("find among 1000 keys", n, [&] {
    for (size_t i = 0; i < n; ++i) sum += index.find(hashes[i % few], shuffled[i % few])->lsn;
  });
  std::vector<uint32_t> order(n);
  for (size_t i = 0; i < n; ++i) order[i] = static_cast<uint32_t>(i);
  std::shuffle(order.begin(), order.end(), std::mt19937_64(8));
  measure("find among all", n, [&] {
    for (size_t i = 0; i < n; ++i) sum += index.find(hashes[order[i]], shuffled[order[i]])->lsn;
  });
  measure("find among all, prefetched 8 ahead", n, [&] {
    for (size_t i = 0; i < n; ++i) {
      if (i + 8 < n) index.prefetch(hashes[order[i + 8]]);
      sum += index.find(hashes[order[i]], shuffled[order[i]])->lsn;
    }
  });
  measure("find, absent", n, [&] {
    for (size_t i = 0; i < n; ++i)
      sum += index.find(hashes[order[i]] ^ 0x5555555555, shuffled[order[i]]) == nullptr;
  });
  measure("retire", n, [&] {
    for (size_t i = 0; i < n; ++i) {
      records[order[i]]->heat = 0;
      index.retire(hashes[order[i]], records[order[i]]);
    }
  });
  measure("cache", n, [&] {
    for (size_t i = 0; i < n; ++i) index.cache(hashes[order[i]], shuffled[order[i]], value, engine::kPut);
  });
  index.set_capacity(index.bytes() / 2);
  const size_t before = index.cached_records();
  measure("maintain, a half is evicted", n / 2, [&] { index.maintain(); });
  measure("cache, each evicting another", before, [&] {
    for (size_t i = 0; i < before; ++i) {
      const size_t k = order[i];
      if (index.find(hashes[k], shuffled[k]) == nullptr)
        index.cache(hashes[k], shuffled[k], value, engine::kPut);
      if (i % 16 == 0) index.maintain();
    }
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
  record_index(text);
  return sum == 1 ? 1 : 0;
}
