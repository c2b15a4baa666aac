// server/commands/geo_support.h: what the commands on places share.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "server/command.h"
#include "server/types/geohash.h"

namespace server {

// From two arguments. Nothing: the error is written.
std::optional<Place> parse_place(CommandContext& c, std::string_view longitude, std::string_view latitude);

// Metres in a unit: m, km, ft, mi in any case. Nothing: the error is written.
std::optional<double> parse_unit(CommandContext& c, std::string_view unit);

void reply_place(CommandContext& c, const Place& place);
void reply_distance(CommandContext& c, double distance);  // With four digits behind the point.

}  // namespace server
