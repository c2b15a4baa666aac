// What a disk may do to a table: every byte, every length, other people's blocks, and bytes made by an enemy
// who knows the checksum.
#include <doctest/doctest.h>
#include <xxhash.h>

#include <string>
#include <vector>

#include "engine/table_format.h"
#include "tests/engine/table_support.h"

using namespace table_test;

namespace {

Model small_model() {
  std::mt19937_64 random(21);
  Model model = model_of_shape("sequential", random, 25);
  model["user:zz"] = {std::string(700, 'z'), kPut};
  return model;
}

constexpr TableOptions kSmallBlocks{.block_bytes = 600};

// Opens and reads all there is, in every way. OK only if everything read equals `model` (null: anything that
// is in order). An error must name the file and an offset.
Status read_all(SimDisk& disk, const TableMeta& meta, const Model* model) {
  const auto located = [](const Status& s) {
    CAPTURE(s.message());
    CHECK(s.message().find(kPath) != std::string::npos);
    CHECK(s.message().find("offset") != std::string::npos);
    return s;
  };
  auto table = Table::open(disk, kPath, meta, kSeed);
  if (!table.ok()) return located(table.status());
  const auto source = blocking_source(4096);
  const auto it = table_iterator(*table, *source);
  Model forward;
  std::string last;
  for (State s = it->seek_first(); s == State::kAt; s = it->next()) {
    REQUIRE((forward.empty() || std::string_view(last) < it->key()));  // Whatever the bytes were.
    last = it->key();
    forward[last] = {std::string(it->value()), it->flags()};
  }
  if (it->state() == State::kFailed) return located(it->status());
  uint64_t backward = 0;
  for (State s = it->seek_last(); s == State::kAt; s = it->prev()) ++backward;
  CHECK(backward == forward.size());
  for (const auto& [key, entry] : forward) {
    const std::string near[] = {key, key + '\0', key.substr(0, key.size() / 2)};
    for (const std::string& k : near) {
      it->seek(k);
      it->seek_before(k);
      (void)get(**table, *source, k);
    }
  }
  if (model != nullptr) {
    CHECK(forward == *model);
    for (const auto& [key, entry] : *model) CHECK(get(**table, *source, key) == entry);
  }
  return {};
}

struct Section {
  uint64_t begin, end;  // The trailer included.
};

// The sections of an intact file.
std::vector<Section> sections_of(const Table& table, const std::string& bytes) {
  using namespace table_format;
  auto footer = Footer::decode(std::string_view(bytes).substr(bytes.size() - kFooterBytes));
  REQUIRE(footer.ok());
  std::vector<Section> sections;
  for (uint32_t i = 0; i < table.blocks(); ++i)
    sections.push_back({table.block_offset(i), table.block_offset(i + 1)});
  REQUIRE(table.blocks() <= kPartitionBlocks);  // So there is one partition.
  sections.push_back({footer->index_offset, footer->root_offset});
  sections.push_back({footer->root_offset, footer->filter_offset});
  sections.push_back({footer->filter_offset, bytes.size() - kFooterBytes});
  return sections;
}

void seal(std::string& bytes, const Section& s) {
  using namespace table_format;
  const std::string_view covered =
      std::string_view(bytes).substr(s.begin, s.end - s.begin - kTrailerBytes + 1);
  store(bytes.data() + s.end - kTrailerBytes, make_trailer(covered, kNumber, s.begin));
}

}  // namespace

