// server/commands/geo.cc: places: GEOADD, GEOPOS, GEODIST, GEOHASH. Searches are in geo_search.cc.
#include <cstdio>

#include "server/bindings.h"
#include "server/commands/geo_support.h"
#include "server/commands/zset_support.h"
#include "server/errors.h"
#include "server/units.h"

namespace server {

std::optional<Place> parse_place(CommandContext& c, std::string_view longitude, std::string_view latitude) {
  const auto x = parse_double(longitude);
  if (!x) return c.reply.error(kNotAFloat), std::nullopt;
  const auto y = parse_double(latitude);
  if (!y) return c.reply.error(kNotAFloat), std::nullopt;
  const Place place{*x, *y};
  if (on_the_map(place)) return place;
  char text[800];  // Doubles have up to 310 digits before the point.
  const int length = std::snprintf(text, sizeof text, "ERR invalid longitude,latitude pair %f,%f", *x, *y);
  c.reply.error({text, static_cast<size_t>(length)});
  return std::nullopt;
}

std::optional<double> parse_unit(CommandContext& c, std::string_view unit) {
  if (equals_ignoring_case(unit, "m")) return 1;
  if (equals_ignoring_case(unit, "km")) return 1000;
  if (equals_ignoring_case(unit, "ft")) return 0.3048;
  if (equals_ignoring_case(unit, "mi")) return 1609.34;
  c.reply.error("ERR unsupported unit provided. please use M, KM, FT, MI");
  return std::nullopt;
}

void reply_place(CommandContext& c, const Place& place) {
  c.reply.array(2);
  c.reply.number_text(format_long_double(place.longitude));
  c.reply.number_text(format_long_double(place.latitude));
}

void reply_distance(CommandContext& c, double distance) {
  char text[340];
  c.reply.bulk(
      std::string_view(text, static_cast<size_t>(std::snprintf(text, sizeof text, "%.4f", distance))));
}

namespace {

// GEOADD key [NX | XX] [CH] longitude latitude member …: ZADD with other scores.
void geoadd(CommandContext& c) {
  AddOptions options;
  size_t first = 2;
  while (first < c.args.size() && options.take(c.args[first])) ++first;
  const size_t rest = c.args.size() - first;
  if (rest == 0 || rest % 3 != 0 || (options.only_absent && options.only_present))
    return c.reply.error(kSyntaxError);
  std::vector<double> scores;
  std::vector<std::string_view> members;
  for (size_t i = first; i < c.args.size(); i += 3) {
    const auto place = parse_place(c, c.args[i], c.args[i + 1]);
    if (!place) return;
    scores.push_back(score_of_place(*place));
    members.push_back(c.args[i + 2]);
  }
  add_members(c, options, scores, members);
}

// The places of the members that args names from the second on.
bool find_places(CommandContext& c, std::span<const std::string_view> members,
                 std::vector<std::optional<double>>* scores) {
  std::optional<Header> header;
  if (!find_zset(c, c.args[1], &header)) return false;
  Zset(c.view, header).scores(members, scores);
  return true;
}

void geopos(CommandContext& c) {
  std::vector<std::optional<double>> scores;
  if (!find_places(c, c.args.subspan(2), &scores)) return;
  c.reply.array(scores.size());
  for (const std::optional<double> score : scores) {
    if (score)
      reply_place(c, place_of_score(*score));
    else
      c.reply.null_array();
  }
}

void geohash(CommandContext& c) {
  std::vector<std::optional<double>> scores;
  if (!find_places(c, c.args.subspan(2), &scores)) return;
  c.reply.array(scores.size());
  for (const std::optional<double> score : scores) {
    if (score)
      c.reply.bulk(geohash_text(place_of_score(*score)));
    else
      c.reply.null();
  }
}

// GEODIST key member1 member2 [unit]
void geodist(CommandContext& c) {
  if (c.args.size() > 5) return c.reply.error(kSyntaxError);
  std::optional<double> unit = 1;
  if (c.args.size() == 5) unit = parse_unit(c, c.args[4]);
  if (!unit) return;
  std::vector<std::optional<double>> scores;
  if (!find_places(c, c.args.subspan(2, 2), &scores)) return;
  if (!scores[0] || !scores[1]) return c.reply.null();
  reply_distance(c, distance_between(place_of_score(*scores[0]), place_of_score(*scores[1])) / *unit);
}

constexpr Binding kBindings[] = {
    {"geoadd", &geoadd}, {"geopos", &geopos}, {"geohash", &geohash}, {"geodist", &geodist}};

}  // namespace

void bind_geo_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
