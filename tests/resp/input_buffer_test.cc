#include "resp/input_buffer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>

namespace resp {

TEST_SUITE("resp/input_buffer") {
  TEST_CASE("what goes in comes out, in order, however it is received and consumed") {
    const uint64_t seed = 4711;
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    InputBuffer in;
    std::string model;
    uint64_t consumed = 0;
    for (int round = 0; round < 20'000; ++round) {
      const std::span<char> room = in.room(random() % 100 == 0 ? random() % 300'000 : 1);
      REQUIRE(room.size() >= InputBuffer::kRoomBytesMin);
      const size_t n = random() % (random() % 50 == 0 ? room.size() + 1 : 100);
      for (size_t i = 0; i < n; ++i) room[i] = static_cast<char>(random());
      model.append(room.data(), n);
      in.received(n);
      const size_t used = random() % 3 == 0 ? model.size() : random() % (model.size() + 1);
      in.consume(used);
      model.erase(0, used);
      consumed += used;
      REQUIRE(in.unread() == model);
      REQUIRE(in.position() == consumed);
    }
  }

  TEST_CASE("a fresh buffer takes no memory, and release() gives it back only when nothing is unread") {
    InputBuffer in;
    CHECK(in.capacity_bytes() == 0);
    in.append("abc");
    CHECK(in.capacity_bytes() == InputBuffer::kRestBytes);
    in.release();
    CHECK(in.unread() == "abc");
    in.consume(3);
    in.release();
    CHECK(in.capacity_bytes() == 0);
    in.append("def");
    CHECK(in.unread() == "def");
    CHECK(in.position() == 3);
  }

  TEST_CASE("views live from one room() to the next, also while earlier bytes are consumed") {
    InputBuffer in;
    in.append("first second");
    const std::string_view second = in.unread().substr(6);
    in.consume(6);
    CHECK(second == "second");
    CHECK(second.data() == in.unread().data());
  }

  TEST_CASE("a big argument is received in place: once its length is known the bytes never move") {
    InputBuffer in;
    in.append(std::string(100, 'h'));
    size_t missing = 900'000;
    (void)in.room(missing);
    const char* const place = in.unread().data();
    while (missing > 0) {
      const std::span<char> room = in.room(missing);
      const size_t n = std::min({room.size(), missing, size_t{1000}});
      std::memset(room.data(), 'x', n);
      in.received(n);
      missing -= n;
      REQUIRE(in.unread().data() == place);
    }
    CHECK(in.size() == 900'100);
    CHECK(in.capacity_bytes() < 900'100 + 2 * InputBuffer::kRestBytes);
  }

  TEST_CASE("B2: memory follows the bytes that came, not those announced") {
    InputBuffer in;
    const size_t announced = size_t{512} << 20;
    size_t received = 0;
    while (received < (size_t{8} << 20)) {
      const std::span<char> room = in.room(announced - received);
      const size_t n = std::min(room.size(), size_t{100'000});
      in.received(n);
      received += n;
      REQUIRE(in.capacity_bytes() <= 8 * received + InputBuffer::kStepBytes + InputBuffer::kRestBytes);
    }
  }

  TEST_CASE("B3: a big request leaves no big buffer behind") {
    InputBuffer in;
    in.append(std::string(3 << 20, 'x'));
    in.consume(in.size());
    in.append("PING\r\n");
    CHECK(in.capacity_bytes() == InputBuffer::kRestBytes);
  }

  TEST_CASE("B3: a middling buffer stays while it is of use, and goes after some small requests") {
    InputBuffer in;
    const auto request = [&](size_t n) {
      in.append(std::string(n, 'x'));
      in.consume(n);
    };
    request(200'000);
    const size_t grown = in.capacity_bytes();
    for (int i = 0; i < 50; ++i) {
      request(100);
      request(200'000);
      REQUIRE(in.capacity_bytes() == grown);
    }
    for (unsigned i = 0; i <= InputBuffer::kSmallFills; ++i) request(100);
    CHECK(in.capacity_bytes() == InputBuffer::kRestBytes);
  }

  TEST_CASE("B3: a big buffer goes also when a pipeline never lets it fall empty") {
    InputBuffer in;
    in.append(std::string(3 << 20, 'x'));
    for (int i = 0; i < 2000; ++i) {
      in.consume(in.size() - 10);
      in.append(std::string(4000, 'y'));
    }
    CHECK(in.capacity_bytes() <= 2 * InputBuffer::kRestBytes);
  }
}
}  // namespace resp
