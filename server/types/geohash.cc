#include "server/types/geohash.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace server {

namespace {

constexpr int kStepMax = 26;
constexpr double kEarthRadius = 6372797.560856;
constexpr double kMercatorMax = 20037726.37;
constexpr double kRadian = std::numbers::pi / 180.0;
constexpr uint64_t kEven = 0x5555555555555555, kOdd = ~kEven;

double to_radians(double degrees) { return degrees * kRadian; }
double to_degrees(double radians) { return radians / kRadian; }

// A cell of the grid of 2^step by 2^step.
struct Cell {
  uint64_t bits = 0;
  int step = 0;
  bool operator==(const Cell&) const = default;
};
struct Extent {
  double min = 0, max = 0;
};
struct Bounds {
  Extent longitude, latitude;
};

constexpr Bounds kMap{{-kLongitudeMax, kLongitudeMax}, {-kLatitudeMax, kLatitudeMax}};
constexpr Bounds kGlobe{{-180, 180}, {-90, 90}};

// Every second bit of x, packed into 32; and back.
uint32_t pack(uint64_t x) {
  x &= kEven;
  x = (x | x >> 1) & 0x3333333333333333;
  x = (x | x >> 2) & 0x0f0f0f0f0f0f0f0f;
  x = (x | x >> 4) & 0x00ff00ff00ff00ff;
  x = (x | x >> 8) & 0x0000ffff0000ffff;
  return static_cast<uint32_t>(x | x >> 16);
}
uint64_t spread(uint32_t packed) {
  uint64_t x = packed;
  x = (x | x << 16) & 0x0000ffff0000ffff;
  x = (x | x << 8) & 0x00ff00ff00ff00ff;
  x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
  x = (x | x << 2) & 0x3333333333333333;
  return (x | x << 1) & kEven;
}

Cell cell_of(const Place& place, int step, const Bounds& bounds) {
  const auto part = [step](double at, const Extent& extent) {
    return static_cast<uint32_t>((at - extent.min) / (extent.max - extent.min) *
                                 static_cast<double>(uint64_t{1} << step));
  };
  const uint64_t latitude = spread(part(place.latitude, bounds.latitude));
  const uint64_t longitude = spread(part(place.longitude, bounds.longitude));
  return {latitude | longitude << 1, step};
}

Bounds bounds_of(const Cell& cell) {
  const auto extent = [&cell](uint32_t part, const Extent& whole) {
    const double scale = whole.max - whole.min, parts = static_cast<double>(uint64_t{1} << cell.step);
    return Extent{whole.min + (part / parts) * scale, whole.min + ((part + 1.0) / parts) * scale};
  };
  return {extent(pack(cell.bits >> 1), kMap.longitude), extent(pack(cell.bits), kMap.latitude)};
}

// The cell beside it, going round at the map's edges; dx and dy are -1, 0 or 1.
Cell neighbour(const Cell& cell, int dx, int dy) {
  const int unused = 64 - 2 * cell.step;
  const auto move = [unused](uint64_t bits, uint64_t own, uint64_t other, int by) {
    // The bits between one's own carry an addition through when set.
    if (by == 0) return bits;  // The map's very edge lies in a cell beyond the last one: it stays there.
    const uint64_t gaps = other >> unused;
    if (by > 0) bits += gaps + 1;
    if (by < 0) bits = (bits | gaps) - (gaps + 1);
    return bits & (own >> unused);
  };
  return {move(cell.bits & kOdd, kOdd, kEven, dx) | move(cell.bits & kEven, kEven, kOdd, dy), cell.step};
}

// The finest step at which a cell and its neighbours surely reach `range` metres far.
int step_for(double range, double latitude) {
  if (range == 0) return kStepMax;
  int step = 1;
  for (; range < kMercatorMax; range *= 2) ++step;
  step -= 2;
  // Cells are narrow towards the poles.
  if (std::abs(latitude) > 66) --step;
  if (std::abs(latitude) > 80) --step;
  return std::clamp(step, 1, kStepMax);
}

// What surely encloses the area: its sides bend, and the longer one counts.
Bounds box_around(const SearchArea& area) {
  const auto& [longitude, latitude] = area.center;
  const double height = area.box ? area.height / 2 : area.radius;
  const double width = area.box ? area.width / 2 : area.radius;
  const double up = to_degrees(height / kEarthRadius);
  const double nearer_pole = latitude < 0 ? latitude - up : latitude + up;
  const double aside = to_degrees(width / kEarthRadius / std::cos(to_radians(nearer_pole)));
  return {{longitude - aside, longitude + aside}, {latitude - up, latitude + up}};
}

}  // namespace

