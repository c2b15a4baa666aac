#include "engine/env_posix.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "engine/posix_file.h"
#include "engine/sim.h"

using namespace engine;

namespace {

struct TempDirectory {
  TempDirectory() {
    char name[] = "/tmp/varve-env-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string operator/(const char* name) const { return path + "/" + name; }
  std::string path;
};

std::unique_ptr<File> opened(const std::string& path, OpenMode mode, Caching caching = Caching::kKernel) {
  PosixFileSystem files;
  Result<std::unique_ptr<File>> file = files.open(path, mode, caching);
  INFO(file.status().message());
  REQUIRE(file.ok());
  return std::move(file).value();
}

std::string read_all(const File& file) {
  std::string bytes(static_cast<size_t>(file.size().value()), '?');
  Result<size_t> got = file.read(0, bytes);
  REQUIRE(got.ok());
  CHECK(*got == bytes.size());
  return bytes;
}

}  // namespace

TEST_SUITE("engine/env_posix") {
  TEST_CASE("what was written is read, short only at the end, and outlives the File") {
    const TempDirectory dir;
    {
      auto file = opened(dir / "a", OpenMode::kCreate);
      REQUIRE(file->write(3, "hello").ok());
      REQUIRE(file->sync().ok());
      CHECK(file->size().value() == 8);
    }
    auto file = opened(dir / "a", OpenMode::kRead);
    CHECK(read_all(*file) == std::string("\0\0\0hello", 8));
    char out[16];
    CHECK(file->read(6, out).value() == 2);
    CHECK(file->read(100, out).value() == 0);
  }

  TEST_CASE("kCreate refuses a file that is there, the other modes one that is not, naming it") {
    const TempDirectory dir;
    PosixFileSystem files;
    Result<std::unique_ptr<File>> none = files.open(dir / "none", OpenMode::kReadWrite, Caching::kKernel);
    CHECK(none.status().code() == Code::kIoError);
    CHECK(none.status().message() == "open " + (dir / "none") + ": No such file or directory");
    opened(dir / "a", OpenMode::kCreate);
    for (const Caching caching : {Caching::kKernel, Caching::kNone}) {
      CHECK(files.open(dir / "a", OpenMode::kCreate, caching).status().message() ==
            "create " + (dir / "a") + ": File exists");
    }
  }

  TEST_CASE("a full device is kNoSpace, and the sentence says what, where and how much") {
    auto file = opened("/dev/full", OpenMode::kReadWrite);
    const Status status = file->write(0, "x");
    CHECK(status.code() == Code::kNoSpace);
    CHECK(status.message() == "write /dev/full at offset 0 (1 bytes): No space left on device");
    CHECK(posix_error("x", EDQUOT).code() == Code::kNoSpace);
    CHECK(posix_error("x", EIO).code() == Code::kIoError);
  }

  TEST_CASE("allocated space reads as zeros and keeps what is there") {
    const TempDirectory dir;
    for (const Caching caching : {Caching::kKernel, Caching::kNone}) {
      const std::string path = dir / (caching == Caching::kNone ? "direct" : "buffered");
      auto file = opened(path, OpenMode::kCreate, caching);
      REQUIRE(file->write(0, "abc").ok());
      REQUIRE(file->allocate(0, 10000).ok());
      CHECK(file->size().value() == 10000);
      CHECK(read_all(*file) == "abc" + std::string(9997, '\0'));
      REQUIRE(file->truncate(2).ok());
      CHECK(read_all(*file) == "ab");
    }
  }

  TEST_CASE("write_synced writes what was given, pads the last page with zeros and leaves the rest") {
    const TempDirectory dir;
    for (const char* place : {"/tmp", "/dev/shm"}) {  // The second knows no O_DIRECT.
      const std::string path = std::string(place) + "/varve-write-synced-" + std::to_string(::getpid());
      auto file = opened(path, OpenMode::kCreate);
      std::string expected(3 << 20, 'x');
      REQUIRE(file->write(0, expected).ok());
      REQUIRE(file->sync().ok());
      const auto put = [&](uint64_t offset, const std::string& data) {
        REQUIRE(file->write_synced(offset, data).ok());
        expected.replace(offset, data.size(), data);
        // Zeros, or what was there: both are allowed.
        const uint64_t end = offset + data.size(), page = (end + 4095) / 4096 * 4096;
        const std::string rest = read_all(*file).substr(end, page - end);
        CHECK((rest == expected.substr(end, page - end) || rest == std::string(page - end, '\0')));
        expected.replace(end, page - end, rest);
        CHECK(read_all(*file) == expected);
      };
      put(4096, "hello");
      put(8192, std::string(4096, 'p'));
      put(16384, std::string((1 << 20) + 5000, 'q'));  // More than goes at once.
      REQUIRE(file->write(4096, "again").ok());        // Through the cache: one file for both ways.
      expected.replace(4096, 5, "again");
      CHECK(read_all(*file) == expected);
      ::unlink(path.c_str());
    }
  }

  // The same random calls on a file past the page cache and on a string; whether the file system of /tmp
  // takes O_DIRECT or not, the answers must be those of the string.
  TEST_CASE("past the page cache, writes and reads of any alignment behave as on a string") {
    const TempDirectory dir;
    for (uint64_t seed = 0; seed < 6; ++seed) {
      CAPTURE(seed);
      SimEntropy entropy(seed);
      const std::string path = dir.path + "/" + std::to_string(seed);
      auto file = opened(path, OpenMode::kCreate, Caching::kNone);
      std::string model;
      for (int step = 0; step < 60; ++step) {
        CAPTURE(step);
        const uint64_t kind = entropy.below(12);
        if (kind < 5) {
          const bool append = kind < 3;
          const size_t offset =
              append ? model.size() : static_cast<size_t>(entropy.below(model.size() + 5000));
          size_t length = static_cast<size_t>(entropy.below(20000));
          if (kind == 0) length = length / 4096 * 4096;
          const std::string data(length, static_cast<char>('a' + entropy.below(26)));
          REQUIRE(file->write(offset, data).ok());
          if (!data.empty() && model.size() < offset + length) model.resize(offset + length);
          if (!data.empty()) model.replace(offset, length, data);
        } else if (kind < 10) {
          const size_t offset = static_cast<size_t>(entropy.below(model.size() + 2));
          std::string out(static_cast<size_t>(entropy.below(30000)), '?');
          const Result<size_t> got = file->read(offset, out);
          REQUIRE(got.ok());
          const std::string expected = offset < model.size() ? model.substr(offset, out.size()) : "";
          REQUIRE(got.value() == expected.size());
          CHECK(out.substr(0, expected.size()) == expected);
        } else if (kind == 10) {
          REQUIRE(file->sync().ok());
          CHECK(std::filesystem::file_size(path) == model.size());
        } else {
          model.resize(static_cast<size_t>(entropy.below(model.size() + 3000)));
          REQUIRE(file->truncate(model.size()).ok());
        }
        REQUIRE(file->size().value() == model.size());
      }
      file.reset();
      CHECK(read_all(*opened(path, OpenMode::kRead)) == model);
      CHECK(read_all(*opened(path, OpenMode::kRead, Caching::kNone)) == model);
    }
  }

  TEST_CASE("directories: made, listed in order, renamed in, removed from, synced") {
    const TempDirectory dir;
    PosixFileSystem files;
    const std::string sub = dir / "sub";
    REQUIRE(files.make_directory(sub).ok());
    REQUIRE(files.make_directory(sub).ok());
    CHECK_FALSE(files.make_directory(dir / "no/such").ok());
    for (const char* name : {"b", "a", "c"}) opened(sub + "/" + name, OpenMode::kCreate);
    CHECK(files.list(sub).value() == std::vector<std::string>{"a", "b", "c"});
    REQUIRE(files.rename(sub + "/a", sub + "/c").ok());
    REQUIRE(files.remove(sub + "/b").ok());
    REQUIRE(files.sync_directory(sub).ok());
    CHECK(files.list(sub).value() == std::vector<std::string>{"c"});
    CHECK(files.exists(sub + "/c").value());
    CHECK_FALSE(files.exists(sub + "/a").value());
    CHECK_FALSE(files.exists(sub + "/c/below-a-file").value());
    CHECK_FALSE(files.make_directory(sub + "/c").ok());
    CHECK(files.free_bytes(sub).value() > 0);
    CHECK_FALSE(files.list(dir / "none").ok());
    CHECK_FALSE(files.remove(dir / "none").ok());
  }

  TEST_CASE("a lock excludes a second holder, here or in another process, and names the first one's pid") {
    const TempDirectory dir;
    PosixFileSystem files;
    const std::string path = dir / "LOCK";
    Result<std::unique_ptr<FileLock>> first = files.lock(path);
    REQUIRE(first.ok());
    const Status second = files.lock(path).status();
    CHECK(second.code() == Code::kBusy);
    CHECK(second.message() == path + " is held by process " + std::to_string(::getpid()));
    const pid_t child = ::fork();
    if (child == 0) ::_exit(files.lock(path).status().code() == Code::kBusy ? 0 : 1);
    int result = -1;
    REQUIRE(::waitpid(child, &result, 0) == child);
    CHECK(result == 0);
    first = Status(Code::kInvalid, "released");
    CHECK(files.lock(path).ok());
  }

  TEST_CASE("the clock advances and entropy does not repeat") {
    const SystemClock clock;
    CHECK(clock.wall_ms() > 1'600'000'000'000);
    const uint64_t before = clock.monotonic_us();
    CHECK(clock.monotonic_us() >= before);
    SystemEntropy entropy;
    CHECK(entropy.next() != entropy.next());
  }
}
