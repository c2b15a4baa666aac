// server/commands/table_geo.cc: the commands for places.
#include "server/commands/table.h"

namespace server {

namespace {
constexpr CommandSpec kRows[] = {
    {.name = "geoadd",
     .arity = -5,
     .flags = cmd::kWrite | cmd::kDenyOom,
     .categories = acl::kGeo,
     .keys = {key_at(1, key::kRw | key::kUpdate)},
     .group = Group::kGeo,
     .since = "3.2.0",
     .summary = "Add places with their longitude and latitude.",
     .complexity = "O(log(N)) for each place, with N members",
     .history = "6.2.0 Options `CH`, `NX`, `XX`.",
     .arguments = "key#0 [condition@6.2.0(NX | XX)] [CH=change:token@6.2.0] "
                  "longitude_latitude_member{longitude:double latitude:double member}..."},
    {.name = "geodist",
     .arity = -4,
     .flags = cmd::kReadonly,
     .categories = acl::kGeo,
     .keys = {key_at(1, key::kRo | key::kAccess)},
     .group = Group::kGeo,
     .since = "3.2.0",
     .summary = "Tell the distance between two places.",
     .complexity = "O(log(N))",
     .arguments = "key#0 member1 member2 [unit(M | KM | FT | MI)]"},
    {.name = "geohash",
     .arity = -2,
     .flags = cmd::kReadonly,
     .categories = acl::kGeo,
     .keys = {key_at(1, key::kRo | key::kAccess)},
     .group = Group::kGeo,
     .since = "3.2.0",
     .summary = "Return the geohash texts of places.",
     .complexity = "O(log(N)) for each place, with N members",
     .arguments = "key#0 member..."},
    {.name = "geopos",
     .arity = -2,
     .flags = cmd::kReadonly,
     .categories = acl::kGeo,
     .keys = {key_at(1, key::kRo | key::kAccess)},
     .group = Group::kGeo,
     .since = "3.2.0",
     .summary = "Return the longitude and latitude of places.",
     .complexity = "O(N) with N places asked for",
     .arguments = "key#0 member..."},
    {.name = "georadius",
     .arity = -6,
     .flags = cmd::kWrite | cmd::kDenyOom,
     .categories = acl::kGeo,
     .keys = {key_at(1, key::kRo | key::kAccess), keys_after("STORE", 6, 0, 1, 0, key::kOw | key::kUpdate),
              keys_after("STOREDIST", 6, 0, 1, 0, key::kOw | key::kUpdate)},
     .group = Group::kGeo,
     .doc_flags = doc::kDeprecated,
     .since = "3.2.0",
     .summary = "Find the places within a distance of a point, and store them when asked.",
     .complexity = "O(N+log(M)) with N places in the bounding box and M in the index",
     .deprecated_since = "6.2.0",
     .replaced_by = "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
     .history = "6.2.0 `ANY` with `COUNT`.\n"
                "7.0.0 Units in upper case.",
     .arguments = "key#0 longitude:double latitude:double radius:double unit(M | KM | FT | MI) "
                  "[WITHCOORD] [WITHDIST] [WITHHASH] [count{COUNT=count:integer [ANY@6.2.0]}] "
                  "[order(ASC | DESC)] [STORE=key#1] [STOREDIST=key#2]"},
    {.name = "georadius_ro",
     .arity = -6,
     .flags = cmd::kReadonly,
     .categories = acl::kGeo,
     .keys = {key_at(1, key::kRo | key::kAccess)},
     .group = Group::kGeo,
     .doc_flags = doc::kDeprecated,
     .since = "3.2.10",
     .summary = "Find the places within a distance of a point.",
     .complexity = "O(N+log(M)) with N places in the bounding box and M in the index",
     .deprecated_since = "6.2.0",
     .replaced_by = "`GEOSEARCH` with the `BYRADIUS` argument",
     .history = "6.2.0 `ANY` with `COUNT`.",
     .arguments = "key#0 longitude:double latitude:double radius:double unit(M | KM | FT | MI) "
                  "[WITHCOORD] [WITHDIST] [WITHHASH] [count{COUNT=count:integer [ANY@6.2.0]}] "
                  "[order(ASC | DESC)]"},
    {.name = "georadiusbymember",
     .arity = -5,
     .flags = cmd::kWrite | cmd::kDenyOom,
     .categories = acl::kGeo,
     .keys = {key_at(1, key::kRo | key::kAccess), keys_after("STORE", 5, 0, 1, 0, key::kOw | key::kUpdate),
              keys_after("STOREDIST", 5, 0, 1, 0, key::kOw | key::kUpdate)},
     .group = Group::kGeo,
     .doc_flags = doc::kDeprecated,
     .since = "3.2.0",
     .summary = "Find the places within a distance of a place, and store them when asked.",
     .complexity = "O(N+log(M)) with N places in the bounding box and M in the index",
     .deprecated_since = "6.2.0",
     .replaced_by = "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
     .history = "7.0.0 Units in upper case.",
     .arguments = "key#0 member radius:double unit(M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH] "
                  "[count{COUNT=count:integer [ANY]}] [order(ASC | DESC)] [STORE=key#1] "
                  "[STOREDIST=key#2]"},
    {.name = "georadiusbymember_ro",
     .arity = -5,
     .flags = cmd::kReadonly,
     .categories = acl::kGeo,
     .keys = {key_at(1, key::kRo | key::kAccess)},
     .group = Group::kGeo,
     .doc_flags = doc::kDeprecated,
     .since = "3.2.10",
     .summary = "Find the places within a distance of a place.",
     .complexity = "O(N+log(M)) with N places in the bounding box and M in the index",
     .deprecated_since = "6.2.0",
     .replaced_by = "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
     .arguments = "key#0 member radius:double unit(M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH] "
                  "[count{COUNT=count:integer [ANY]}] [order(ASC | DESC)]"},
    {.name = "geosearch",
     .arity = -7,
     .flags = cmd::kReadonly,
     .categories = acl::kGeo,
     .keys = {key_at(1, key::kRo | key::kAccess)},
     .group = Group::kGeo,
     .since = "6.2.0",
     .summary = "Find the places inside a circle or a box.",
     .complexity = "O(N+log(M)) with N places in the bounding box and M in the shape",
     .history = "7.0.0 Units in upper case.",
     .arguments = "key#0 from(FROMMEMBER=member | FROMLONLAT=longitude_latitude{longitude:double "
                  "latitude:double}) by(circle{BYRADIUS=radius:double unit(M | KM | FT | MI)} | "
                  "box{BYBOX=width:double height:double unit(M | KM | FT | MI)}) [order(ASC | DESC)] "
                  "[count{COUNT=count:integer [ANY]}] [WITHCOORD] [WITHDIST] [WITHHASH]"},
    {.name = "geosearchstore",
     .arity = -8,
     .flags = cmd::kWrite | cmd::kDenyOom,
     .categories = acl::kGeo,
     .keys = {key_at(1, key::kOw | key::kUpdate), key_at(2, key::kRo | key::kAccess)},
     .group = Group::kGeo,
     .since = "6.2.0",
     .summary = "Store the places inside a circle or a box.",
     .complexity = "O(N+log(M)) with N places in the bounding box and M in the shape",
     .history = "7.0.0 Units in upper case.",
     .arguments = "destination#0 source#1 from(FROMMEMBER=member | "
                  "FROMLONLAT=longitude_latitude{longitude:double latitude:double}) "
                  "by(circle{BYRADIUS=radius:double unit(M | KM | FT | MI)} | box{BYBOX=width:double "
                  "height:double unit(M | KM | FT | MI)}) [order(ASC | DESC)] "
                  "[count{COUNT=count:integer [ANY]}] [STOREDIST]"},
};
}  // namespace

constinit const std::span<const CommandSpec> kGeoCommands = kRows;

}  // namespace server
