#include "server/touched_keys.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "engine/sim.h"
#include "server/databases.h"
#include "server/view.h"

namespace server {
namespace {

struct Notes final : TouchListener {
  std::vector<std::string> lines;
  void key_touched(uint32_t database, std::string_view user_key, Touch how) override {
    lines.push_back((how == Touch::kErased ? "erased " : "written ") + std::to_string(database) + " " +
                    std::string(user_key));
  }
  void elements_touched(ObjectId object) override { lines.push_back("elements " + std::to_string(object)); }
  void database_replaced(uint32_t database, Replaced how) override {
    lines.push_back((how == Replaced::kEmptied ? "emptied " : "swapped ") + std::to_string(database));
  }
};

struct Bench {
  Bench() : world(1, std::make_unique<engine::SimDisk>()) {
    REQUIRE(world.disk->make_directory("/data").ok());
    engine::EngineOptions options;
    options.directory = "/data";
    options.memtable_bytes = 1 << 20;
    options.log_segment_bytes = 1 << 20;
    options.reserve_bytes = 1 << 20;
    auto opened = engine::Engine::open(world.env, options, schema, nullptr);
    REQUIRE(opened.ok());
    engine = std::move(opened).value();
    REQUIRE(databases.open(*engine, 4).ok());
    reader = engine->reader(context);
    view = std::make_unique<View>(*reader, engine.get(), batch, 1);
  }
  ~Bench() {
    bool done = false;
    engine->stop([&done](engine::Status) { done = true; });
    while (!done) world.executor.run_one();
  }
  void put(ObjectId database, const std::string& key) { view->put_header(database, key, Header{}); }
  // What the batch touches; and what it says of databases holds from here on.
  std::vector<std::string> touched() {
    Notes notes;
    tell_touched(batch, databases, notes);
    databases.refresh(batch);
    batch.clear();
    return notes.lines;
  }

  engine::SimWorld world;
  KeyspaceSchema schema;
  std::unique_ptr<engine::Engine> engine;
  Databases databases;
  engine::ReadContext context;
  engine::Batch batch;
  std::unique_ptr<engine::Reader> reader;
  std::unique_ptr<View> view;
};

using Lines = std::vector<std::string>;

TEST_SUITE("server/touched_keys") {
  TEST_CASE("headers tell of keys, elements of their object, and the index by time of nothing") {
    Bench bench;
    Header header;
    header.expiry_ms = 77;
    bench.view->put_header(bench.databases.object(2), "a", header);
    bench.view->erase_header(bench.databases.object(2), "a");
    std::string key;
    element_key(4711, "field", &key);
    bench.view->put(key, "value");
    bench.view->erase(key);
    CHECK(bench.touched() == Lines{"written 2 a", "erased 2 a", "elements 4711", "elements 4711"});
  }

  TEST_CASE("a key of an emptied database is told of under the number that it had when it was written") {
    Bench bench;
    const ObjectId before = bench.databases.object(0);
    bench.put(before, "old");
    bench.databases.empty(*bench.view, 0);
    const auto now = decode_database(*bench.view->get(database_key(0)));
    REQUIRE(now.has_value());
    bench.put(before, "dead");  // Nobody can see it.
    bench.put(now->id, "new");
    CHECK(bench.touched() == Lines{"written 0 old", "emptied 0", "written 0 new"});
    CHECK(bench.databases.object(0) == now->id);
    bench.put(now->id, "later");
    CHECK(bench.touched() == Lines{"written 0 later"});
  }

  TEST_CASE("swapped databases are both told of, and keys follow them") {
    Bench bench;
    const ObjectId zero = bench.databases.object(0), three = bench.databases.object(3);
    bench.put(zero, "a");
    bench.databases.swap(*bench.view, 0, 3);
    bench.put(zero, "b");
    bench.put(three, "c");
    CHECK(bench.touched() == Lines{"written 0 a", "swapped 0", "swapped 3", "written 3 b", "written 0 c"});
  }
}

}  // namespace
}  // namespace server
