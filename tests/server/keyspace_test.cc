#include "server/keyspace.h"

#include <doctest/doctest.h>

#include <vector>

using namespace server;

TEST_SUITE("server/keyspace") {
  TEST_CASE("a header comes back as it was written") {
    for (const int64_t expiry : {kNoExpiry, int64_t{0}, int64_t{1'700'000'000'000}}) {
      for (const ObjectId object : {engine::kNoObject, ObjectId{1}, ~ObjectId{0}}) {
        Header header;
        header.type = Type::kHash;
        header.expiry_ms = expiry;
        header.object = {object, object == engine::kNoObject ? 0u : 7u};
        header.payload = std::string_view("\0payload", 8);
        header.elements_expiry_ms = expiry == 0 ? 5 : kNoExpiry;
        header.death_ms = expiry == kNoExpiry ? 7 : kNoExpiry;
        std::string record;
        encode_header(header, &record);
        const auto decoded = decode_header(record);
        REQUIRE(decoded.has_value());
        CHECK(decoded->elements_expiry_ms == header.elements_expiry_ms);
        CHECK(decoded->death_ms == header.death_ms);
        CHECK(decoded->type == header.type);
        CHECK(decoded->expiry_ms == header.expiry_ms);
        CHECK(decoded->object == header.object);
        CHECK(decoded->payload == header.payload);
      }
    }
  }

  TEST_CASE("a plain string costs one byte beyond its value") {
    std::string record;
    encode_header({Type::kString, kNoExpiry, {}, "value"}, &record);
    CHECK(record.size() == 6);
  }

  TEST_CASE("bytes that are no header are refused, at every length") {
    Header header;
    header.expiry_ms = 5;
    header.elements_expiry_ms = 6;
    header.death_ms = 7;
    header.object = {1, 1};
    std::string record;
    encode_header(header, &record);
    for (size_t size = 0; size < record.size(); ++size)
      CHECK(!decode_header(std::string_view(record).substr(0, size)));
    CHECK(!decode_header("\x0f"));
    CHECK(!decode_header("\x40"));
  }

  TEST_CASE("ids order as their numbers do, so objects and databases lie one behind the other") {
    const std::vector<ObjectId> ids{1,           2, 255, 256, 257, 65535, 65536, 1u << 24, ObjectId{1} << 40,
                                    ~ObjectId{0}};
    for (size_t i = 0; i < ids.size(); ++i) {
      std::string key;
      element_key(ids[i], "element", &key);
      CHECK(key >= element_begin(ids[i]));
      CHECK(key < element_end(ids[i]));
      CHECK(element_of(key) == "element");
      if (i > 0) CHECK(element_end(ids[i - 1]) <= element_begin(ids[i]));
      header_key(ids[i], "", &key);
      CHECK(key == header_begin(ids[i]));
      CHECK(user_key_of(key).empty());
    }
  }

  TEST_CASE("the index by time is ordered by time, then database, then key") {
    CHECK(expiry_key(1, 9, "z") < expiry_key(2, 1, "a"));
    CHECK(expiry_key(255, 1, "a") < expiry_key(256, 1, "a"));
    CHECK(expiry_key(5, 1, "a") < expiry_key(5, 1, "b"));
    CHECK(expiry_key(5, 1, "a") < expiry_end(5));
    CHECK(expiry_key(6, 1, "") >= expiry_end(5));
    const std::string key = expiry_key(77, 300, std::string_view("\xff\0k", 3));
    const auto entry = decode_expiry_key(key);
    REQUIRE(entry.has_value());
    CHECK(entry->expiry_ms == 77);
    CHECK(entry->database == 300);
    CHECK(entry->user_key == std::string_view("\xff\0k", 3));
    for (size_t size = 0; size < 11; ++size) CHECK(!decode_expiry_key(std::string_view(key).substr(0, size)));
  }

  TEST_CASE("prefix_end is the first string beyond a prefix") {
    CHECK(prefix_end("a") == "b");
    CHECK(prefix_end("a\xff") == "b");
    CHECK(prefix_end("\xff\xff").empty());
    CHECK(prefix_end("").empty());
  }

  TEST_CASE("the schema knows who owns what, and what refers to whom") {
    const KeyspaceSchema schema;
    std::string key, record;
    header_key(5, "user", &key);
    CHECK(schema.owner(key) == 5);
    CHECK(schema.counted(key));
    Header header;
    header.type = Type::kList;
    header.object = {9, 2};
    encode_header(header, &record);
    CHECK(schema.reference(key, record) == engine::Reference{9, 2});
    header.object = {};
    encode_header(header, &record);
    CHECK(schema.reference(key, record) == engine::Reference{});
    element_key(9, "e", &key);
    CHECK(schema.owner(key) == 9);
    CHECK(!schema.counted(key));
    CHECK(schema.reference(database_key(3), encode_database({4, 1})) == engine::Reference{4, 1});
    CHECK(schema.owner(database_key(3)) == engine::kNoObject);
    CHECK(schema.owner(expiry_key(1, 2, "k")) == engine::kNoObject);
  }
}
