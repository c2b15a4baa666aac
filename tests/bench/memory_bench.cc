// memory_bench: a data set that outgrows memory, loaded into a running server and read again, over hiredis.
//
//     varve-bench-memory --port 6379 --pid 1234 --bytes 4G --maxmemory 400M [--value 1024] [--loaders 2]
//                        [--seconds 10] [--slack 64M]
//
// Four parts: a hot key is read while nothing else happens; the data set is loaded with pipelined SETs, in
// random order, while the hot key is read on; then GETs, uniform and by Zipf's law (0.99), with 1, 16 and 64
// clients. The server's resident memory is sampled all the time. Each value can be told from all others and
// is half noise, half constant, so that it compresses to half; every reply is checked. The status is 1 if a
// reply is wrong or if memory went beyond maxmemory + slack.
//
// Latency of the hot key: one client sends every 2 ms (bench::Witness).
#include <hiredis/hiredis.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/watch.h"

namespace {

using bench::Clock;
using bench::Latencies;
using bench::Sampler;
using bench::us_since;

constexpr uint64_t kPipeline = 32;
constexpr double kZipfTheta = 0.99;
constexpr const char* kHotKey = "hot";

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "memory_bench: %s\n", why.c_str());
  std::exit(1);
}

uint64_t bytes_of(const char* text) {
  char* end = nullptr;
  const double number = std::strtod(text, &end);
  double unit = 1;
  if (*end == 'K' || *end == 'k') unit = 1 << 10;
  if (*end == 'M' || *end == 'm') unit = 1 << 20;
  if (*end == 'G' || *end == 'g') unit = 1 << 30;
  return static_cast<uint64_t>(number * unit);
}

struct Options {
  int port = 6379;
  int pid = 0;
  uint64_t bytes = uint64_t{4} << 30;
  uint64_t maxmemory = 400 << 20;
  uint64_t value = 1024;
  uint64_t loaders = 2;
  uint64_t seconds = 10;
  uint64_t slack = 64 << 20;
};

