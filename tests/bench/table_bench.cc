// tests/bench/table_bench.cc: what tables cost: building, point reads, seeks and scans with all blocks
// cached.
//
//     table_bench [entries = 1000000] [directory = /tmp]
//
// 16-byte random keys, 100-byte values half compressible. Times are of this thread's CPU.
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "engine/block_cache.h"
#include "engine/env_posix.h"
#include "engine/record.h"
#include "engine/table.h"
#include "engine/table_builder.h"

namespace {

using namespace engine;

constexpr uint64_t kSeed = 42;

template <typename T>
T must(Result<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.status().message().c_str());
    std::exit(1);
  }
  return std::move(*result);
}

double cpu_ns() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

// The best of three, in ns per operation.
template <typename F>
void measure(const char* what, uint64_t operations, F&& run) {
  double best = 1e18;
  for (int round = 0; round < 3; ++round) {
    const double start = cpu_ns();
    run();
    best = std::min(best, cpu_ns() - start);
  }
  std::printf("%-48s %8.1f ns\n", what, best / static_cast<double>(operations));
}

// The reactor's source: all blocks through the cache.
struct CachedSource final : BlockSource {
  explicit CachedSource(BlockCache& c) : cache(c) {}
  BlockRef block(const Table& table, uint32_t index) override {
    const BlockId id{table.meta().number, index};
    if (BlockRef found = cache.find(id)) return found;
    cache.insert(id, must(table.read_block(index)));
    return cache.find(id);
  }
  const Status& status() const override { return ok; }
  BlockCache& cache;
  Status ok;
};

uint64_t consumed = 0;  // Printed, so that nothing is optimised away.

bool point_get(const Table& table, BlockSource& source, const std::string& key) {
  const uint64_t hash = hash_key(key, kSeed);
  if (!table.may_contain(hash)) return false;
  const uint32_t index = table.find_block(key);
  if (index == table.blocks()) return false;
  const BlockRef block = source.block(table, index);
  const auto found = block->find(key, hash);
  if (!found) return false;
  consumed += found->value.size();
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t entries = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000000;
  const std::string path = std::string(argc > 2 ? argv[2] : "/tmp") + "/varve_table_bench";
  std::mt19937_64 random(1);
  const auto random_bytes = [&random](size_t n) {
    std::string s(n, '\0');
    for (char& c : s) c = static_cast<char>(random());
    return s;
  };
  std::vector<std::string> keys(entries);
  for (std::string& key : keys) key = random_bytes(16);
  std::sort(keys.begin(), keys.end());
  std::vector<std::string> values(1000);
  for (std::string& value : values) value = random_bytes(50) + std::string(50, 'v');

  PosixFileSystem files;
  TableMeta meta;
  const auto build = [&](Compression compression) {
    unlink(path.c_str());
    TableBuilder builder(must(files.open(path, OpenMode::kCreate, Caching::kKernel)), 1,
                         {.hash_seed = kSeed, .compression = compression});
    for (uint64_t i = 0; i < entries; ++i) {
      if (!builder.add(keys[i], values[i % values.size()], kPut).ok()) std::abort();
    }
    meta = must(builder.finish(1, 2));
  };
  measure("build, raw, per entry (write and sync included)", entries, [&] { build(Compression::kNone); });
  measure("build, lz4, per entry (write and sync included)", entries, [&] { build(Compression::kLz4); });

  const auto table = must(Table::open(files, path, meta, kSeed));
  std::printf("%-48s %8.1f bits a key\n", "index and filter in memory",
              static_cast<double>(table->memory_bytes()) * 8 / static_cast<double>(entries));
  std::printf("%-48s %8.3f of the data, %u blocks\n", "file",
              static_cast<double>(meta.file_bytes) / static_cast<double>(meta.data_bytes), table->blocks());

  measure("scan by a worker reading ahead, per entry", entries, [&] {
    const auto source = blocking_source(256 << 10);
    const auto it = table_iterator(table, *source);
    for (auto s = it->seek_first(); s == Iterator::State::kAt; s = it->next()) consumed += it->value().size();
  });

  BlockCache cache(uint64_t{8} << 30);
  CachedSource source(cache);
  measure("scan, blocks cached, per entry", entries, [&] {
    const auto it = table_iterator(table, source);
    for (auto s = it->seek_first(); s == Iterator::State::kAt; s = it->next()) consumed += it->key().size();
  });
  measure("scan backward, blocks cached, per entry", entries, [&] {
    const auto it = table_iterator(table, source);
    for (auto s = it->seek_last(); s == Iterator::State::kAt; s = it->prev()) consumed += it->key().size();
  });
  std::printf("%-48s %8.1f MB for %.1f MB of data\n", "block cache", static_cast<double>(cache.bytes()) / 1e6,
              static_cast<double>(meta.data_bytes) / 1e6);

  std::vector<std::string> shuffled = keys;
  std::shuffle(shuffled.begin(), shuffled.end(), random);
  const uint64_t probes = std::min<uint64_t>(entries, 500000);
  const std::vector<std::string> hot(shuffled.begin(),
                                     shuffled.begin() + static_cast<long>(std::min<uint64_t>(entries, 300)));
  measure("get, random over all (DRAM-cold)", probes, [&] {
    for (uint64_t i = 0; i < probes; ++i) consumed += point_get(*table, source, shuffled[i]);
  });
  measure("get, 300 hot keys (blocks in the CPU's cache)", probes, [&] {
    for (uint64_t i = 0; i < probes; ++i) consumed += point_get(*table, source, hot[i % hot.size()]);
  });
  std::vector<std::string> absent(100000);
  for (std::string& key : absent) key = random_bytes(16);
  measure("get, absent", absent.size(), [&] {
    for (const std::string& key : absent) consumed += point_get(*table, source, key);
  });
  measure("find_block, random", probes, [&] {
    for (uint64_t i = 0; i < probes; ++i) consumed += table->find_block(shuffled[i]);
  });
  measure("find_block, hot", probes, [&] {
    for (uint64_t i = 0; i < probes; ++i) consumed += table->find_block(hot[i % hot.size()]);
  });
  measure("seek and 10 next, a new iterator each", probes / 5, [&] {
    for (uint64_t i = 0; i < probes / 5; ++i) {
      const auto it = table_iterator(table, source);
      auto s = it->seek(shuffled[i]);
      for (int n = 0; n < 10 && s == Iterator::State::kAt; ++n) {
        consumed += it->key().size() + it->value().size();
        s = it->next();
      }
    }
  });
  const uint32_t reads = std::min<uint32_t>(table->blocks(), 20000);
  measure("read_block (read, verify, decompress, check)", reads, [&] {
    for (uint32_t i = 0; i < reads; ++i) consumed += must(table->read_block(i))->entries();
  });
  std::printf("(%llu)\n", static_cast<unsigned long long>(consumed));
  unlink(path.c_str());
}
