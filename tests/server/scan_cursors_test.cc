#include "server/scan_cursors.h"

#include <doctest/doctest.h>

using server::ScanCursors;

TEST_SUITE("server/scan_cursors") {
  TEST_CASE("a cursor gives its place back, as often as it is asked for") {
    ScanCursors cursors(7);
    const uint64_t a = cursors.add("a", 0);
    const uint64_t b = cursors.add(std::string_view("b\0c", 3), a);
    for (int n = 0; n < 3; ++n) {
      CHECK(cursors.find(a) == "a");
      CHECK(cursors.find(b) == std::string("b\0c", 3));
    }
    CHECK(!cursors.find(b + 1));
    CHECK(!cursors.find(0));
  }

  TEST_CASE("S1, S2: numbers of two processes lie apart, above 0 and below 2^53") {
    for (const uint64_t random : {uint64_t{0}, UINT64_MAX, uint64_t{1} << 52, uint64_t{12345}}) {
      ScanCursors cursors(random);
      const uint64_t cursor = cursors.add("k", 0);
      CHECK(cursor > 0);
      CHECK(cursor < uint64_t{1} << 53);
    }
    ScanCursors one(111), other(222222);
    CHECK(!other.find(one.add("k", 0)));
  }

  TEST_CASE("a long scan forgets its own trail, not a cursor that somebody holds") {
    ScanCursors cursors(1, {10, 1000}, {4, 1000});
    const uint64_t held = cursors.add("held", 0);
    uint64_t before = 0, at = cursors.add("0", 0);
    for (int page = 1; page < 1000; ++page) {
      const uint64_t next = cursors.add(std::to_string(page), at);
      before = at;
      at = next;
      // The reply with the newest may be lost: the one that led to it still works.
      REQUIRE(cursors.find(before) == std::to_string(page - 1));
      REQUIRE(cursors.find(at) == std::to_string(page));
    }
    CHECK(cursors.find(held) == "held");
  }

  TEST_CASE("S3: the fresh cursor that was used longest ago goes first") {
    ScanCursors cursors(1, {3, 1000}, {3, 1000});
    const uint64_t a = cursors.add("a", 0), b = cursors.add("b", 0), c = cursors.add("c", 0);
    CHECK(cursors.find(a));
    const uint64_t d = cursors.add("d", 0);
    CHECK(!cursors.find(b));
    CHECK(cursors.find(a));
    CHECK(cursors.find(c));
    CHECK(cursors.find(d));
  }

  TEST_CASE("S3: long keys count by their bytes, and the newest stays however long it is") {
    ScanCursors cursors(1, {100, 100}, {100, 100});
    const uint64_t a = cursors.add(std::string(60, 'a'), 0);
    const uint64_t b = cursors.add(std::string(60, 'b'), 0);
    CHECK(!cursors.find(a));
    CHECK(cursors.find(b));
    const uint64_t huge = cursors.add(std::string(5000, 'h'), 0);
    CHECK(cursors.find(huge));
    CHECK(!cursors.find(b));
    // What passes moves to the other memory with its bytes.
    const uint64_t x = cursors.add(std::string(60, 'x'), 0);
    CHECK(!cursors.find(huge));
    const uint64_t y = cursors.add(std::string(30, 'y'), x);
    const uint64_t z = cursors.add(std::string(60, 'z'), y);
    CHECK(cursors.find(x));
    CHECK(cursors.find(y));
    CHECK(cursors.find(z));
  }
}
