// Rule v of dead objects: an expiry that has passed is for readers to see; only a write that takes the header
// away kills what it refers to. A newer EXPIRE or PERSIST may lie above an expired header that a compaction
// meets.
#include <doctest/doctest.h>

#include <string>

#include "engine/engine.h"
#include "engine/sim.h"
#include "server/keyspace.h"

using namespace server;

namespace {

std::string header_bytes(engine::Reference object, int64_t expiry_ms) {
  Header header;
  header.type = Type::kHash;
  header.object = object;
  header.expiry_ms = expiry_ms;
  std::string out;
  encode_header(header, &out);
  return out;
}

}  // namespace

TEST_SUITE("server/expiry_rule") {
  TEST_CASE("rule v: a compaction that meets an expired header keeps it and all that it refers to") {
    engine::SimWorld world(1);
    KeyspaceSchema schema;
    engine::EngineOptions options;
    options.directory = "/data";
    options.reserve_bytes = 0;
    options.compression = engine::Compression::kNone;
    auto opened = engine::Engine::open(world.env, options, schema, nullptr);
    REQUIRE(opened.ok());
    engine::Engine& store = **opened;
    const auto settle = [&] {
      for (int i = 0; i < 50; ++i) {
        store.end_turn();
        world.clock.advance_ms(150);
        store.tick();
        world.executor.run_all();
      }
    };
    const engine::ObjectId database = store.new_object();
    const engine::Reference object{store.new_object(), 0};
    std::string key;
    header_key(database, "a", &key);
    engine::Batch batch;
    batch.put(database_key(0), encode_database({database, 0}));
    std::string element;
    for (int i = 0; i < 100; ++i) {
      element_key(object.id, std::to_string(i), &element);
      batch.put(element, std::string(500, 'v'));
    }
    batch.put(key, header_bytes(object, world.clock.wall_ms() - 1000));
    store.apply(batch);
    settle();
    const auto compact = [&] {
      bool compacted = false;
      store.compact("", "\xff", [&](engine::Status status) { compacted = status.ok(); });
      settle();
      CHECK(compacted);
    };
    compact();
    batch.clear();
    batch.put(key, header_bytes(object, kNoExpiry), engine::Existence::kPresent);  // As PERSIST writes.
    store.apply(batch);
    settle();
    compact();
    compact();
    const auto elements = [&] {
      const auto snapshot = store.snapshot();
      const auto records = snapshot->reader()->iterator(element_begin(object.id), element_end(object.id));
      int count = 0;
      for (auto state = records->seek_first(); state == engine::Iterator::State::kAt; state = records->next())
        ++count;
      return count;
    };
    CHECK(elements() == 100);
    CHECK(store.stats().dead_objects == 0);

    // The write that takes it away does kill.
    batch.clear();
    batch.erase(key, engine::Existence::kPresent);
    store.apply(batch);
    settle();
    compact();
    compact();
    CHECK(elements() == 0);
    bool stopped = false;
    store.stop([&](engine::Status status) { stopped = status.ok(); });
    world.executor.run_all();
    CHECK(stopped);
  }
}
