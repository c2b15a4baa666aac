// server/types/geohash.h: places as scores of a sorted set, as Redis makes them, bit for bit.
//
// A place is a cell of a grid: longitude and latitude are each halved `step` times, and the halves taken are
// the bits of the cell, latitude in the even ones. 26 steps fit a score exactly and are less than a metre.
//
//     score (52 bits)   lon lat lon lat … lon lat
//
// All cells with the same leading bits lie together, so that a search is a few ranges of scores: the cell
// that the centre lies in, at a step at which its neighbours reach as far as asked, and those neighbours.
//
// Threads: pure functions; any.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace server {

struct Place {
  double longitude = 0, latitude = 0;  // Degrees.
};

inline constexpr double kLongitudeMax = 180;
inline constexpr double kLatitudeMax = 85.05112878;  // Where Web Mercator ends.
bool on_the_map(const Place& place);

double score_of_place(const Place& place);
Place place_of_score(double score);  // The middle of its cell. Of any score.

// Metres along a great circle of a sphere.
double distance_between(const Place& a, const Place& b);

// As geohash.org writes it, eleven characters.
std::string geohash_text(const Place& place);

// What a search asks for, in metres: all within a circle, or a box of which the sides run with the compass.
struct SearchArea {
  Place center;
  bool box = false;
  double radius = 0, width = 0, height = 0;

  // Whether the place lies in it; then *distance is that from the centre.
  bool contains(const Place& place, double* distance) const;
};

// Ranges of scores, from `first` to before `end`, which together hold all that lies in the area. In Redis's
// order, which is that of an unsorted reply; the same range may come twice, but not in a row.
struct ScoreRange {
  double first, end;
};
std::vector<ScoreRange> ranges_of(const SearchArea& area);

}  // namespace server
