#include "engine/manifest.h"

#include <doctest/doctest.h>
#include <xxhash.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>

#include "engine/file_names.h"
#include "engine/manifest_edit.h"
#include "engine/sim_disk.h"

namespace engine {
namespace {

// Two states are the same if they would be written the same.
std::string text_of(const ManifestState& state) { return encode_edit(state.as_edit()); }

PlacedTable table(int level, uint64_t run, uint64_t number, std::string smallest, std::string largest) {
  PlacedTable placed{level, run, {}};
  placed.meta.number = number;
  placed.meta.file_bytes = number * 1000003;
  placed.meta.data_bytes = number * 2000003;
  placed.meta.entries = 300 + number;
  placed.meta.tombstones = number % 3;
  placed.meta.unsettled = number % 5;
  placed.meta.checksum = 0xfedcba9876543210 * number;
  placed.meta.first_lsn = number << 33;
  placed.meta.last_lsn = (number << 33) + 77;
  placed.meta.smallest = std::move(smallest);
  placed.meta.largest = std::move(largest);
  return placed;
}

VersionEdit adding(PlacedTable placed) {
  VersionEdit edit;
  edit.added.push_back(std::move(placed));
  return edit;
}

VersionEdit initial_edit() {
  VersionEdit edit;
  edit.properties["hash_seed"] = "12345";
  return edit;
}

// A history of edits, every kind of field in it, each valid after those before.
std::vector<VersionEdit> history(uint64_t seed, size_t edits) {
  std::mt19937_64 random(seed);
  ManifestState state;
  state.apply(initial_edit());
  std::vector<VersionEdit> out;
  for (size_t i = 0; i < edits; ++i) {
    VersionEdit edit;
    uint64_t next = state.next_table;
    const size_t added = random() % 4;
    for (size_t t = 0; t < added; ++t, ++next) {
      const std::string key = "key" + std::to_string(next);  // Each table has its own run, so none overlap.
      edit.added.push_back(table(static_cast<int>(random() % 7), next, next, key, key + "z"));
    }
    for (const auto& [number, placed] : state.tables) {
      if (random() % 4 != 0) continue;
      edit.removed.push_back(number);
      if (random() % 2 == 0) {  // Moves.
        edit.added.push_back(placed);
        edit.added.back().level = 6;
      }
    }
    edit.next_table = next;
    if (random() % 2 == 0) edit.flushed = state.flushed + random() % 1000;
    if (random() % 2 == 0) edit.count_deltas[random() % 4] = static_cast<int64_t>(random() % 200) - 100;
    if (random() % 4 == 0) edit.forgotten_counts.push_back(random() % 4);
    if (random() % 3 == 0) edit.next_object = random() % 100000;
    if (random() % 3 == 0) edit.dead_objects = std::string(random() % 9000, static_cast<char>(random()));
    if (random() % 3 == 0)
      edit.properties["p" + std::to_string(random() % 3)] = random() % 3 == 0 ? "" : std::to_string(i);
    state.apply(edit);
    out.push_back(std::move(edit));
  }
  return out;
}

std::unique_ptr<SimDisk> disk_with_directory() {
  auto disk = std::make_unique<SimDisk>();
  REQUIRE(disk->make_directory("/d").ok());
  REQUIRE(disk->sync_directory("/").ok());
  return disk;
}

std::unique_ptr<Manifest> open_ok(FileSystem& files) {
  auto manifest = Manifest::open(files, "/d", initial_edit());
  INFO(manifest.status().message());
  REQUIRE(manifest.ok());
  return std::move(manifest.value());
}

std::string golden_path() { return VARVE_TESTS_DIR "/golden/manifest.v1"; }

TEST_SUITE("engine/manifest_edit") {
  TEST_CASE("an edit read back is the edit written, at the extremes of its numbers too") {
    VersionEdit edit;
    edit.added.push_back(
        table(6, ~uint64_t{0}, ~uint64_t{0}, std::string("\0", 1), std::string(300, '\xff')));
    edit.removed = {0, 127, 128, ~uint64_t{0}};
    edit.flushed = 0;
    edit.count_deltas = {{0, INT64_MIN}, {1, INT64_MAX}, {~uint64_t{0}, -1}};
    edit.forgotten_counts = {3, 1};
    edit.next_table = ~uint64_t{0};
    edit.next_object = 5;
    edit.dead_objects = std::string("\0\1", 2);
    edit.properties = {{"a", ""}, {"b", "c"}};
    VersionEdit read;
    REQUIRE(decode_edit(encode_edit(edit), &read).ok());
    CHECK(encode_edit(read) == encode_edit(edit));
    CHECK(read.count_deltas == edit.count_deltas);
    CHECK(read.added[0].meta.checksum == edit.added[0].meta.checksum);
    CHECK(read.added[0].meta.largest == edit.added[0].meta.largest);
    CHECK(read.flushed == Lsn{0});
  }

  TEST_CASE("a cut edit is corruption or the edit of whole fields, and an unknown field is kTooNew") {
    for (const VersionEdit& edit : history(1, 20)) {
      const std::string bytes = encode_edit(edit);
      for (size_t cut = 0; cut < std::min<size_t>(bytes.size(), 300); ++cut) {
        VersionEdit read;
        const Status s = decode_edit(bytes.substr(0, cut), &read);
        if (s.ok()) {
          CHECK(encode_edit(read).size() <= cut);
        } else {
          CHECK(s.code() == Code::kCorruption);
        }
      }
    }
    VersionEdit read;
    CHECK(decode_edit("\x7f", &read).code() == Code::kTooNew);
  }

  TEST_CASE("a table at a level that cannot be, or with its keys the wrong way round, is corruption") {
    VersionEdit read;
    CHECK(decode_edit(encode_edit(adding(table(7, 1, 1, "a", "b"))), &read).code() == Code::kCorruption);
    CHECK(decode_edit(encode_edit(adding(table(1, 1, 1, "b", "a"))), &read).code() == Code::kCorruption);
  }
}

TEST_SUITE("engine/manifest") {
  TEST_CASE("a reopened manifest has the state that its edits add up to, through rollovers") {
    const auto disk = disk_with_directory();
    ManifestState model;
    model.apply(initial_edit());
    auto manifest = open_ok(*disk);
    CHECK(text_of(manifest->state()) == text_of(model));
    uint64_t grown = 0;
    bool rolled_over = false;
    for (const VersionEdit& edit : history(7, 400)) {
      REQUIRE(manifest->apply(edit).ok());
      model.apply(edit);
      if (model.next_table % 5 == 0) manifest = open_ok(*disk);
      REQUIRE(text_of(manifest->state()) == text_of(model));
      rolled_over = rolled_over || manifest->file_bytes() < grown;
      grown = manifest->file_bytes();
    }
    CHECK(rolled_over);
    CHECK(disk->list("/d").value().size() == 2);  // CURRENT and what it names.
  }

  TEST_CASE("N2: after a power cut at any operation the state is a prefix, nothing applied is lost") {
    for (uint64_t seed = 0; seed < 5; ++seed) {
      CAPTURE(seed);
      std::vector<VersionEdit> edits = history(seed, 12);
      // Big enough that the file rolls over in the middle.
      edits[4].dead_objects = std::string(600 << 10, 'x');
      edits[6].dead_objects = std::string(600 << 10, 'y');
      uint64_t operations = 0;
      {
        const auto disk = disk_with_directory();
        auto manifest = open_ok(*disk);
        for (const VersionEdit& edit : edits) REQUIRE(manifest->apply(edit).ok());
        operations = disk->operations().size();
      }
      for (uint64_t cut = 2; cut <= operations; ++cut) {
        CAPTURE(cut);
        const auto disk = disk_with_directory();
        disk->cut_power_at(cut);
        size_t applied = 0;
        bool opened = false;
        {
          auto manifest = Manifest::open(*disk, "/d", initial_edit());
          opened = manifest.ok();
          while (opened && applied < edits.size() && (*manifest)->apply(edits[applied]).ok()) ++applied;
        }
        const auto rebooted = disk->crash(seed * 1000 + cut, {.junk = cut % 2 == 0});
        auto manifest = open_ok(*rebooted);
        ManifestState model;
        model.apply(initial_edit());
        for (size_t i = 0; i < applied; ++i) model.apply(edits[i]);
        size_t shown = applied;
        if (text_of(manifest->state()) != text_of(model)) {
          // The edit whose apply() did not return may be there, whole.
          REQUIRE(applied < edits.size());
          model.apply(edits[applied]);
          REQUIRE(text_of(manifest->state()) == text_of(model));
          ++shown;
        }
        // And it goes on from there.
        for (size_t i = shown; i < edits.size(); ++i) REQUIRE(manifest->apply(edits[i]).ok());
        const std::string all = text_of(manifest->state());
        manifest = open_ok(*rebooted->crash(seed));
        REQUIRE(text_of(manifest->state()) == all);
      }
    }
  }

  TEST_CASE("an operation that fails costs its edit at most, and the next apply() goes on in a new file") {
    std::vector<VersionEdit> edits = history(3, 8);
    for (VersionEdit& edit : edits) edit.removed.clear(), edit.added.clear();  // Each fits wherever it comes.
    edits[2].dead_objects = std::string(1100 << 10, 'x');
    uint64_t operations = 0;
    {
      const auto disk = disk_with_directory();
      auto manifest = open_ok(*disk);
      for (const VersionEdit& edit : edits) REQUIRE(manifest->apply(edit).ok());
      operations = disk->operations().size();
    }
    for (uint64_t fail = 2; fail < operations; ++fail) {
      CAPTURE(fail);
      const auto disk = disk_with_directory();
      disk->fail_operation(fail, false);
      ManifestState model;
      model.apply(initial_edit());
      {
        auto manifest = Manifest::open(*disk, "/d", initial_edit());
        if (!manifest.ok()) {
          CHECK(text_of(open_ok(*disk)->state()) == text_of(model));
          continue;
        }
        size_t failures = 0;
        for (const VersionEdit& edit : edits) {
          if ((*manifest)->apply(edit).ok()) {
            model.apply(edit);
          } else {
            ++failures;
          }
          REQUIRE(text_of((*manifest)->state()) == text_of(model));
        }
        CHECK(failures <= 1);
        VersionEdit last;  // The failed edit, if there was one, has never been once this is OK.
        last.properties["last"] = "1";
        const Status s = (*manifest)->apply(last);
        INFO(s.message());
        REQUIRE((s.ok() || (*manifest)->apply(last).ok()));
        model.apply(last);
      }
      CHECK(text_of(open_ok(*disk->crash(fail))->state()) == text_of(model));
    }
  }

  TEST_CASE("on a full disk an edit is refused, and applied when there is room again") {
    const auto disk = disk_with_directory();
    auto manifest = open_ok(*disk);
    disk->set_capacity(disk->used_bytes());
    VersionEdit edit;
    edit.next_table = 99;
    CHECK(manifest->apply(edit).code() == Code::kNoSpace);
    CHECK(manifest->apply(edit).code() == Code::kNoSpace);
    CHECK(manifest->state().next_table == 1);
    disk->set_capacity(SimDisk::kNever);
    REQUIRE(manifest->apply(edit).ok());
    CHECK(open_ok(*disk->crash(1))->state().next_table == 99);
  }

  TEST_CASE("a flipped bit anywhere is corruption that names file and offset, or the state is whole") {
    const auto disk = disk_with_directory();
    ManifestState model;
    {
      auto manifest = open_ok(*disk);
      for (const VersionEdit& edit : history(5, 6)) REQUIRE(manifest->apply(edit).ok());
      model = manifest->state();
    }
    uint64_t refused = 0;
    for (const std::string path : {"/d/MANIFEST-000001", "/d/CURRENT"}) {
      const uint64_t size = disk->contents(path).size();
      for (uint64_t byte = 0; byte < size; ++byte) {
        CAPTURE(path);
        CAPTURE(byte);
        const auto damaged = disk->copy();
        damaged->flip_bit(path, byte, static_cast<int>(byte % 8));
        const auto manifest = Manifest::open(*damaged, "/d", initial_edit());
        if (manifest.ok()) {
          // Only the last page, which says that the edits before it were synced, can be lost.
          REQUIRE(byte >= size - 4096);
          REQUIRE(path != "/d/CURRENT");
          REQUIRE(text_of(manifest.value()->state()) == text_of(model));
        } else {
          ++refused;
          REQUIRE(manifest.status().code() == Code::kCorruption);
          REQUIRE(manifest.status().message().find(path) != std::string::npos);
          REQUIRE(manifest.status().message().find("offset") != std::string::npos);
        }
      }
    }
    CHECK(refused > 10 * 4096);
  }

  TEST_CASE("a file cut anywhere gives a prefix of the edits, or corruption where not even one is whole") {
    const auto disk = disk_with_directory();
    std::vector<std::string> states;
    {
      auto manifest = open_ok(*disk);
      states.push_back(text_of(manifest->state()));
      for (const VersionEdit& edit : history(6, 5)) {
        REQUIRE(manifest->apply(edit).ok());
        states.push_back(text_of(manifest->state()));
      }
    }
    const std::string whole = disk->contents("/d/MANIFEST-000001");
    for (uint64_t size = 0; size < whole.size(); size += size % 4096 == 4095 || size % 4096 == 0 ? 1 : 273) {
      CAPTURE(size);
      const auto cut = disk->copy();
      cut->set_contents("/d/MANIFEST-000001", whole.substr(0, size));
      const auto manifest = Manifest::open(*cut, "/d", initial_edit());
      if (manifest.ok()) {
        REQUIRE(std::find(states.begin(), states.end(), text_of(manifest.value()->state())) != states.end());
      } else {
        REQUIRE(manifest.status().code() == Code::kCorruption);
        REQUIRE(size < 2 * 4096 + 4096);
      }
    }
  }

  TEST_CASE("a lost CURRENT, or a lost manifest, is corruption and not an empty store") {
    const auto disk = disk_with_directory();
    {
      auto manifest = open_ok(*disk);
      for (const VersionEdit& edit : history(2, 3)) REQUIRE(manifest->apply(edit).ok());
    }
    const auto without_manifest = disk->copy();
    REQUIRE(without_manifest->remove("/d/MANIFEST-000001").ok());
    CHECK(Manifest::open(*without_manifest, "/d", {}).status().code() == Code::kCorruption);
    const auto without_current = disk->copy();
    REQUIRE(without_current->remove("/d/CURRENT").ok());
    REQUIRE(without_current->open(table_path("/d", 1), OpenMode::kCreate, Caching::kKernel).ok());
    CHECK(Manifest::open(*without_current, "/d", {}).status().code() == Code::kCorruption);
  }

  TEST_CASE("a manifest put in another's place is corruption") {
    const auto disk = disk_with_directory();
    open_ok(*disk);
    const std::string first = disk->contents("/d/MANIFEST-000001");
    {
      auto manifest = open_ok(*disk);
      VersionEdit big;
      big.dead_objects = std::string(2 << 20, 'x');
      REQUIRE(manifest->apply(big).ok());  // Rolls over.
    }
    REQUIRE(disk->exists("/d/MANIFEST-000002").value());
    disk->set_contents("/d/MANIFEST-000002", first);
    CHECK(Manifest::open(*disk, "/d", {}).status().code() == Code::kCorruption);
  }

  TEST_CASE("the bytes of format 1 stay as they are, and are read for ever") {
    // VARVE_WRITE_GOLDEN=1 writes them anew: only for a new format version, under a new name.
    const auto disk = disk_with_directory();
    std::string state;
    {
      auto manifest = open_ok(*disk);
      VersionEdit edit;
      edit.added = {table(0, 2, 1, "a", "m"), table(0, 1, 2, "b", "n"), table(6, 1, 3, "a", "z")};
      edit.flushed = 1000;
      edit.count_deltas = {{1, 17}, {2, -3}};
      edit.next_table = 4;
      edit.next_object = 9;
      edit.dead_objects = "dead";
      REQUIRE(manifest->apply(edit).ok());
      VersionEdit second;
      second.removed = {1, 2};
      second.added = {table(6, 2, 2, "b", "n")};
      second.forgotten_counts = {2};
      second.properties = {{"hash_seed", ""}, {"history", "abc"}};
      REQUIRE(manifest->apply(second).ok());
      state = text_of(manifest->state());
    }
    const std::string bytes = disk->contents("/d/MANIFEST-000001");
    if (std::getenv("VARVE_WRITE_GOLDEN") != nullptr) std::ofstream(golden_path(), std::ios::binary) << bytes;
    std::ifstream in(golden_path(), std::ios::binary);
    std::stringstream golden;
    golden << in.rdbuf();
    REQUIRE(golden.str().size() == bytes.size());
    CHECK((golden.str() == bytes));
    disk->set_contents("/d/MANIFEST-000001", golden.str());
    CHECK(text_of(open_ok(*disk)->state()) == state);
  }

  TEST_CASE("a format version of the future is refused by name") {
    const auto disk = disk_with_directory();
    open_ok(*disk);
    std::string bytes = disk->contents("/d/MANIFEST-000001");
    bytes[16] = 2;
    const uint64_t checksum = XXH3_64bits(&bytes[16], 4096 - 16);
    std::memcpy(&bytes[8], &checksum, sizeof checksum);
    disk->set_contents("/d/MANIFEST-000001", bytes);
    const Status s = Manifest::open(*disk, "/d", {}).status();
    CHECK(s.code() == Code::kTooNew);
    CHECK(s.message() == "/d/MANIFEST-000001: has format version 2, this build knows 1");
  }
}

TEST_SUITE("engine/file_names") {
  TEST_CASE("a name is parsed exactly if it is what we would write") {
    CHECK(table_path("/d", 42) == "/d/000042.vst");
    CHECK(parse_table_name("000042.vst") == 42);
    CHECK(parse_table_name("1234567.vst") == 1234567);
    for (const std::string name : {"42.vst", "0000042.vst", "-00042.vst", "000042.vst2", ".vst", "x00042.vst",
                                   "99999999999999999999999.vst"})
      CHECK_FALSE(parse_table_name(name));
    CHECK(manifest_path("/d", 7) == "/d/MANIFEST-000007");
    CHECK(parse_manifest_name("MANIFEST-000007") == 7);
    CHECK_FALSE(parse_manifest_name("MANIFEST-"));
  }
}

}  // namespace
}  // namespace engine