uint64_t mixed(uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

// ---- the data set

struct DataSet {
  uint64_t keys, value_bytes, step;

  DataSet(uint64_t the_keys, uint64_t the_value_bytes) : keys(the_keys), value_bytes(the_value_bytes) {
    step = keys * 5 / 8 + 1;
    while (std::gcd(step, keys) != 1) ++step;
  }
  // The i-th key to be written: every key once, no two neighbours after one another.
  uint64_t at(uint64_t i) const { return i * step % keys; }

  void key(uint64_t number, std::string* out) const {
    char text[40];
    // The hash comes first, so that numbers that are close are not.
    std::snprintf(text, sizeof text, "key:%08x%010llu", static_cast<unsigned>(mixed(number) >> 32),
                  static_cast<unsigned long long>(number));
    *out = text;
  }
  // Of each 32 bytes 16 are noise, a function of the number; the rest is dots.
  void value(uint64_t number, std::string* out) const {
    out->assign(value_bytes, '.');
    uint64_t state = number * 1024;
    for (size_t i = 0; i + 16 <= value_bytes; i += 32) {
      const uint64_t noise[2] = {mixed(state), mixed(state + 1)};
      std::memcpy(out->data() + i, noise, 16);
      state += 2;
    }
  }
};

// ---- connections

class Connection {
 public:
  explicit Connection(int port) {
    context_ = redisConnectWithTimeout("127.0.0.1", port, {10, 0});
    if (context_ == nullptr || context_->err != 0) fail("cannot connect");
    redisSetTimeout(context_, {60, 0});
  }
  ~Connection() { redisFree(context_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void send_set(const std::string& key, const std::string& value) {
    const char* words[] = {"SET", key.data(), value.data()};
    const size_t lengths[] = {3, key.size(), value.size()};
    redisAppendCommandArgv(context_, 3, words, lengths);
  }
  void send_get(const std::string& key) {
    const char* words[] = {"GET", key.data()};
    const size_t lengths[] = {3, key.size()};
    redisAppendCommandArgv(context_, 2, words, lengths);
  }
  void expect_ok() {
    redisReply* reply = receive();
    if (reply->type != REDIS_REPLY_STATUS) fail("SET got " + std::string(reply->str ? reply->str : "no OK"));
    freeReplyObject(reply);
  }
  void expect_value(const std::string& value) {
    redisReply* reply = receive();
    if (reply->type == REDIS_REPLY_ERROR) fail(reply->str);
    if (reply->type != REDIS_REPLY_STRING || std::string_view(reply->str, reply->len) != value)
      fail("GET got another value than was set");
    freeReplyObject(reply);
  }
  std::string info(const char* section) {
    auto* reply = static_cast<redisReply*>(redisCommand(context_, "INFO %s", section));
    if (reply == nullptr || reply->str == nullptr) fail("no INFO");
    std::string text(reply->str, reply->len);
    freeReplyObject(reply);
    return text;
  }

 private:
  redisReply* receive() {
    void* reply = nullptr;
    if (redisGetReply(context_, &reply) != REDIS_OK) fail(std::string("connection: ") + context_->errstr);
    return static_cast<redisReply*>(reply);
  }

  redisContext* context_;
};

uint64_t field(const std::string& info, const std::string& name) {
  const size_t at = info.find("\n" + name + ":");
  return at == std::string::npos ? 0 : std::strtoull(info.c_str() + at + name.size() + 2, nullptr, 10);
}

// ---- figures

void row(const char* what, double rate, const Latencies& l, uint64_t rss) {
  std::printf("%-28s %10.0f %9.3f %9.3f %9.3f %9.3f %8.0f\n", what, rate, l.ms(0.5), l.ms(0.99), l.ms(0.999),
              l.us.empty() ? 0 : l.us.back() / 1000.0, static_cast<double>(rss) / (1 << 20));
  std::fflush(stdout);
}

// Reads the hot key all the time.
class HotReader {
 public:
  HotReader(int port, const std::string& value)
      : witness_([port, value]() -> std::function<void()> {
          auto connection = std::make_shared<Connection>(port);
          return [connection, value] {
            connection->send_get(kHotKey);
            connection->expect_value(value);
          };
        }) {}
  Latencies finish() { return witness_.finish(); }

 private:
  bench::Witness witness_;
};

// Gray et al., "Quickly generating billion-record synthetic databases", SIGMOD 1994.
class Zipf {
 public:
  explicit Zipf(uint64_t items) : items_(static_cast<double>(items)) {
    for (uint64_t i = 1; i <= items; ++i) zeta_ += 1 / std::pow(static_cast<double>(i), kZipfTheta);
    const double zeta2 = 1 + std::pow(0.5, kZipfTheta);
    eta_ = (1 - std::pow(2 / items_, 1 - kZipfTheta)) / (1 - zeta2 / zeta_);
  }
  uint64_t rank(double uniform) const {
    const double uz = uniform * zeta_;
    if (uz < 1) return 0;
    if (uz < 1 + std::pow(0.5, kZipfTheta)) return 1;
    const double rank = items_ * std::pow(eta_ * uniform - eta_ + 1, 1 / (1 - kZipfTheta));
    return static_cast<uint64_t>(std::min(rank, items_ - 1));
  }

 private:
  double items_, zeta_ = 0, eta_ = 0;
};

// ---- the parts

// Returns how long it took, in microseconds.
uint64_t load(const Options& options, const DataSet& data, Sampler& sampler) {
  std::atomic<uint64_t> next{0};
  std::atomic<uint64_t> written{0};
  const auto start = Clock::now();
  std::vector<std::thread> loaders;
  for (uint64_t n = 0; n < options.loaders; ++n) {
    loaders.emplace_back([&] {
      Connection connection(options.port);
      std::string key, value;
      for (;;) {
        const uint64_t first = next.fetch_add(kPipeline);
        if (first >= data.keys) return;
        const uint64_t last = std::min(first + kPipeline, data.keys);
        for (uint64_t i = first; i < last; ++i) {
          data.key(data.at(i), &key);
          data.value(data.at(i), &value);
          connection.send_set(key, value);
        }
        for (uint64_t i = first; i < last; ++i) connection.expect_ok();
        written += last - first;
      }
    });
  }
  Connection watcher(options.port);
  std::printf("\n%9s %9s %8s   in MB: %6s %8s %7s %7s %6s\n", "loaded", "SET/s", "RSS", "malloc", "memtable",
              "records", "blocks", "filter");
  uint64_t before = 0;
  auto before_at = start;
  for (uint64_t tenth = 1; tenth <= 10; ++tenth) {
    while (written < data.keys * tenth / 10) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const uint64_t now = written;
    const double rate = static_cast<double>(now - before) * 1e6 / static_cast<double>(us_since(before_at));
    before = now;
    before_at = Clock::now();
    const std::string info = watcher.info("all");
    const auto mb = [&info](const char* name) { return static_cast<double>(field(info, name)) / (1 << 20); };
    std::printf("%8llu%% %9.0f %8.0f          %6.0f %8.0f %7.0f %7.0f %6.0f\n",
                static_cast<unsigned long long>(tenth * 10), rate,
                static_cast<double>(sampler.sample()) / (1 << 20), mb("used_memory"),
                mb("engine_memtable_bytes") + mb("engine_frozen_bytes"), mb("engine_record_cache_bytes"),
                mb("engine_block_cache_bytes"), mb("engine_filter_and_index_bytes"));
    std::fflush(stdout);
  }
  for (std::thread& loader : loaders) loader.join();
  return us_since(start);
}

Latencies read(const Options& options, const DataSet& data, const Zipf* zipf, uint64_t clients,
               double* rate) {
  std::vector<Latencies> all(clients);
  std::vector<std::thread> threads;
  const auto start = Clock::now();
  for (uint64_t n = 0; n < clients; ++n) {
    threads.emplace_back([&, n] {
      Connection connection(options.port);
      std::mt19937_64 random(n + 1000 * clients);
      std::uniform_real_distribution<double> part(0, 1);
      std::string key, value;
      while (us_since(start) < options.seconds * 1000000) {
        const double at = part(random);
        const uint64_t number =
            zipf != nullptr
                ? mixed(zipf->rank(at)) % data.keys
                : std::min(static_cast<uint64_t>(at * static_cast<double>(data.keys)), data.keys - 1);
        data.key(number, &key);
        data.value(number, &value);
        const auto sent = Clock::now();
        connection.send_get(key);
        connection.expect_value(value);
        all[n].add(us_since(sent));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const uint64_t took = us_since(start);
  Latencies sum;
  for (const Latencies& one : all) sum.add_all(one);
  sum.sort();
  *rate = static_cast<double>(sum.us.size()) * 1e6 / static_cast<double>(took);
  return sum;
}

Options parse(int count, char** words) {
  Options options;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string name = words[i];
    const uint64_t value = bytes_of(words[i + 1]);
    if (name == "--port") {
      options.port = static_cast<int>(value);
    } else if (name == "--pid") {
      options.pid = static_cast<int>(value);
    } else if (name == "--bytes") {
      options.bytes = value;
    } else if (name == "--maxmemory") {
      options.maxmemory = value;
    } else if (name == "--value") {
      options.value = value;
    } else if (name == "--loaders") {
      options.loaders = value;
    } else if (name == "--seconds") {
      options.seconds = value;
    } else if (name == "--slack") {
      options.slack = value;
    } else {
      fail("unknown option " + name);
    }
  }
  if (options.pid == 0) fail("--pid is needed: whose memory is measured");
  return options;
}

int run(const Options& options) {
  const DataSet data(std::max<uint64_t>(options.bytes / options.value, 1000), options.value);
  const double mb = 1 << 20;
  std::printf(
      "%llu values of %llu bytes (%.0f MB, half compressible), maxmemory %.0f MB, %llu loaders x %llu\n",
      static_cast<unsigned long long>(data.keys), static_cast<unsigned long long>(options.value),
      static_cast<double>(data.keys * data.value_bytes) / mb, static_cast<double>(options.maxmemory) / mb,
      static_cast<unsigned long long>(options.loaders), static_cast<unsigned long long>(kPipeline));
  Sampler sampler(options.pid);
  Connection control(options.port);
  std::string hot;
  data.value(data.keys, &hot);
  control.send_set(kHotKey, hot);
  control.expect_ok();

  HotReader idle_reader(options.port, hot);
  std::this_thread::sleep_for(std::chrono::seconds(options.seconds));
  const Latencies idle = idle_reader.finish();
  const uint64_t idle_rss = sampler.phase_max();

  HotReader busy_reader(options.port, hot);
  const uint64_t load_us = load(options, data, sampler);
  const Latencies busy = busy_reader.finish();
  const uint64_t load_rss = sampler.phase_max();

  std::printf("\n%-28s %10s %9s %9s %9s %9s %8s\n", "", "req/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms",
              "RSS MB");
  row("GET hot key, idle", 1e6 / bench::Witness::kIntervalUs, idle, idle_rss);
  row("GET hot key, during load", 1e6 / bench::Witness::kIntervalUs, busy, load_rss);
  std::printf("%-28s %10s %8.1fx %8.1fx %8.1fx\n", "  load over idle", "", busy.ms(0.5) / idle.ms(0.5),
              busy.ms(0.99) / idle.ms(0.99), busy.ms(0.999) / idle.ms(0.999));
  const double load_rate = static_cast<double>(data.keys) * 1e6 / static_cast<double>(load_us);
  std::printf("%-28s %10.0f    %.1f MB/s\n", "SET, the load", load_rate,
              load_rate * static_cast<double>(data.value_bytes) / mb);
  const Zipf zipf(data.keys);
  for (const bool skewed : {false, true}) {
    for (const uint64_t clients : {uint64_t{1}, uint64_t{16}, uint64_t{64}}) {
      double rate = 0;
      const Latencies latencies = read(options, data, skewed ? &zipf : nullptr, clients, &rate);
      const std::string what =
          std::string("GET ") + (skewed ? "Zipf" : "uniform") + ", " + std::to_string(clients) + " clients";
      row(what.c_str(), rate, latencies, sampler.phase_max());
    }
  }
  const uint64_t limit = options.maxmemory + options.slack;
  std::printf("\nmost resident memory %.0f MB of %.0f MB allowed (maxmemory %.0f MB + %.0f MB)\n",
              static_cast<double>(sampler.max()) / mb, static_cast<double>(limit) / mb,
              static_cast<double>(options.maxmemory) / mb, static_cast<double>(options.slack) / mb);
  return sampler.max() <= limit ? 0 : 1;
}

}  // namespace

int main(int count, char** words) { return run(parse(count, words)); }
