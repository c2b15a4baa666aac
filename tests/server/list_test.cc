#include "server/types/list.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "tests/server/data_bench.h"

using namespace server;
using server_test::DataBench;

namespace {

constexpr ObjectId kDatabase = 7;
constexpr ListLimits kTiny{
    .inline_bytes = 40, .inline_entries = 5, .header_pieces = 4, .node_pieces = 4, .erased_per_write = 3};
constexpr ListLimits kAlwaysLarge{.inline_bytes = 0, .inline_entries = 0};

using Model = std::deque<std::string>;

List open_list(View& view, std::string_view key, const ListLimits& limits) {
  return {view, kDatabase, key, view.header(kDatabase, key), limits};
}

std::vector<std::string> walked(List& list, uint64_t from, bool forward, uint64_t at_most) {
  std::vector<std::string> values;
  for (List::Walk walk(list, from, forward, at_most); walk.next();) values.emplace_back(walk.value());
  return values;
}

// Records of all lists' objects that are on disk and alive.
uint64_t count_elements_on_disk(View& view) {
  uint64_t count = 0;
  auto range = view.range("S", "T");
  for (bool there = range.seek_first(); there; there = range.next()) ++count;
  return count;
}

void check_same(View& view, std::string_view key, const Model& model, engine::SimEntropy& dice,
                const ListLimits& limits) {
  REQUIRE(view.header(kDatabase, key).has_value() == !model.empty());  // L1
  List list = open_list(view, key, limits);
  REQUIRE(list.size() == model.size());
  if (model.empty()) return;
  CHECK(walked(list, 0, true, list.size()) == std::vector<std::string>(model.begin(), model.end()));
  const uint64_t from = dice.below(model.size());
  const uint64_t at_most = dice.below(from + 2);
  const auto newest = model.rbegin() + static_cast<ptrdiff_t>(model.size() - 1 - from);
  CHECK(walked(list, from, false, at_most) ==
        std::vector<std::string>(newest, newest + static_cast<ptrdiff_t>(at_most)));
  for (int i = 0; i < 3; ++i) {
    const uint64_t position = dice.below(model.size());
    CHECK(list.at(position) == model[position]);
  }
}

// One command's worth of random changes, to the list and to its model alike.
void change(List& list, Model& model, engine::SimEntropy& dice, std::deque<std::string>& bytes,
            unsigned style) {
  const auto fresh = [&]() -> const std::string& {
    return bytes.emplace_back(std::string(dice.below(12), 'x') + std::to_string(dice.below(1000)));
  };
  const uint64_t size = model.size();
  // Style 0 mostly grows at the ends, 1 mostly works in the middle, 2 mostly shrinks.
  static constexpr unsigned kWeights[3][8] = {
      {8, 8, 2, 2, 2, 1, 1, 0}, {1, 1, 1, 1, 8, 6, 2, 0}, {1, 1, 6, 6, 2, 6, 1, 1}};
  unsigned total = 0;
  for (const unsigned weight : kWeights[style]) total += weight;
  unsigned pick = static_cast<unsigned>(dice.below(total)), what = 0;
  while (pick >= kWeights[style][what]) pick -= kWeights[style][what++];
  switch (what) {
    case 0:
      list.push(End::kLeft, fresh());
      model.push_front(bytes.back());
      break;
    case 1:
      list.push(End::kRight, fresh());
      model.push_back(bytes.back());
      break;
    case 2:
      if (size == 0) break;
      REQUIRE(list.pop(End::kLeft) == model.front());
      model.pop_front();
      break;
    case 3:
      if (size == 0) break;
      REQUIRE(list.pop(End::kRight) == model.back());
      model.pop_back();
      break;
    case 4: {
      if (size == 0) break;
      const uint64_t position = dice.below(size + 1);
      list.insert(position, fresh());
      model.insert(model.begin() + static_cast<ptrdiff_t>(position), bytes.back());
      break;
    }
    case 5: {
      if (size == 0) break;
      const uint64_t position = dice.below(size);
      list.erase(position);
      model.erase(model.begin() + static_cast<ptrdiff_t>(position));
      break;
    }
    case 6: {
      if (size == 0) break;
      const uint64_t position = dice.below(size);
      list.set(position, fresh());
      model[position] = bytes.back();
      break;
    }
    case 7: {
      const uint64_t first = dice.below(size / 3 + 1),
                     count = size - first - dice.below((size - first) / 3 + 1);
      list.trim(first, count);
      model = Model(model.begin() + static_cast<ptrdiff_t>(first),
                    model.begin() + static_cast<ptrdiff_t>(first + count));
      break;
    }
  }
}

}  // namespace