TEST_SUITE("engine/table") {
  TEST_CASE("whichever byte is damaged, it is noticed") {
    const Model model = small_model();
    for (const Compression compression : {Compression::kLz4, Compression::kNone}) {
      SimDisk disk;
      TableOptions options = kSmallBlocks;
      options.compression = compression;
      const TableMeta meta = build(disk, model, options);
      const std::string good = disk.contents(kPath);
      REQUIRE(read_all(disk, meta, &model).ok());
      uint64_t unnoticed = 0;
      for (size_t at = 0; at < good.size(); ++at) {
        CAPTURE(at);
        for (const int change : {1 << at % 8, 0xff}) {
          std::string bad = good;
          bad[at] = static_cast<char>(bad[at] ^ change);
          disk.set_contents(kPath, bad);
          const Status s = read_all(disk, meta, &model);
          unnoticed += s.ok();
          if (!s.ok()) CHECK(s.code() == Code::kCorruption);
        }
      }
      CHECK(unnoticed == 0);
    }
  }

  TEST_CASE("a table cut at any length, or longer than it was, is refused") {
    const Model model = small_model();
    SimDisk disk;
    const TableMeta meta = build(disk, model, kSmallBlocks);
    const std::string good = disk.contents(kPath);
    for (size_t length = 0; length < good.size(); ++length) {
      disk.set_contents(kPath, good.substr(0, length));
      REQUIRE(read_all(disk, meta, &model).code() == Code::kCorruption);
      // Also when the manifest is as wrong as the file.
      TableMeta wrong = meta;
      wrong.file_bytes = length;
      REQUIRE(read_all(disk, wrong, &model).code() == Code::kCorruption);
    }
    disk.set_contents(kPath, good + '\0');
    CHECK(read_all(disk, meta, &model).code() == Code::kCorruption);
  }

  TEST_CASE("a file that shrinks after it was opened gives an error") {
    const Model model = small_model();
    SimDisk disk;
    const TableMeta meta = build(disk, model, kSmallBlocks);
    const auto table = opened(disk, meta);
    disk.set_contents(kPath, disk.contents(kPath).substr(0, 10));
    CHECK(table->read_block(0).status().code() == Code::kCorruption);
    CHECK(table->read_blocks(0, table->blocks()).status().code() == Code::kCorruption);
  }

  TEST_CASE("a block that was read from another place or another table is noticed") {
    // Two tables that differ in nothing but their number, and a table of blocks of one length.
    Model model;
    for (int i = 10; i < 30; ++i)
      model["key" + std::to_string(i)] = {std::string(400, static_cast<char>(i)), kPut};
    SimDisk disk;
    TableOptions options{.block_bytes = 160, .compression = Compression::kNone};
    const TableMeta meta = build(disk, model, options);
    const auto table = opened(disk, meta);
    const std::string good = disk.contents(kPath);
    const uint64_t length = table->block_offset(1);
    REQUIRE(table->block_offset(2) == 2 * length);
    std::string bad = good;
    bad.replace(length, length, good, 0, length);
    disk.set_contents(kPath, bad);
    CHECK(table->read_block(0).ok());
    CHECK(table->read_block(1).status().code() == Code::kCorruption);

    options.hash_seed = kSeed;
    auto file = disk.open("db/other", OpenMode::kCreate, Caching::kKernel);
    TableBuilder builder(std::move(*file), kNumber + 1, options);
    for (const auto& [key, entry] : model) REQUIRE(builder.add(key, entry.value, entry.flags).ok());
    REQUIRE(builder.finish(100, 200).ok());
    bad = good;
    bad.replace(0, length, disk.contents("db/other"), 0, length);
    REQUIRE(bad.substr(0, length - 8) == good.substr(0, length - 8));
    disk.set_contents(kPath, bad);
    CHECK(table->read_block(0).status().code() == Code::kCorruption);
  }

  TEST_CASE("a table that is not the one that the manifest tells of is refused") {
    SimDisk disk;
    const TableMeta meta = build(disk, small_model());
    const auto refused = [&](auto change) {
      TableMeta wrong = meta;
      change(wrong);
      return Table::open(disk, kPath, wrong, kSeed).status().code() == Code::kCorruption;
    };
    CHECK_FALSE(refused([](TableMeta&) {}));
    CHECK(refused([](TableMeta& m) { ++m.number; }));
    CHECK(refused([](TableMeta& m) { ++m.file_bytes; }));
    CHECK(refused([](TableMeta& m) { ++m.data_bytes; }));
    CHECK(refused([](TableMeta& m) { ++m.entries; }));
    CHECK(refused([](TableMeta& m) { ++m.tombstones; }));
    CHECK(refused([](TableMeta& m) { ++m.unsettled; }));
    CHECK(refused([](TableMeta& m) { ++m.first_lsn; }));
    CHECK(refused([](TableMeta& m) { ++m.last_lsn; }));
    CHECK(refused([](TableMeta& m) { m.smallest += 'x'; }));
    CHECK(refused([](TableMeta& m) { m.largest.clear(); }));
    CHECK(Table::open(disk, kPath, meta, kSeed + 1).status().code() == Code::kCorruption);
    CHECK(Table::open(disk, "db/absent", meta, kSeed).status().code() == Code::kIoError);
  }

  TEST_CASE("a newer format is told apart from damage") {
    using namespace table_format;
    SimDisk disk;
    const TableMeta meta = build(disk, small_model());
    std::string bytes = disk.contents(kPath);
    char versioned[12];
    store(versioned, kVersion + 1);
    store(versioned + 4, kMagic);
    store(bytes.data() + bytes.size() - 16, kVersion + 1);
    store(bytes.data() + bytes.size() - 12, static_cast<uint32_t>(XXH3_64bits(versioned, sizeof versioned)));
    disk.set_contents(kPath, bytes);
    const Status s = Table::open(disk, kPath, meta, kSeed).status();
    CHECK(s.code() == Code::kTooNew);
    CHECK(s.message().find(kPath) != std::string::npos);
  }

  TEST_CASE("hostile bytes with right checksums are refused, or read without harm and in order") {
    const Model model = small_model();
    SimDisk disk;
    const TableMeta meta = build(disk, model, kSmallBlocks);
    const std::string good = disk.contents(kPath);
    const auto sections = sections_of(*opened(disk, meta), good);
    std::mt19937_64 random(77);
    uint64_t refused = 0, taken = 0;
    for (int round = 0; round < 3000; ++round) {
      CAPTURE(round);
      std::string bad = good;
      const Section& s = sections[random() % sections.size()];
      for (uint64_t n = 1 + random() % 3; n > 0; --n) {
        const uint64_t at =
            s.begin + random() % (s.end - s.begin - table_format::kTrailerBytes + 1);  // The type too.
        const char fond[] = {0, 1, 2, 0x7f, static_cast<char>(0x80), static_cast<char>(0xff)};
        bad[at] = random() % 2 == 0 ? fond[random() % sizeof fond] : static_cast<char>(random());
      }
      seal(bad, s);
      disk.set_contents(kPath, bad);
      const Status status = read_all(disk, meta, nullptr);
      if (!status.ok()) CHECK(status.code() == Code::kCorruption);
      ++(status.ok() ? taken : refused);
    }
    CHECK(refused > 300);
    CHECK(taken > 300);  // Bytes of values, tags and the filter may be anything.
  }

  TEST_CASE("an index that cannot be right is refused when the table is opened") {
    using namespace table_format;
    const Model model = small_model();
    SimDisk disk;
    const TableMeta meta = build(disk, model, kSmallBlocks);
    const std::string good = disk.contents(kPath);
    const auto table = opened(disk, meta);
    const uint64_t n = table->blocks();
    REQUIRE(n > 3);
    const Section partition = sections_of(*table, good)[n];
    const uint64_t heads = partition.begin + kIndexNodeHeaderBytes;
    const uint64_t lengths = heads + 8 * n;
    const auto open_after = [&](auto change) {
      std::string bad = good;
      change(bad.data());
      seal(bad, partition);
      disk.set_contents(kPath, bad);
      return Table::open(disk, kPath, meta, kSeed).status().code();
    };
    CHECK(open_after([](char*) {}) == Code::kOk);
    // Lengths that add up to something else than the data, or tell of nothing.
    CHECK(open_after([&](char* at) { store(at + lengths, load<uint32_t>(at + lengths) + 1); }) ==
          Code::kCorruption);
    CHECK(open_after([&](char* at) { store(at + lengths, uint32_t{0}); }) == Code::kCorruption);
    // Separators that do not rise, and a last one that is not the largest key's.
    CHECK(open_after([&](char* at) { store(at + heads + 8, load<uint64_t>(at + heads)); }) ==
          Code::kCorruption);
    CHECK(open_after([&](char* at) { store(at + heads, UINT64_MAX); }) == Code::kCorruption);
    CHECK(open_after([&](char* at) { store(at + heads + 8 * (n - 1), UINT64_MAX); }) == Code::kCorruption);
    // More children than there is room for.
    CHECK(open_after([&](char* at) { store(at + partition.begin, UINT32_MAX); }) == Code::kCorruption);
  }

  TEST_CASE("a hostile footer with a right checksum is refused") {
    using namespace table_format;
    const Model model = small_model();
    SimDisk disk;
    const TableMeta meta = build(disk, model, kSmallBlocks);
    const std::string good = disk.contents(kPath);
    const size_t at = good.size() - kFooterBytes;
    auto footer = Footer::decode(std::string_view(good).substr(at));
    REQUIRE(footer.ok());
    std::mt19937_64 random(78);
    uint64_t Footer::*const fields[] = {&Footer::index_offset, &Footer::root_offset, &Footer::filter_offset,
                                        &Footer::blocks,       &Footer::number,      &Footer::data_bytes,
                                        &Footer::entries,      &Footer::tombstones,  &Footer::unsettled,
                                        &Footer::first_lsn,    &Footer::last_lsn,    &Footer::hash_seed};
    for (const auto field : fields) {
      for (const uint64_t value :
           {uint64_t{0}, (*footer).*field + 1, (*footer).*field - 1, good.size(), at, uint64_t{1} << 40,
            UINT64_MAX, random() % good.size(), random() % good.size()}) {
        if (value == (*footer).*field) continue;
        CAPTURE(value);
        Footer bad_footer = *footer;
        bad_footer.*field = value;
        std::string bad = good.substr(0, at);
        bad_footer.encode(bad);
        disk.set_contents(kPath, bad);
        CHECK(read_all(disk, meta, &model).code() == Code::kCorruption);
      }
    }
  }

  TEST_CASE("a block whose keys belong elsewhere is refused although its checksum is right") {
    // Blocks of one length, swapped and sealed anew: each is in order, the table as a whole would not be.
    Model model;
    for (int i = 10; i < 30; ++i) model["key" + std::to_string(i)] = {std::string(400, 'v'), kPut};
    SimDisk disk;
    const TableMeta meta = build(disk, model, {.block_bytes = 160, .compression = Compression::kNone});
    const std::string good = disk.contents(kPath);
    const auto table = opened(disk, meta);
    const auto sections = sections_of(*table, good);
    const uint64_t length = sections[0].end;
    std::string bad = good;
    for (const auto& [from, to] : {std::pair{3, 5}, {5, 3}, {1, 0}}) {
      REQUIRE(sections[to].end - sections[to].begin == length);
      bad.replace(sections[to].begin, length, good, sections[from].begin, length);
      seal(bad, sections[to]);
    }
    disk.set_contents(kPath, bad);
    for (const uint32_t i : {0U, 3U, 5U}) CHECK(table->read_block(i).status().code() == Code::kCorruption);
    CHECK(table->read_block(1).ok());
    CHECK(table->read_block(4).ok());
  }

  TEST_CASE("reading ahead over a damaged block harms only who asks for that block") {
    std::mt19937_64 random(5);
    const Model model = model_of_shape("random", random, 2000);
    SimDisk disk;
    const TableMeta meta = build(disk, model);
    const auto table = opened(disk, meta);
    REQUIRE(table->blocks() > 20);
    disk.flip_bit(kPath, table->block_offset(10) + 5, 3);
    const auto source = blocking_source(1 << 20);
    for (uint32_t i = 0; i < 10; ++i) REQUIRE(source->block(*table, i));
    CHECK_FALSE(source->block(*table, 10));
    CHECK(source->status().code() == Code::kCorruption);
    CHECK_FALSE(source->block(*table, 0));  // Final.
  }
}
