#include "server/types/geohash.h"

#include <doctest/doctest.h>

#include <cmath>

#include "engine/sim.h"

using namespace server;

namespace {

const Place kPalermo{13.361389, 38.115556}, kCatania{15.087269, 37.502669};

Place any_place(engine::SimEntropy& dice) {
  const auto part = [&] { return static_cast<double>(dice.below(1'000'001)) / 1e6; };
  return {(2 * part() - 1) * kLongitudeMax, (2 * part() - 1) * kLatitudeMax};
}

}  // namespace

TEST_SUITE("server/geohash") {
  TEST_CASE("scores, distances and texts are those that Redis documents") {
    CHECK(score_of_place(kPalermo) == 3479099956230698);
    CHECK(score_of_place(kCatania) == 3479447370796909);
    const Place palermo = place_of_score(3479099956230698), catania = place_of_score(3479447370796909);
    CHECK(distance_between(palermo, catania) == doctest::Approx(166274.1516).epsilon(1e-9));
    CHECK(geohash_text(palermo) == "sqc8b49rny0");
    CHECK(geohash_text(catania) == "sqdtr74hyu0");
  }

  TEST_CASE("the map ends at 180 degrees and at the edge of Web Mercator, edges included") {
    CHECK(on_the_map({180, 85.05112878}));
    CHECK(on_the_map({-180, -85.05112878}));
    CHECK(!on_the_map({180.0001, 0}));
    CHECK(!on_the_map({0, 85.0512}));
    CHECK(!on_the_map({std::nan(""), 0}));
  }

  TEST_CASE("a place comes back from its score within a metre, and again with the same score") {
    engine::SimEntropy dice(1);
    for (int i = 0; i < 2000; ++i) {
      const Place place = any_place(dice);
      CAPTURE(place.longitude);
      CAPTURE(place.latitude);
      const double score = score_of_place(place);
      const Place back = place_of_score(score);
      CHECK(distance_between(place, back) < 1);
      CHECK(score_of_place(back) == score);
    }
  }

  TEST_CASE("any score is some place on the map") {
    for (const double score : {-1.0, 1e300, -1e300, 0.5, 9.3e18, 1.8e19, HUGE_VAL, -HUGE_VAL})
      CHECK(on_the_map(place_of_score(score)));
  }

  TEST_CASE("what lies in an area lies in its ranges of scores") {
    engine::SimEntropy dice(2);
    for (int i = 0; i < 20000; ++i) {
      // Redis itself loses some where an area reaches past a pole or around the globe's back.
      Place center = any_place(dice);
      center.latitude *= 0.8;
      SearchArea area;
      area.center = center;
      area.box = dice.below(2) == 0;
      const double size = std::pow(10.0, static_cast<double>(dice.below(55)) / 10);
      area.radius = size;
      area.width = size * (1 + static_cast<double>(dice.below(10)));
      area.height = size;
      // Some place near its edge.
      const double reach = (area.box ? area.height / 2 : area.radius) / 111'200;
      const double turn = static_cast<double>(dice.below(360)) / 57.2958;
      const Place place{center.longitude + reach * std::cos(turn) / std::cos(center.latitude / 57.2958),
                        center.latitude + reach * std::sin(turn)};
      if (!on_the_map(place)) continue;
      double distance = 0;
      const double score = score_of_place(place);
      if (!area.contains(place_of_score(score), &distance)) continue;
      CAPTURE(center.longitude);
      CAPTURE(center.latitude);
      CAPTURE(size);
      bool found = false;
      for (const ScoreRange& range : ranges_of(area)) found |= range.first <= score && score < range.end;
      CHECK(found);
    }
  }
}
