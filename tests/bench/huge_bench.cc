// huge_bench: one collection of each type that outgrows memory, and what that does to others.
//
//     varve-bench-huge --port 6379 --pid 1234 --dir data [--elements 200k] [--maxmemory 32M] [--slack 64M]
//                      [--value 100] [--only zset] [--settle 60]
//
// A hash, list, set, sorted set and stream of so many elements, one after the other: built, read at random
// and by ranges, shortened from both ends by one command each, renamed, deleted. All the time another client
// reads a small key every 2 ms (bench::Witness), and the server's resident memory is sampled. Replies are
// checked.
//
// The status is 1 if a reply is wrong, if memory went beyond maxmemory + slack, or if the disk space has not
// come back some time after the DEL. Latency is printed and not judged: the machine has other work to do as
// well.
#include <hiredis/hiredis.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/bench/watch.h"

namespace {

using bench::Clock;
using bench::Latencies;
using bench::us_since;

constexpr uint64_t kPipeline = 64;
constexpr uint64_t kReads = 5000;
constexpr uint64_t kRanges = 200;
constexpr const char* kKey = "huge";
constexpr double kMb = 1 << 20;
// What a table, a log segment and the manifest may still hold when a collection is gone.
constexpr uint64_t kRestBytes = 8 << 20;

struct Options {
  int port = 6379;
  int pid = 0;
  std::string directory;
  std::string only;
  uint64_t elements = 200'000;
  uint64_t maxmemory = 32 << 20;
  uint64_t slack = 64 << 20;
  uint64_t value = 100;
  uint64_t settle_seconds = 60;
};

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "huge_bench: %s\n", why.c_str());
  std::exit(1);
}

uint64_t number_of(const char* text) {
  char* end = nullptr;
  double number = std::strtod(text, &end);
  if (*end == 'k') number *= 1e3;
  if (*end == 'm') number *= 1e6;
  if (*end == 'K') number *= 1 << 10;
  if (*end == 'M') number *= 1 << 20;
  if (*end == 'G') number *= 1 << 30;
  return static_cast<uint64_t>(number);
}

