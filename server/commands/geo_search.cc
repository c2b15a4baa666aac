// server/commands/geo_search.cc: searches for places: GEOSEARCH, GEOSEARCHSTORE, GEORADIUS and relatives.
#include <algorithm>

#include "server/bindings.h"
#include "server/commands/geo_support.h"
#include "server/commands/zset_support.h"
#include "server/errors.h"
#include "server/long_write.h"
#include "server/units.h"

namespace server {
namespace {

enum class Order : uint8_t { kNone, kNearest, kFarthest };

enum class Form : uint8_t { kRadius, kRadiusByMember, kSearch, kSearchStore };

struct Search {
  SearchArea area;
  double unit = 1;  // Metres.
  bool has_center = false, has_shape = false, by_member = false;
  bool with_distance = false, with_hash = false, with_place = false;
  Order order = Order::kNone;
  uint64_t count = 0;  // 0: all.
  bool any = false;
  std::optional<std::string_view> store;
  bool store_distance = false;
};

struct Hit {
  std::string member;
  double score, distance;
  Place place;
};

// Reads the arguments of one command, writing the error where there is one.
class Parser {
 public:
  Parser(CommandContext& c, Form form, bool may_store, const std::optional<Header>& header, Search* search)
      : c_(c), form_(form), may_store_(may_store), header_(header), search_(*search) {}

  bool parse() {
    switch (form_) {
      case Form::kRadius:
        at_ = 6;
        return center(c_.args[2], c_.args[3]) && radius(c_.args[4], c_.args[5]) && options();
      case Form::kRadiusByMember:
        at_ = 5;
        return (!header_ || (member(c_.args[2]) && radius(c_.args[3], c_.args[4]))) && options();
      case Form::kSearch: at_ = 2; return options();
      case Form::kSearchStore:
        at_ = 3;
        search_.store = c_.args[1];
        return options();
    }
    return false;
  }

 private:
  bool searches() const { return form_ == Form::kSearch || form_ == Form::kSearchStore; }
  bool fail(std::string_view error) { return c_.reply.error(error), false; }

  bool center(std::string_view longitude, std::string_view latitude) {
    const auto place = parse_place(c_, longitude, latitude);
    if (!place) return false;
    search_.area.center = *place;
    search_.has_center = true;
    return true;
  }
  bool member(std::string_view name) {
    search_.has_center = search_.by_member = true;
    if (!header_) return true;
    const auto score = Zset(c_.view, header_).score(name);
    if (!score) return fail("ERR could not decode requested zset member");
    search_.area.center = place_of_score(*score);
    return true;
  }
  bool take_unit(std::string_view word) {
    const auto unit = parse_unit(c_, word);
    if (unit) search_.unit = *unit;
    return unit.has_value();
  }
  bool radius(std::string_view length, std::string_view unit) {
    const auto radius = parse_double(length);
    if (!radius) return fail("ERR need numeric radius");
    if (*radius < 0) return fail("ERR radius cannot be negative");
    if (!take_unit(unit)) return false;
    search_.area.radius = *radius * search_.unit;
    search_.area.box = false;
    search_.has_shape = true;
    return true;
  }
  bool box(std::string_view width_text, std::string_view height_text, std::string_view unit) {
    const auto width = parse_double(width_text);
    if (!width) return fail("ERR need numeric width");
    const auto height = parse_double(height_text);
    if (!height) return fail("ERR need numeric height");
    if (*width < 0 || *height < 0) return fail("ERR height or width cannot be negative");
    if (!take_unit(unit)) return false;
    search_.area.width = *width * search_.unit;
    search_.area.height = *height * search_.unit;
    search_.area.box = search_.has_shape = true;
    return true;
  }

  // The word at at_, and whether so many more follow it.
  bool word(std::string_view expected, size_t more = 0) const {
    return equals_ignoring_case(c_.args[at_], expected) && at_ + more < c_.args.size();
  }
  std::string_view argument(size_t n) const { return c_.args[at_ + n]; }

  bool options() {
    for (; at_ < c_.args.size(); ++at_)
      if (!option()) return false;
    return consistent();
  }
  bool option() {
    if (word("withdist")) return search_.with_distance = true;
    if (word("withhash")) return search_.with_hash = true;
    if (word("withcoord")) return search_.with_place = true;
    if (word("any")) return search_.any = true;
    if (word("asc")) return search_.order = Order::kNearest, true;
    if (word("desc")) return search_.order = Order::kFarthest, true;
    if (word("count", 1)) {
      const auto count = parse_integer(argument(1));
      if (!count) return fail(kNotAnInteger);
      if (*count <= 0) return fail("ERR COUNT must be > 0");
      search_.count = static_cast<uint64_t>(*count);
      return skip(1);
    }
    if (!searches() && may_store_ && (word("store", 1) || word("storedist", 1))) {
      search_.store_distance = word("storedist");
      search_.store = argument(1);
      return skip(1);
    }
    if (!searches()) return fail(kSyntaxError);
    if (form_ == Form::kSearchStore && word("storedist")) return search_.store_distance = true;
    const bool by_place = search_.has_center && !search_.by_member;
    if (word("frommember", 1) && !by_place) return member(argument(1)) && skip(1);
    if (word("fromlonlat", 2) && !search_.by_member) return center(argument(1), argument(2)) && skip(2);
    const bool by_box = search_.has_shape && search_.area.box, by_radius = search_.has_shape && !by_box;
    if (word("byradius", 2) && !by_box) return radius(argument(1), argument(2)) && skip(2);
    if (word("bybox", 3) && !by_radius) return box(argument(1), argument(2), argument(3)) && skip(3);
    return fail(kSyntaxError);
  }
  bool skip(size_t arguments) {
    at_ += arguments;
    return true;
  }