bool on_the_map(const Place& place) {
  return std::abs(place.longitude) <= kLongitudeMax && std::abs(place.latitude) <= kLatitudeMax;
}

double score_of_place(const Place& place) { return static_cast<double>(cell_of(place, kStepMax, kMap).bits); }

Place place_of_score(double score) {
  // Any score may have been put beside places by ZADD. What C makes of it on the usual machines:
  uint64_t bits = uint64_t{1} << 63;
  constexpr double kHalf = 9223372036854775808.0;
  if (score >= -kHalf && score < kHalf)
    bits = static_cast<uint64_t>(static_cast<int64_t>(score));
  else if (score >= kHalf)
    bits = score < 2 * kHalf ? static_cast<uint64_t>(static_cast<int64_t>(score - kHalf)) ^ bits : 0;
  const Bounds cell = bounds_of({bits, kStepMax});
  return {std::clamp((cell.longitude.min + cell.longitude.max) / 2, -kLongitudeMax, kLongitudeMax),
          std::clamp((cell.latitude.min + cell.latitude.max) / 2, -kLatitudeMax, kLatitudeMax)};
}

double distance_between(const Place& a, const Place& b) {
  const double a_latitude = to_radians(a.latitude), b_latitude = to_radians(b.latitude);
  const double v = std::sin((to_radians(b.longitude) - to_radians(a.longitude)) / 2);
  if (v == 0) return kEarthRadius * std::abs(b_latitude - a_latitude);
  const double u = std::sin((b_latitude - a_latitude) / 2);
  return 2.0 * kEarthRadius *
         std::asin(std::sqrt(u * u + std::cos(a_latitude) * std::cos(b_latitude) * v * v));
}

std::string geohash_text(const Place& place) {
  constexpr char kAlphabet[] = "0123456789bcdefghjkmnpqrstuvwxyz";
  const uint64_t bits = cell_of(place, kStepMax, kGlobe).bits;
  std::string text;
  for (int shift = 2 * kStepMax - 5; shift >= 0; shift -= 5) text += kAlphabet[bits >> shift & 31];
  return text + kAlphabet[0];  // An eleventh would need 55 bits.
}

bool SearchArea::contains(const Place& place, double* distance) const {
  if (box) {
    const Place aside{center.longitude, place.latitude}, above{place.longitude, center.latitude};
    if (distance_between(place, above) > height / 2 || distance_between(place, aside) > width / 2)
      return false;
    *distance = distance_between(center, place);
    return true;
  }
  *distance = distance_between(center, place);
  return *distance <= radius;
}

std::vector<ScoreRange> ranges_of(const SearchArea& area) {
  const Bounds box = box_around(area);
  const double radius =
      area.box ? std::sqrt((area.width / 2) * (area.width / 2) + (area.height / 2) * (area.height / 2))
               : area.radius;
  int step = step_for(radius, area.center.latitude);
  Cell cell = cell_of(area.center, step, kMap);
  // The centre may lie at its cell's edge, and the neighbour there be too small.
  const bool too_small = bounds_of(neighbour(cell, 0, 1)).latitude.max < box.latitude.max ||
                         bounds_of(neighbour(cell, 0, -1)).latitude.min > box.latitude.min ||
                         bounds_of(neighbour(cell, 1, 0)).longitude.max < box.longitude.max ||
                         bounds_of(neighbour(cell, -1, 0)).longitude.min > box.longitude.min;
  if (step > 1 && too_small) cell = cell_of(area.center, --step, kMap);
  const Bounds inner = bounds_of(cell);

  constexpr std::array<std::array<int, 2>, 9> kOrder = {
      {{0, 0}, {0, 1}, {0, -1}, {1, 0}, {-1, 0}, {1, 1}, {-1, 1}, {1, -1}, {-1, -1}}};
  std::vector<ScoreRange> ranges;
  Cell last;
  for (const auto& [dx, dy] : kOrder) {
    // A neighbour is of no use where the area ends before it.
    if (step >= 2 && ((dy < 0 && inner.latitude.min < box.latitude.min) ||
                      (dy > 0 && inner.latitude.max > box.latitude.max) ||
                      (dx < 0 && inner.longitude.min < box.longitude.min) ||
                      (dx > 0 && inner.longitude.max > box.longitude.max)))
      continue;
    const Cell next = neighbour(cell, dx, dy);
    // On a coarse grid going round leads to the same cells again.
    if (ranges.size() > 1 && next == last) continue;
    last = next;
    const int shift = 2 * (kStepMax - step);
    ranges.push_back(
        {static_cast<double>(next.bits << shift), static_cast<double>((next.bits + 1) << shift)});
  }
  return ranges;
}

}  // namespace server