uint64_t mixed(uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

// ---- the server

using Words = std::vector<std::string>;
using Reply = std::unique_ptr<redisReply, decltype(&freeReplyObject)>;

class Connection {
 public:
  explicit Connection(int port) : context_(redisConnectWithTimeout("127.0.0.1", port, {10, 0})) {
    if (context_ == nullptr || context_->err != 0) fail("cannot connect");
    redisSetTimeout(context_, {300, 0});
  }
  ~Connection() { redisFree(context_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void send(const Words& words) {
    std::vector<const char*> texts;
    std::vector<size_t> sizes;
    for (const std::string& word : words) {
      texts.push_back(word.data());
      sizes.push_back(word.size());
    }
    redisAppendCommandArgv(context_, static_cast<int>(words.size()), texts.data(), sizes.data());
  }
  Reply receive() {
    void* reply = nullptr;
    if (redisGetReply(context_, &reply) != REDIS_OK) fail(std::string("connection: ") + context_->errstr);
    Reply owned(static_cast<redisReply*>(reply), freeReplyObject);
    if (owned->type == REDIS_REPLY_ERROR) fail(owned->str);
    return owned;
  }
  Reply ask(const Words& words) {
    send(words);
    return receive();
  }
  void expect(const Words& words, int64_t number) {
    const Reply reply = ask(words);
    if (reply->type != REDIS_REPLY_INTEGER || reply->integer != number)
      fail(words[0] + " was to give " + std::to_string(number) + ", gave " + std::to_string(reply->integer));
  }
  void expect(const Words& words, std::string_view text) {
    const Reply reply = ask(words);
    if (reply->str == nullptr || std::string_view(reply->str, reply->len) != text)
      fail(words[0] + " gave another value than was written");
  }
  void expect_elements(const Words& words, uint64_t elements) {
    const Reply reply = ask(words);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != elements)
      fail(words[0] + " was to give " + std::to_string(elements) + " elements, gave " +
           std::to_string(reply->elements));
  }

 private:
  redisContext* context_;
};

// ---- what is in a collection

std::string text(uint64_t n) { return std::to_string(n); }

std::string name_of(uint64_t n) {
  char name[32];
  std::snprintf(name, sizeof name, "%08x:%010llu", static_cast<unsigned>(mixed(n)),
                static_cast<unsigned long long>(n));
  return name;
}
// Half noise, half dots, so that it compresses to about half.
std::string value_of(uint64_t n, uint64_t bytes) {
  std::string value = name_of(n);
  value.resize(std::max<size_t>(bytes, value.size()), '.');
  for (size_t i = 20; i + 8 <= value.size(); i += 16) {
    const uint64_t noise = mixed(n + i);
    std::memcpy(value.data() + i, &noise, 8);
  }
  return value;
}
// Members are values where there is no place for another: long ones, with their number.
std::string member_of(uint64_t n, uint64_t bytes) { return value_of(n, bytes); }

// What one type is asked. `at` of them: the n-th element. All work on kKey of `elements` elements.
struct Kind {
  const char* name;
  std::function<Words(uint64_t n)> add;                // Writes element n; elements come in rising order.
  std::function<void(Connection&, uint64_t n)> read;   // Reads element n and checks it.
  std::function<void(Connection&, uint64_t n)> range;  // Reads 100 elements.
  std::function<uint64_t(Connection&)> shorten;        // Takes a good part away; how many are left.
  Words count;
};

std::vector<Kind> kinds(const Options& options) {
  const uint64_t bytes = options.value, all = options.elements, tenth = all / 10;
  std::vector<Kind> kinds;
  kinds.push_back({"hash",
                   [=](uint64_t n) {
                     return Words{"HSET", kKey, name_of(n), value_of(n, bytes)};
                   },
                   [=](Connection& c, uint64_t n) {
                     c.expect({"HGET", kKey, name_of(n)}, value_of(n, bytes));
                   },
                   [=](Connection& c, uint64_t n) {
                     c.ask({"HSCAN", kKey, text(mixed(n) >> 32), "COUNT", "100"});
                   },
                   [=](Connection& c) {
                     for (uint64_t n = 0; n < tenth; n += 100) {
                       Words words{"HDEL", kKey};
                       for (uint64_t i = n; i < n + 100 && i < tenth; ++i) words.push_back(name_of(i));
                       c.expect(words, static_cast<int64_t>(words.size() - 2));
                     }
                     return all - tenth;
                   },
                   {"HLEN", kKey}});
  kinds.push_back({"list",
                   [=](uint64_t n) {
                     return Words{"RPUSH", kKey, value_of(n, bytes)};
                   },
                   [=](Connection& c, uint64_t n) {
                     c.expect({"LINDEX", kKey, text(n)}, value_of(n, bytes));
                   },
                   [=](Connection& c, uint64_t n) {
                     n = std::min(n, all - 100);
                     c.expect_elements({"LRANGE", kKey, text(n), text(n + 99)}, 100);
                   },
                   [=](Connection& c) {
                     c.expect({"LTRIM", kKey, text(4 * tenth), text(6 * tenth - 1)}, "OK");
                     c.expect({"LINDEX", kKey, "0"}, value_of(4 * tenth, bytes));
                     return 2 * tenth;
                   },
                   {"LLEN", kKey}});
  kinds.push_back({"set",
                   [=](uint64_t n) {
                     return Words{"SADD", kKey, member_of(n, bytes)};
                   },
                   [=](Connection& c, uint64_t n) {
                     c.expect({"SISMEMBER", kKey, member_of(n, bytes)}, 1);
                   },
                   [=](Connection& c, uint64_t) {
                     c.expect_elements({"SRANDMEMBER", kKey, "100"}, 100);
                   },
                   [=](Connection& c) {
                     for (uint64_t n = 0; n < tenth; n += 1000)
                       c.expect_elements({"SPOP", kKey, text(std::min<uint64_t>(1000, tenth - n))},
                                         std::min<uint64_t>(1000, tenth - n));
                     return all - tenth;
                   },
                   {"SCARD", kKey}});
  kinds.push_back(
      {"zset",
       [=](uint64_t n) {
         return Words{"ZADD", kKey, text(n), member_of(n, bytes)};
       },
       [=](Connection& c, uint64_t n) {
         c.expect({"ZRANK", kKey, member_of(n, bytes)}, static_cast<int64_t>(n));
       },
       [=](Connection& c, uint64_t n) {
         n = std::min(n, all - 100);
         c.expect_elements({"ZRANGE", kKey, text(n), text(n + 99)}, 100);
       },
       [=](Connection& c) {
         c.expect({"ZREMRANGEBYRANK", kKey, "0", text(4 * tenth - 1)}, static_cast<int64_t>(4 * tenth));
         c.expect({"ZREMRANGEBYSCORE", kKey, text(6 * tenth), "+inf"}, static_cast<int64_t>(all - 6 * tenth));
         c.expect({"ZRANK", kKey, member_of(4 * tenth, bytes)}, 0);
         return 2 * tenth;
       },
       {"ZCARD", kKey}});
  kinds.push_back(
      {"stream",
       [=](uint64_t n) {
         return Words{"XADD", kKey, text(n + 1) + "-1", "f", value_of(n, bytes)};
       },
       [=](Connection& c, uint64_t n) {
         c.expect_elements({"XRANGE", kKey, text(n + 1), text(n + 1)}, 1);
       },
       [=](Connection& c, uint64_t n) {
         n = std::min(n, all - 100);
         c.expect_elements({"XRANGE", kKey, text(n + 1), "+", "COUNT", "100"}, 100);
       },
       [=](Connection& c) {
         c.expect({"XTRIM", kKey, "MAXLEN", "=", text(2 * tenth)}, static_cast<int64_t>(all - 2 * tenth));
         return 2 * tenth;
       },
       {"XLEN", kKey}});
  return kinds;
}

// ---- the parts

uint64_t bytes_in(const std::string& directory) {
  uint64_t bytes = 0;
  std::error_code gone;  // Files go while they are counted.
  for (const auto& file : std::filesystem::recursive_directory_iterator(directory, gone)) {
    if (file.path().extension() != ".vst") continue;  // Logs are recycled, and not of one collection.
    const uint64_t size = file.file_size(gone);
    if (!gone) bytes += size;
  }
  return bytes;
}

class Bench {
 public:
  explicit Bench(const Options& options)
      : options_(options), sampler_(options.pid), connection_(options.port) {
    connection_.ask({"SET", "small", "value"});
  }

  void run(const Kind& kind) {
    const uint64_t disk_before = bytes_in(options_.directory);
    part(kind, "build", options_.elements, [&] {
      for (uint64_t n = 0; n < options_.elements;) {
        const uint64_t until = std::min(n + kPipeline, options_.elements);
        for (uint64_t i = n; i < until; ++i) connection_.send(kind.add(i));
        for (; n < until; ++n) connection_.receive();
      }
    });
    connection_.expect(kind.count, static_cast<int64_t>(options_.elements));
    part(kind, "random reads", kReads, [&] {
      for (uint64_t i = 0; i < kReads; ++i) kind.read(connection_, mixed(i) % options_.elements);
    });
    part(kind, "ranges of 100", kRanges, [&] {
      for (uint64_t i = 0; i < kRanges; ++i) kind.range(connection_, mixed(i) % options_.elements);
    });
    part(kind, "rename", 1, [&] {
      connection_.expect({"RENAME", kKey, "other"}, "OK");
      connection_.expect({"RENAME", "other", kKey}, "OK");
    });
    uint64_t left = 0;
    part(kind, "shorten", 1, [&] { left = kind.shorten(connection_); });
    connection_.expect(kind.count, static_cast<int64_t>(left));
    const uint64_t disk_full = bytes_in(options_.directory);
    part(kind, "delete", 1, [&] { connection_.expect({"DEL", kKey}, 1); });
    uint64_t disk_after = 0;
    part(kind, "space returns", 1, [&] {
      const auto start = Clock::now();
      do {
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        disk_after = bytes_in(options_.directory);
      } while (disk_after > disk_before + kRestBytes &&
               us_since(start) < options_.settle_seconds * 1'000'000);
    });
    std::printf("%-8s on disk: %.0f MB before, %.0f MB before the delete, %.0f MB after\n", kind.name,
                static_cast<double>(disk_before) / kMb, static_cast<double>(disk_full) / kMb,
                static_cast<double>(disk_after) / kMb);
    if (disk_after > disk_before + kRestBytes)
      complain(std::string(kind.name) + ": the disk space has not returned");
  }

  bool finish() {
    const uint64_t most = sampler_.max(), limit = options_.maxmemory + options_.slack;
    std::printf("memory: at most %.0f MB, maxmemory %.0f MB + %.0f MB\n", static_cast<double>(most) / kMb,
                static_cast<double>(options_.maxmemory) / kMb, static_cast<double>(options_.slack) / kMb);
    if (most > limit) complain("memory went beyond its bounds");
    return good_;
  }

 private:
  void part(const Kind& kind, const char* what, uint64_t operations, const std::function<void()>& work) {
    sampler_.phase_max();
    bench::Witness witness([this]() -> std::function<void()> {
      auto other = std::make_shared<Connection>(options_.port);
      return [other] { other->expect({"GET", "small"}, "value"); };
    });
    const auto start = Clock::now();
    work();
    const double seconds = static_cast<double>(us_since(start)) / 1e6;
    const Latencies latencies = witness.finish();
    std::printf("%-8s %-15s %9.2f s %10.0f/s   others: %7.2f %7.2f %7.2f ms   %5.0f MB\n", kind.name, what,
                seconds, static_cast<double>(operations) / seconds, latencies.ms(0.5), latencies.ms(0.999),
                latencies.ms(1), static_cast<double>(sampler_.phase_max()) / kMb);
    std::fflush(stdout);
  }
  void complain(const std::string& what) {
    std::printf("FAILED: %s\n", what.c_str());
    good_ = false;
  }

  const Options& options_;
  bench::Sampler sampler_;
  Connection connection_;
  bool good_ = true;
};

Options parse(int count, char** words) {
  Options options;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string name = words[i];
    const char* value = words[i + 1];
    if (name == "--port") {
      options.port = std::atoi(value);
    } else if (name == "--pid") {
      options.pid = std::atoi(value);
    } else if (name == "--dir") {
      options.directory = value;
    } else if (name == "--only") {
      options.only = value;
    } else if (name == "--elements") {
      options.elements = std::max<uint64_t>(number_of(value), 1000) / 10 * 10;
    } else if (name == "--maxmemory") {
      options.maxmemory = number_of(value);
    } else if (name == "--slack") {
      options.slack = number_of(value);
    } else if (name == "--value") {
      options.value = number_of(value);
    } else if (name == "--settle") {
      options.settle_seconds = number_of(value);
    } else {
      fail("unknown option " + name);
    }
  }
  if (options.pid == 0 || options.directory.empty())
    fail("--pid and --dir are needed: whose memory and disk");
  return options;
}

}  // namespace

int main(int count, char** words) {
  const Options options = parse(count, words);
  std::printf(
      "%llu elements of %llu bytes a collection; others: p50, p99.9 and most; memory: most in that part\n",
      static_cast<unsigned long long>(options.elements), static_cast<unsigned long long>(options.value));
  Bench bench(options);
  for (const Kind& kind : kinds(options))
    if (options.only.empty() || options.only == kind.name) bench.run(kind);
  return bench.finish() ? 0 : 1;
}