TEST_SUITE("server/list") {
  TEST_CASE("a list does what a deque does, inline and large, in pieces, cold, and after restarts") {
    for (uint64_t seed = 1; seed <= 24; ++seed) {
      CAPTURE(seed);
      DataBench bench(seed, seed % 2 == 0 ? UINT32_MAX / 6 : 0);
      Model model;
      for (int round = 0; round < 90; ++round) {
        CAPTURE(round);
        const Model before = model;
        const uint64_t script = bench.dice.next();
        const auto style = static_cast<unsigned>(round / 30 + seed) % 3;
        bench.run([&](View& view) {
          engine::SimEntropy dice(script);  // The same at every run of the handler.
          std::deque<std::string> bytes;
          model = before;
          List list = open_list(view, "k", kTiny);
          const uint64_t changes = 1 + dice.below(6);
          for (uint64_t i = 0; i < changes; ++i) change(list, model, dice, bytes, style);
          list.save();
        });
        if (bench.dice.below(20) == 0) bench.restart();
        if (round % 3 == 0) {
          const uint64_t look = bench.dice.next();
          bench.run([&](View& view) {
            engine::SimEntropy dice(look);
            check_same(view, "k", model, dice, kTiny);
          });
        }
      }
    }
  }

  TEST_CASE("elements that are put in between always the last two cost a few small nodes each") {
    DataBench bench(3, 0, 1 << 20);
    std::vector<std::string> model{"a", "z"};
    bench.run([&](View& view) {
      List list = open_list(view, "k", kAlwaysLarge);
      list.push(End::kRight, "a");
      list.push(End::kRight, "z");
      list.save();
    });
    uint64_t position = 1, written_most = 0;
    for (int i = 0; i < 3000; ++i) {
      const std::string element = std::to_string(i);
      bench.run([&](View& view) {
        List list = open_list(view, "k", kAlwaysLarge);
        list.insert(position, element);
        list.save();
      });
      model.insert(model.begin() + static_cast<ptrdiff_t>(position), element);
      position += i % 2;
      written_most = std::max(written_most, bench.written);
    }
    CHECK(written_most <= 9);  // The element, the header, and a level or two of nodes that may have split.
    bench.run([&](View& view) {
      List list = open_list(view, "k", kAlwaysLarge);
      CHECK(walked(list, 0, true, list.size()) == model);
      (void)list.at(1500);
    });
  }

  TEST_CASE(
      "a push to a large list writes its element and the header, a pop reads its element and the header") {
    DataBench bench(5, 0, 4 << 10);
    bench.run([&](View& view) {
      List list = open_list(view, "k", {});
      for (int i = 0; i < 2000; ++i) list.push(End::kRight, "element");
      list.save();
    });
    for (int i = 0; i < 1500; ++i) {
      bench.run([&](View& view) {
        List list = open_list(view, "k", {});
        CHECK(list.pop(End::kLeft) == "element");
        list.save();
      });
      CHECK(bench.touched == 2);  // However many tombstones lie in front of it.
      CHECK(bench.written == 2);
      bench.run([&](View& view) {
        List list = open_list(view, "k", {});
        list.push(End::kRight, "element");
        list.save();
      });
      CHECK(bench.touched == 1);
      CHECK(bench.written == 2);
    }
  }

  TEST_CASE("what a trim cuts off is gone at once, and its records go with the writes that follow") {
    DataBench bench(6, 0, 1 << 20);
    std::deque<std::string> bytes;
    Model model;
    bench.run([&](View& view) {
      List list = open_list(view, "k", kTiny);
      model.clear();
      for (int i = 0; i < 400; ++i) {
        list.push(End::kRight, bytes.emplace_back(std::to_string(i)));
        model.push_back(bytes.back());
      }
      for (uint64_t i = 0; i < 120; ++i) {  // Many pieces, so that whole nodes are cut off too.
        list.insert(1 + 3 * i, "between");
        model.insert(model.begin() + static_cast<ptrdiff_t>(1 + 3 * i), "between");
      }
      list.save();
    });
    bench.run([&](View& view) {
      List list = open_list(view, "k", kTiny);
      list.trim(200, 60);
      list.save();
    });
    CHECK(bench.written < 40);
    model = Model(model.begin() + 200, model.begin() + 260);
    uint64_t left = 0;
    bench.run([&](View& view) {
      check_same(view, "k", model, bench.dice, kTiny);
      left = count_elements_on_disk(view);
    });
    CHECK(left > 400);
    for (int i = 0; i < 340; ++i) {
      bench.run([&](View& view) {
        List list = open_list(view, "k", kTiny);
        list.push(End::kLeft, "new");
        CHECK(list.pop(End::kRight) == model.back());
        list.save();
      });
      model.pop_back();
      model.push_front("new");
    }
    bench.run([&](View& view) {
      check_same(view, "k", model, bench.dice, kTiny);
      left = count_elements_on_disk(view);
    });
    CHECK(left == 60);  // The elements; no node and no note of garbage is left.
  }

  TEST_CASE("a list keeps its expiry, and an expired one is begun anew") {
    DataBench bench(8);
    const int64_t expiry_ms = bench.world.clock.wall_ms() + 1000;
    bench.run([&](View& view) {
      List list = open_list(view, "k", {});
      list.push(End::kLeft, "a");
      list.save();
      auto header = view.header(kDatabase, "k");
      header->expiry_ms = expiry_ms;
      view.put_header(kDatabase, "k", *header);
    });
    bench.run([&](View& view) {
      List list = open_list(view, "k", {});
      list.push(End::kLeft, "b");
      list.save();
      CHECK(view.header(kDatabase, "k")->expiry_ms == expiry_ms);
    });
    bench.world.clock.advance_ms(2000);
    bench.run([&](View& view) {
      List list = open_list(view, "k", {});
      CHECK(list.size() == 0);
      list.push(End::kLeft, "c");
      list.save();
      CHECK(view.header(kDatabase, "k")->expiry_ms == kNoExpiry);
      CHECK_FALSE(view.get(expiry_key(expiry_ms, kDatabase, "k")).has_value());
    });
    CHECK(bench.engine->count(kDatabase) == 1);
  }

  TEST_CASE("a list whose records do not fit together is reported, never read astray") {
    DataBench bench(9);
    const auto fails = [&](std::string_view payload, ObjectId object) {
      bool failed = false;
      bench.run([&](View& view) {
        failed = false;
        Header header;
        header.type = Type::kList;
        header.object.id = object;
        header.payload = payload;
        try {
          List list(view, kDatabase, "k", header);
          (void)list.at(0);
        } catch (const StorageError&) {
          failed = true;
        }
      });
      return failed;
    };
    using namespace std::string_view_literals;
    CHECK_FALSE(fails("\x01\x01x"sv, 0));
    CHECK(fails(""sv, 0));
    CHECK(fails("\x00"sv, 0));
    CHECK(fails("\x02\x01x"sv, 0));
    CHECK(fails("\x01\x05x"sv, 0));
    CHECK(fails("\xff\xff\xff\xff\xff\xff"sv, 0));
    CHECK(fails(""sv, 99));
    CHECK(fails("\x01\x00\x03"sv, 99));  // There are no elements.
    CHECK(fails("\x03\x00\x03"sv, 99));
    CHECK(fails("\x02\x05\x00\x00\x00\x01\x01\x00\x05\x00\x00\x00"sv, 99));  // There is no such node.
    CHECK(fails("\x02\x05\x00\x00\x00\x01\x00\x00\x00\x00\x01\x00\x02\x00"sv, 99));
  }
}