  bool consistent() {
    if (search_.store && (search_.with_distance || search_.with_hash || search_.with_place)) {
      return fail(
          std::string(form_ == Form::kSearchStore ? "ERR GEOSEARCHSTORE" : "ERR STORE option in GEORADIUS") +
          " is not compatible with WITHDIST, WITHHASH and WITHCOORD options");
    }
    const std::string name(c_.args[0]);
    if (searches() && !search_.has_center)
      return fail("ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for " + name);
    if (searches() && !search_.has_shape)
      return fail("ERR exactly one of BYRADIUS and BYBOX can be specified for " + name);
    if (search_.any && search_.count == 0) return fail("ERR the ANY argument requires COUNT argument");
    return true;
  }

  CommandContext& c_;
  Form form_;
  bool may_store_;
  const std::optional<Header>& header_;
  Search& search_;
  size_t at_ = 0;
};

std::vector<Hit> find(CommandContext& c, const Header& header, const Search& search) {
  Zset zset(c.view, header);
  std::vector<Hit> hits;
  const uint64_t enough = search.any ? search.count : 0;
  for (const ScoreRange& range : ranges_of(search.area)) {
    const std::string end = border_at(range.end);
    for (auto cursor = zset.first_from(border_at(range.first)); cursor.valid() && cursor.lies_before(end);
         cursor.next()) {
      c.view.charge(1);
      const Place place = place_of_score(cursor.score());
      double distance = 0;
      if (!search.area.contains(place, &distance)) continue;
      hits.push_back({std::string(cursor.member()), cursor.score(), distance, place});
      if (hits.size() == enough) return hits;
    }
  }
  return hits;
}

void sort_and_cut(const Search& search, std::vector<Hit>* hits) {
  Order order = search.order;
  // The first few of an unordered search would be any: the nearest are meant.
  if (order == Order::kNone && search.count > 0 && !search.any) order = Order::kNearest;
  if (order == Order::kNearest)
    std::stable_sort(hits->begin(), hits->end(),
                     [](const Hit& a, const Hit& b) { return a.distance < b.distance; });
  if (order == Order::kFarthest)
    std::stable_sort(hits->begin(), hits->end(),
                     [](const Hit& a, const Hit& b) { return a.distance > b.distance; });
  if (search.count > 0 && hits->size() > search.count)
    hits->erase(hits->begin() + static_cast<int64_t>(search.count), hits->end());
}

void reply_hits(CommandContext& c, const Search& search, const std::vector<Hit>& hits) {
  const size_t extras = static_cast<size_t>(search.with_distance) + static_cast<size_t>(search.with_hash) +
                        static_cast<size_t>(search.with_place);
  c.reply.array(hits.size());
  for (const Hit& hit : hits) {
    if (extras > 0) c.reply.array(1 + extras);
    c.reply.bulk(hit.member);
    if (search.with_distance) reply_distance(c, hit.distance / search.unit);
    if (search.with_hash) c.reply.integer(static_cast<int64_t>(hit.score));
    if (search.with_place) reply_place(c, hit.place);
  }
}

void run(CommandContext& c, Form form, bool may_store) {
  std::optional<Header> header;
  const std::string_view source = c.args[form == Form::kSearchStore ? 2 : 1];
  if (!find_zset(c, source, &header)) return;
  if (!header && may_store) c.event(notify::kKeyMiss, "keymiss", source);  // It may write, but this it reads.
  Search search;
  if (!Parser(c, form, may_store, header, &search).parse()) return;
  if (search.store) may_take_long(c, *search.store);
  std::vector<Hit> hits;
  if (header) hits = find(c, *header, search);
  sort_and_cut(search, &hits);
  if (!search.store) return reply_hits(c, search, hits);
  MemberList list;
  for (const Hit& hit : hits)
    list.add(hit.member, search.store_distance ? hit.distance / search.unit : hit.score);
  list.sort();
  list.store(c, *search.store, form == Form::kSearchStore ? "geosearchstore" : "georadiusstore");
  c.reply.integer(static_cast<int64_t>(list.size()));
}

void georadius(CommandContext& c) { run(c, Form::kRadius, true); }
void georadius_ro(CommandContext& c) { run(c, Form::kRadius, false); }
void georadiusbymember(CommandContext& c) { run(c, Form::kRadiusByMember, true); }
void georadiusbymember_ro(CommandContext& c) { run(c, Form::kRadiusByMember, false); }
void geosearch(CommandContext& c) { run(c, Form::kSearch, false); }
void geosearchstore(CommandContext& c) { run(c, Form::kSearchStore, true); }

constexpr Binding kBindings[] = {
    {"georadius", &georadius},
    {"georadius_ro", &georadius_ro},
    {"georadiusbymember", &georadiusbymember},
    {"georadiusbymember_ro", &georadiusbymember_ro},
    {"geosearch", &geosearch},
    {"geosearchstore", &geosearchstore},
};

}  // namespace

void bind_geo_search_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
