// Varve's engine beside Debian's RocksDB and LevelDB: the same work, in one run, a process of its own for
// each.
//
//     varve-bench-engine [--records N] [--value-bytes N] [--rounds N] [--dir DIR] [--only NAME]
//
// Keys are 16 random bytes of hex, values half compressible; every engine gets 16 puts a commit, a log
// without sync, LZ4 (LevelDB: snappy), Bloom filters of 10 bits (Varve: its own, 12 in the last level and 16
// above), checksums verified, two background threads.
// Printed is the median of the rounds, which are interleaved; ratios are to the better of the two rivals.
// Cold reads go past the page cache where the engine can (Varve, RocksDB; LevelDB cannot), with 32 MB of
// cache. "written" is what the process handed to the disk by its own account (/proc/self/io), log included.
#include <fcntl.h>
#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine.h"
#include "engine/env_posix.h"
#include "engine/uv_executor.h"

namespace {

struct Settings {
  uint64_t records = 10'000'000;
  uint64_t value_bytes = 100;
  int rounds = 3;
  std::string directory = "/tmp/varve-bench";
  std::string only;
};

constexpr const char* kUsage = "Options: --records N, --value-bytes N, --rounds N, --dir DIR, --only NAME.";
constexpr uint64_t kWriteBuffer = 64 << 20;
constexpr uint64_t kCommit = 16;  // Puts a commit.
constexpr uint64_t kColdCache = 32 << 20;

uint64_t mix(uint64_t z) {
  z += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

std::string key_of(uint64_t n) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(mix(n)));
  return {text, 16};
}

// Half of each value is random, half repeats.
class Values {
 public:
  explicit Values(uint64_t bytes) : bytes_(bytes), pool_(1 << 20, '\0') {
    for (size_t i = 0; i < pool_.size(); i += 8) {
      const uint64_t random = mix(i);
      for (size_t j = 0; j < 8; ++j) pool_[i + j] = j < 4 ? static_cast<char>(random >> (8 * j)) : 'v';
    }
  }
  std::string_view of(uint64_t n) const {
    return std::string_view(pool_).substr(mix(n + 77) % (pool_.size() - bytes_), bytes_);
  }

 private:
  uint64_t bytes_;
  std::string pool_;
};

class Store {
 public:
  virtual ~Store() = default;
  virtual void put(uint64_t n, std::string_view value) = 0;
  virtual void commit() = 0;
  virtual void settle() = 0;  // Until no compaction is wanted.
  virtual bool get(const std::string& key, std::string* value) = 0;
  // The same, by a caller that may wait for the disk itself.
  virtual bool get_in_place(const std::string& key, std::string* value) { return get(key, value); }
  // All of key(0) .. key(count - 1), so many at a time; each must be there.
  using KeyOf = std::function<std::string(uint64_t)>;
  virtual void get_many(const KeyOf& key, uint64_t count, uint64_t at_a_time) = 0;
  virtual uint64_t seek(const std::string& key, int count) = 0;  // Bytes seen.
  virtual uint64_t scan() = 0;                                   // Records seen.
  virtual void reopen(uint64_t cache_bytes) = 0;
};

void fail(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::_Exit(1);
}

