// The table format, pinned: files written once, by version 1, must be read for ever. VARVE_WRITE_GOLDEN=1 in
// the environment writes them anew, which only a new format version may do, under new names.
#include <doctest/doctest.h>
#include <xxhash.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "engine/table_format.h"
#include "tests/engine/table_support.h"

using namespace table_test;

namespace {

std::string golden_path(const std::string& name) { return VARVE_TESTS_DIR "/golden/" + name; }

std::string contents_of(const std::string& path) {
  std::string contents;
  std::FILE* file = std::fopen(path.c_str(), "rb");
  REQUIRE_MESSAGE(file != nullptr, path);
  char buffer[4096];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) contents.append(buffer, n);
  std::fclose(file);
  return contents;
}

void write_if_asked(const std::string& path, const std::string& contents) {
  if (std::getenv("VARVE_WRITE_GOLDEN") == nullptr) return;
  std::FILE* file = std::fopen(path.c_str(), "wb");
  REQUIRE_MESSAGE(file != nullptr, path);
  REQUIRE(std::fwrite(contents.data(), 1, contents.size(), file) == contents.size());
  REQUIRE(std::fclose(file) == 0);
}

// Something of everything: every flag, a value past 64 KB (wide offsets), a tombstone, zero bytes, equal
// heads.
Model golden_model() {
  Model model;
  for (int i = 0; i < 40; ++i) {
    const std::string number = std::to_string(1000 + i * 3);
    model["user:" + number] = {std::string(static_cast<size_t>(i % 9) * 5, static_cast<char>('a' + i % 26)),
                               kPut};
    model["user:" + number + ":name:of:somebody:" + number] = {"n" + number, kUnsettled};
  }
  model["user:1000"].flags = kTombstone | kUnsettled;
  model["user:1003"] = {"", kTombstone};
  model[std::string("user:\0\0", 7)] = {std::string("\0\xff", 2), kPut};
  model["user:9big"] = {std::string(66000, 'B'), kPut};
  return model;
}

constexpr uint32_t kGoldenBlockBytes = 600;

}  // namespace

TEST_SUITE("engine/table") {
  TEST_CASE("tables are written byte for byte as version 1 wrote them") {
    const Model model = golden_model();
    SimDisk disk;
    const TableMeta meta =
        build(disk, model, {.block_bytes = kGoldenBlockBytes, .compression = Compression::kNone});
    const std::string written = disk.contents(kPath);
    write_if_asked(golden_path("table_raw.v1"), written);
    CHECK((contents_of(golden_path("table_raw.v1")) == written));
    CHECK(meta.file_bytes == written.size());
  }

  TEST_CASE("tables that version 1 wrote are read") {
    // LZ4 may compress otherwise in another release, so only reading is pinned for it.
    const Model model = golden_model();
    std::mt19937_64 random(1);
    SimDisk disk;
    TableMeta meta = build(disk, model, {.block_bytes = kGoldenBlockBytes});
    write_if_asked(golden_path("table_lz4.v1"), disk.contents(kPath));
    for (const char* name : {"table_raw.v1", "table_lz4.v1"}) {
      CAPTURE(name);
      const std::string golden = contents_of(golden_path(name));
      disk.set_contents(kPath, golden);
      meta.file_bytes = golden.size();
      check_equal(opened(disk, meta), model, random);
    }
  }
}