// As a server on such an engine does it: a thread for each read that is under way.
void get_by_threads(Store& store, const Store::KeyOf& key, uint64_t count, uint64_t at_a_time) {
  std::vector<std::thread> threads;
  for (uint64_t first = 0; first < at_a_time; ++first) {
    threads.emplace_back([&, first] {
      std::string value;
      for (uint64_t i = first; i < count; i += at_a_time)
        if (!store.get(key(i), &value)) fail("a key is missing");
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// The server's reactor, as far as the engine sees it: a loop that this thread turns.
class Reactor {
 public:
  static constexpr int kPool = 8;  // As in the server. libuv reads it once.

  explicit Reactor(int workers) {
    ::setenv("UV_THREADPOOL_SIZE", std::to_string(kPool).c_str(), 1);
    if (uv_loop_init(&loop_) != 0) fail("no loop");
    executor_ = std::make_unique<engine::UvExecutor>(&loop_, workers);
  }
  ~Reactor() {
    executor_->stop();
    uv_loop_close(&loop_);
  }
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  engine::Executor& executor() { return *executor_; }
  void poll() { uv_run(&loop_, UV_RUN_NOWAIT); }
  // Sleeps until something has happened; false if nothing is under way.
  bool wait() {
    const bool under_way = executor_->unfinished() > 0;
    uv_run(&loop_, under_way ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    return under_way;
  }

 private:
  uv_loop_t loop_;
  std::unique_ptr<engine::UvExecutor> executor_;
};

class VarveStore final : public Store {
 public:
  explicit VarveStore(const std::string& directory) : directory_(directory) {
    open(3ULL << 30, kWritingWorkers);
  }
  ~VarveStore() override { close(); }

  void put(uint64_t n, std::string_view value) override { batch_.put(key_of(n), value); }
  void commit() override {
    // As the server does for a turn: batches are applied one by one, the turn is one frame.
    while (engine_->admission(batch_.bytes().size(), false) != engine::Engine::Admission::kOpen) {
      if (engine_->admission(0, true) == engine::Engine::Admission::kRefused)
        fail(engine_->refusal().message());
      reactor_->wait();
      engine_->end_turn();
    }
    engine_->apply(batch_);
    batch_.clear();
    engine_->end_turn();
    reactor_->poll();
    if (++turns_ % 1024 == 0) engine_->tick();
  }
  void settle() override {
    bool flushed = false;
    engine_->flush([&](engine::Status) { flushed = true; });
    for (int quiet = 0; quiet < 20;) {
      engine_->tick();
      engine_->end_turn();
      const bool idle = !reactor_->wait();  // As a reactor does: what is done goes on at once.
      quiet = idle && flushed && engine_->stats().compaction_debt == 0 ? quiet + 1 : 0;
      if (idle) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  bool get(const std::string& key, std::string* value) override {
    engine::ReadContext context;
    return get(key, context, value);
  }
  bool get_in_place(const std::string& key, std::string* value) override {
    engine::ReadContext context;
    context.may_block();
    return get(key, context, value);
  }
  void get_many(const KeyOf& key, uint64_t count, uint64_t at_a_time) override {
    struct Read {
      std::string key;
      engine::ReadContext context;
    };
    std::vector<Read> reads(std::min(count, at_a_time));
    uint64_t begun = 0, ended = 0;
    // As the server's dispatcher: what has come is read, and the next one begun, where it came.
    std::function<void(Read&)> go_on = [&](Read& read) {
      for (;;) {
        const engine::Lookup found = engine_->get(read.key, read.context);
        if (found.state == engine::Lookup::State::kCold)
          return engine_->fetch(read.context, [&go_on, &read] { go_on(read); });
        if (found.state != engine::Lookup::State::kFound) fail("a key is missing");
        ++ended;
        end_of_read();
        if (begun == count) return;
        read.key = key(begun++);
        read.context = engine::ReadContext();
      }
    };
    for (Read& read : reads) {
      read.key = key(begun++);
      go_on(read);
    }
    while (ended < count) reactor_->wait();
  }
  uint64_t seek(const std::string& key, int count) override {
    engine::ReadContext context;
    for (;;) {
      uint64_t bytes = 0;
      const auto reader = engine_->reader(context);
      const auto records = reader->iterator(key, "");
      auto state = records->seek_first();
      for (int i = 0; i < count && state == engine::Iterator::State::kAt; ++i, state = records->next())
        bytes += records->key().size() + records->value().size();
      if (state != engine::Iterator::State::kCold) {
        end_of_read();
        return bytes;
      }
      fetch(context);
    }
  }
  uint64_t scan() override {
    const auto snapshot = engine_->snapshot();
    const auto reader = snapshot->reader();
    const auto records = reader->iterator("", "");
    uint64_t count = 0;
    for (auto state = records->seek_first(); state == engine::Iterator::State::kAt; state = records->next())
      ++count;
    return count;
  }
  void reopen(uint64_t cache_bytes) override {
    close();
    open(cache_bytes, kReadingWorkers);
  }

 private:
  // Of four workers two are for background work; the server has eight, seven of which may be reading.
  static constexpr int kWritingWorkers = 4, kReadingWorkers = 8;

  void open(uint64_t memory, int workers) {
    reactor_ = std::make_unique<Reactor>(workers);
    env_.emplace(engine::Env{files_, clock_, entropy_, reactor_->executor()});
    engine::EngineOptions options;
    options.directory = directory_;
    options.memory_bytes = memory + kWriteBuffer;
    options.memtable_bytes = kWriteBuffer;
    options.sync = engine::SyncPolicy::kNo;
    auto opened = engine::Engine::open(*env_, options, schema_, nullptr);
    if (!opened.ok()) fail(opened.status().message());
    engine_ = std::move(opened).value();
  }
  void close() {
    bool stopped = false;
    engine_->stop([&](engine::Status) { stopped = true; });
    while (!stopped) reactor_->wait();
    engine_.reset();
    reactor_.reset();
  }
  bool get(const std::string& key, engine::ReadContext& context, std::string* value) {
    for (;;) {
      const engine::Lookup found = engine_->get(key, context);
      if (found.state == engine::Lookup::State::kFound) {
        value->assign(found.value);
        end_of_read();
        return true;
      }
      if (found.state == engine::Lookup::State::kAbsent) {
        end_of_read();
        return false;
      }
      if (found.state == engine::Lookup::State::kFailed) fail("a read failed");
      fetch(context);
    }
  }
  void fetch(engine::ReadContext& context) {
    bool done = false;
    engine_->fetch(context, [&] { done = true; });
    while (!done) reactor_->wait();
  }
  void end_of_read() {
    if (++turns_ % 16 == 0) engine_->end_turn();
  }

  std::string directory_;
  engine::PosixFileSystem files_;
  engine::SystemClock clock_;
  engine::SystemEntropy entropy_;
  std::unique_ptr<Reactor> reactor_;
  std::optional<engine::Env> env_;
  engine::PlainSchema schema_;
  engine::Batch batch_;
  uint64_t turns_ = 0;
  std::unique_ptr<engine::Engine> engine_;
};

class RocksStore final : public Store {
 public:
  explicit RocksStore(const std::string& directory) : directory_(directory) { open(3ULL << 30, false); }
  ~RocksStore() override { delete db_; }

  void put(uint64_t n, std::string_view value) override {
    batch_.Put(key_of(n), rocksdb::Slice(value.data(), value.size()));
  }
  void commit() override {
    const auto status = db_->Write(rocksdb::WriteOptions(), &batch_);
    if (!status.ok()) fail(status.ToString());
    batch_.Clear();
  }
  void settle() override {
    db_->Flush(rocksdb::FlushOptions());
    for (int quiet = 0; quiet < 20;) {
      uint64_t pending = 0, running = 0, wanted = 0;
      db_->GetIntProperty("rocksdb.compaction-pending", &pending);
      db_->GetIntProperty("rocksdb.num-running-compactions", &running);
      db_->GetIntProperty("rocksdb.mem-table-flush-pending", &wanted);
      quiet = pending + running + wanted == 0 ? quiet + 1 : 0;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  bool get(const std::string& key, std::string* value) override {
    return db_->Get(rocksdb::ReadOptions(), key, value).ok();
  }
  void get_many(const KeyOf& key, uint64_t count, uint64_t at_a_time) override {
    get_by_threads(*this, key, count, at_a_time);
  }
  uint64_t seek(const std::string& key, int count) override {
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(rocksdb::ReadOptions()));
    uint64_t bytes = 0;
    it->Seek(key);
    for (int i = 0; i < count && it->Valid(); ++i, it->Next()) bytes += it->key().size() + it->value().size();
    return bytes;
  }
  uint64_t scan() override {
    rocksdb::ReadOptions options;
    options.readahead_size = 128 << 10;
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
    uint64_t count = 0;
    for (it->SeekToFirst(); it->Valid(); it->Next()) ++count;
    return count;
  }
  void reopen(uint64_t cache_bytes) override {
    delete db_;
    open(cache_bytes, true);
  }

 private:
  void open(uint64_t cache_bytes, bool direct) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = kWriteBuffer;
    options.compression = rocksdb::kLZ4Compression;
    options.level_compaction_dynamic_level_bytes = true;
    options.max_background_jobs = 2;
    options.use_direct_reads = direct;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(cache_bytes);
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    const auto status = rocksdb::DB::Open(options, directory_, &db_);
    if (!status.ok()) fail(status.ToString());
  }
  std::string directory_;
  rocksdb::DB* db_ = nullptr;
  rocksdb::WriteBatch batch_;
};

class LevelStore final : public Store {
 public:
  explicit LevelStore(const std::string& directory)
      : directory_(directory), filter_(leveldb::NewBloomFilterPolicy(10)) {
    open(3ULL << 30);
  }
  ~LevelStore() override { close(); }

  void put(uint64_t n, std::string_view value) override {
    batch_.Put(key_of(n), leveldb::Slice(value.data(), value.size()));
  }
  void commit() override {
    const auto status = db_->Write(leveldb::WriteOptions(), &batch_);
    if (!status.ok()) fail(status.ToString());
    batch_.Clear();
  }
  void settle() override {
    // LevelDB tells nobody whether it is compacting: wait until its files stand still.
    std::string last;
    for (int quiet = 0; quiet < 10;) {
      std::string now;
      db_->GetProperty("leveldb.stats", &now);
      quiet = now == last ? quiet + 1 : 0;
      last = now;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
  bool get(const std::string& key, std::string* value) override { return db_->Get(read_, key, value).ok(); }
  void get_many(const KeyOf& key, uint64_t count, uint64_t at_a_time) override {
    get_by_threads(*this, key, count, at_a_time);
  }
  uint64_t seek(const std::string& key, int count) override {
    const std::unique_ptr<leveldb::Iterator> it(db_->NewIterator(read_));
    uint64_t bytes = 0;
    it->Seek(key);
    for (int i = 0; i < count && it->Valid(); ++i, it->Next()) bytes += it->key().size() + it->value().size();
    return bytes;
  }
  uint64_t scan() override {
    const std::unique_ptr<leveldb::Iterator> it(db_->NewIterator(read_));
    uint64_t count = 0;
    for (it->SeekToFirst(); it->Valid(); it->Next()) ++count;
    return count;
  }
  void reopen(uint64_t cache_bytes) override {
    close();
    open(cache_bytes);
  }

 private:
  void open(uint64_t cache_bytes) {
    read_.verify_checksums = true;
    leveldb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = kWriteBuffer;
    options.max_file_size = 32 << 20;
    options.block_cache = cache_ = leveldb::NewLRUCache(cache_bytes);
    options.filter_policy = filter_;
    const auto status = leveldb::DB::Open(options, directory_, &db_);
    if (!status.ok()) fail(status.ToString());
  }
  void close() {
    delete db_;
    delete cache_;
  }
  std::string directory_;
  const leveldb::FilterPolicy* filter_;
  leveldb::Cache* cache_ = nullptr;
  leveldb::DB* db_ = nullptr;
  leveldb::ReadOptions read_;
  leveldb::WriteBatch batch_;
};

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

uint64_t bytes_written() {
  uint64_t bytes = 0;
  if (FILE* io = std::fopen("/proc/self/io", "r")) {
    char line[128];
    while (std::fgets(line, sizeof line, io))
      if (std::sscanf(line, "write_bytes: %lu", &bytes) == 1) break;
    std::fclose(io);
  }
  return bytes;
}

uint64_t directory_bytes(const std::string& directory) {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const auto extension = entry.path().extension();
    if (extension != ".vst" && extension != ".sst" && extension != ".ldb") continue;
    // Background work may delete a file between its listing and now.
    std::error_code gone;
    const uint64_t size = entry.file_size(gone);
    if (!gone) bytes += size;
  }
  return bytes;
}

void sync_and_drop_page_cache(const std::string& directory) {
  ::sync();
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const int file = ::open(entry.path().c_str(), O_RDONLY);
    if (file < 0) continue;
    ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    ::close(file);
  }
}

// One engine's round. Prints "name value" lines to `out`; time is told as operations a second and CPU
// microseconds an operation.
void round_of(Store& store, const Settings& settings, FILE* out) {
  const Values values(settings.value_bytes);
  const uint64_t n = settings.records;
  const double user_bytes = static_cast<double>(16 + settings.value_bytes);
  const auto timed = [&](const char* name, uint64_t operations, const std::function<void()>& work) {
    const double cpu = cpu_seconds();
    const auto start = Clock::now();
    work();
    const double seconds = seconds_since(start);
    std::fprintf(out, "%s/s %f\n", name, static_cast<double>(operations) / seconds);
    std::fprintf(out, "%s-cpu-us %f\n", name, (cpu_seconds() - cpu) * 1e6 / static_cast<double>(operations));
    std::fflush(out);
  };
  const auto write = [&](uint64_t operations, uint64_t salt, bool random_order) {
    for (uint64_t i = 0; i < operations; ++i) {
      store.put(random_order ? mix(i + salt) % n : i, values.of(i + salt));
      if (i % kCommit == kCommit - 1) store.commit();
    }
    store.commit();
    store.settle();
  };

  uint64_t before = bytes_written();
  timed("fill", n, [&] { write(n, 0, false); });
  ::sync();
  std::fprintf(out, "fill-written-per-byte %f\n",
               static_cast<double>(bytes_written() - before) / (user_bytes * static_cast<double>(n)));
  std::fprintf(
      out, "space-per-byte %f\n",
      static_cast<double>(directory_bytes(settings.directory)) / (user_bytes * static_cast<double>(n)));

  before = bytes_written();
  timed("overwrite", n / 2, [&] { write(n / 2, 1, true); });
  ::sync();
  std::fprintf(out, "overwrite-written-per-byte %f\n",
               static_cast<double>(bytes_written() - before) / (user_bytes * static_cast<double>(n) / 2));

  std::string value;
  const uint64_t reads = std::min<uint64_t>(n, 1'000'000);
  // Warm what is to be read: a tenth of the keys, every one once.
  const uint64_t hot = std::max<uint64_t>(n / 10, 1);
  for (uint64_t i = 0; i < hot; ++i)
    if (!store.get(key_of(i), &value)) fail("a key is missing");
  timed("cached-read", reads, [&] {
    for (uint64_t i = 0; i < reads; ++i)
      if (!store.get(key_of(mix(i) % hot), &value)) fail("a key is missing");
  });
  timed("absent-read", reads, [&] {
    for (uint64_t i = 0; i < reads; ++i)
      if (store.get(key_of(n + 1 + mix(i) % n), &value)) fail("a key is there that should not be");
  });
  const uint64_t seeks = reads / 10;
  for (uint64_t i = 0; i < seeks; ++i) store.seek(key_of(mix(i + 5) % hot), 10);
  timed("seek+10", seeks, [&] {
    for (uint64_t i = 0; i < seeks; ++i)
      if (store.seek(key_of(mix(i + 5) % hot), 10) == 0) fail("a seek found nothing");
  });
  uint64_t seen = 0;
  timed("scan", n, [&] { seen = store.scan(); });
  if (seen != n) fail("a scan saw " + std::to_string(seen) + " records");

  store.reopen(kColdCache);
  sync_and_drop_page_cache(settings.directory);
  const uint64_t cold = std::min<uint64_t>(n / 10, 50'000);
  timed("cold-read", cold, [&] {
    for (uint64_t i = 0; i < cold; ++i)
      if (!store.get(key_of(mix(i + 9) % n), &value)) fail("a key is missing");
  });
  // Others of the keys, as long reads do it on a worker: where a block is cold the caller itself reads it.
  timed("cold-read-in-place", cold, [&] {
    for (uint64_t i = 0; i < cold; ++i)
      if (!store.get_in_place(key_of(mix(i + 100'009) % n), &value)) fail("a key is missing");
  });
  // And others, a server's way.
  timed("cold-read-16-at-a-time", cold,
        [&] { store.get_many([n](uint64_t i) { return key_of(mix(i + 50'009) % n); }, cold, 16); });
}

using Figures = std::map<std::string, std::vector<double>>;

void run_in_child(const std::string& name, const Settings& settings, Figures* figures) {
  Settings own = settings;
  own.directory = settings.directory + "/" + name;
  std::filesystem::remove_all(own.directory);
  std::filesystem::create_directories(own.directory);
  int ends[2];
  if (::pipe(ends) != 0) fail("pipe");
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    FILE* out = ::fdopen(ends[1], "w");
    std::unique_ptr<Store> store;
    if (name == "varve") store = std::make_unique<VarveStore>(own.directory);
    if (name == "rocksdb") store = std::make_unique<RocksStore>(own.directory);
    if (name == "leveldb") store = std::make_unique<LevelStore>(own.directory);
    round_of(*store, own, out);
    store.reset();
    std::fclose(out);
    std::_Exit(0);
  }
  ::close(ends[1]);
  FILE* in = ::fdopen(ends[0], "r");
  char figure[64];
  double value = 0;
  while (std::fscanf(in, "%63s %lf", figure, &value) == 2) (*figures)[figure].push_back(value);
  std::fclose(in);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (status != 0) fail(name + " failed");
  std::filesystem::remove_all(own.directory);
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i];
    if (i + 1 == argc) fail("what does " + option + " want? " + kUsage);
    if (option == "--records")
      settings.records = std::strtoull(argv[i + 1], nullptr, 10);
    else if (option == "--value-bytes")
      settings.value_bytes = std::strtoull(argv[i + 1], nullptr, 10);
    else if (option == "--rounds")
      settings.rounds = std::atoi(argv[i + 1]);
    else if (option == "--dir")
      settings.directory = argv[i + 1];
    else if (option == "--only")
      settings.only = argv[i + 1];
    else
      fail("unknown option " + option + ". " + kUsage);
  }
  if (settings.rounds < 1 || settings.records < 1000) fail("at least one round of 1000 records");
  const std::vector<std::string> names{"varve", "rocksdb", "leveldb"};
  std::map<std::string, Figures> figures;
  for (int round = 0; round < settings.rounds; ++round) {
    for (const std::string& name : names) {
      if (!settings.only.empty() && settings.only != name) continue;
      std::fprintf(stderr, "round %d of %d: %s\n", round + 1, settings.rounds, name.c_str());
      run_in_child(name, settings, &figures[name]);
    }
  }
  std::printf("%lu records of 16 + %lu bytes, median of %d rounds\n", settings.records, settings.value_bytes,
              settings.rounds);
  std::printf("%-28s %12s %12s %12s %10s\n", "", "varve", "rocksdb", "leveldb", "ratio");
  for (const auto& [figure, unused] : figures.begin()->second) {
    const double varve = median(figures["varve"][figure]);
    const double rocks = median(figures["rocksdb"][figure]);
    const double level = median(figures["leveldb"][figure]);
    const bool more_is_better = figure.ends_with("/s");
    const double rival = more_is_better ? std::max(rocks, level) : std::min(rocks, level);
    std::printf("%-28s %12.2f %12.2f %12.2f %9.2fx\n", figure.c_str(), varve, rocks, level,
                rival > 0 ? varve / rival : 0);
  }
  return 0;
}
