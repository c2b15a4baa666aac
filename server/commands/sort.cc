// server/commands/sort.cc: SORT and SORT_RO.
//
//     SORT key [BY pattern] [LIMIT offset count] [GET pattern …] [ASC|DESC] [ALPHA] [STORE destination]
//
// What is sorted is a list, a set or a sorted set; BY and GET name other keys by its elements: the first '*'
// of a pattern stands for the element, and "->field" behind it for a field of a hash. Those keys are fetched
// in one round, and a long SORT_RO goes on on a worker.
#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "server/authorize.h"
#include "server/bindings.h"
#include "server/commands/string_support.h"
#include "server/errors.h"
#include "server/long_write.h"
#include "server/server.h"
#include "server/types/hash.h"
#include "server/types/list.h"
#include "server/types/set.h"
#include "server/types/zset.h"
#include "server/units.h"

namespace server {
namespace {

// ---- patterns

class Pattern {
 public:
  explicit Pattern(std::string_view text) : element_(text == "#") {
    const size_t star = text.find('*');
    if (element_ || star == std::string_view::npos) return;
    names_keys_ = true;
    before_ = text.substr(0, star);
    after_ = text.substr(star + 1);
    const size_t arrow = after_.find("->");
    if (arrow == std::string_view::npos || arrow + 2 == after_.size()) return;
    field_ = after_.substr(arrow + 2);
    after_ = after_.substr(0, arrow);
  }

  bool names_keys() const { return names_keys_; }
  std::string key(std::string_view element) const {
    return std::string(before_).append(element).append(after_);
  }
  // What it stands for; nothing if there is no such key or field, or one of another type.
  std::optional<std::string> value(CommandContext& c, std::string_view element) const {
    if (element_) return std::string(element);
    if (!names_keys_) return std::nullopt;
    const std::string key = this->key(element);
    const auto header = c.view.header(c.database, key);
    if (!header || header->type != (field_ ? Type::kHash : Type::kString)) return std::nullopt;
    if (!field_) {
      std::string scratch;
      return std::string(read_string(c.view, *header, &scratch));
    }
    Hash hash(c.view, c.database, key, header);
    hash.load({&*field_, 1});
    const auto* const field = hash.field(0);
    return field ? std::optional<std::string>(field->value) : std::nullopt;
  }

 private:
  bool element_;
  bool names_keys_ = false;
  std::string_view before_, after_;
  std::optional<std::string_view> field_;
};

// ---- what is asked

struct Options {
  std::optional<Pattern> by;
  std::vector<Pattern> gets;
  int64_t offset = 0, count = -1;
  bool descending = false, alphabetic = false;
  bool sorted = true;  // BY something without '*': as the elements come.
  std::optional<std::string_view> store;
};

// Keys that a pattern makes up are in no rule's sight: only who may read all of them may do that. A worker
// runs only what has been asked already.
bool may_look_anywhere(CommandContext& c, const char* option) {
  if (c.view.on_worker() || may_read_every_key(c.client, *c.server.table().find(c.args), c.args)) return true;
  c.reply.error(std::string("ERR ") + option + " option of SORT denied due to insufficient ACL permissions.");
  return false;
}

bool parse_options(CommandContext& c, bool may_store, Options* options) {
  const auto args = c.args;
  for (size_t i = 2; i < args.size(); ++i) {
    const size_t rest = args.size() - i - 1;
    if (equals_ignoring_case(args[i], "asc")) {
      options->descending = false;
    } else if (equals_ignoring_case(args[i], "desc")) {
      options->descending = true;
    } else if (equals_ignoring_case(args[i], "alpha")) {
      options->alphabetic = true;
    } else if (equals_ignoring_case(args[i], "limit") && rest >= 2) {
      const auto offset = parse_integer(args[i + 1]);
      const auto count = parse_integer(args[i + 2]);
      if (!offset || !count) return c.reply.error(kNotAnInteger), false;
      options->offset = *offset;
      options->count = *count;
      i += 2;
    } else if (may_store && equals_ignoring_case(args[i], "store") && rest >= 1) {
      options->store = args[++i];
    } else if (equals_ignoring_case(args[i], "by") && rest >= 1) {
      options->by.emplace(args[++i]);
      // As in Redis: once not sorted, a later BY does not bring it back.
      if (args[i].find('*') == std::string_view::npos) {
        options->sorted = false;
      } else if (!may_look_anywhere(c, "BY")) {
        return false;
      }
    } else if (equals_ignoring_case(args[i], "get") && rest >= 1) {
      if (!may_look_anywhere(c, "GET")) return false;
      options->gets.emplace_back(args[++i]);
    } else {
      return c.reply.error(kSyntaxError), false;
    }
  }
  return true;
}

// ---- elements

uint64_t size_of(CommandContext& c, const Header& header) {
  const std::string_view key = c.args[1];
  switch (header.type) {
    case Type::kList: return List(c.view, c.database, key, header).size();
    case Type::kSet: return Set(c.view, c.database, key, header).size();
    default: return Zset(c.view, header).size();
  }
}

// `count` elements from the `first` on, in the order of the type, from its end if `backward`. A set: all.
std::vector<std::string> elements_of(CommandContext& c, const Header& header, uint64_t first, uint64_t count,
                                     bool backward) {
  std::vector<std::string> elements;
  if (count == 0) return elements;
  const std::string_view key = c.args[1];
  elements.reserve(count);
  if (header.type == Type::kList) {
    List list(c.view, c.database, key, header);
    const uint64_t from = backward ? list.size() - 1 - first : first;
    for (List::Walk walk(list, from, !backward, count); walk.next();) elements.emplace_back(walk.value());
  } else if (header.type == Type::kSet) {
    Set(c.view, c.database, key, header).each([&](const Set::Member& member) {
      elements.emplace_back(member.name);
      return true;
    });
  } else {
    Zset zset(c.view, header);
    auto cursor = zset.at(backward ? zset.size() - 1 - first : first);
    for (; elements.size() < count && cursor.valid(); cursor.step(backward))
      elements.emplace_back(cursor.member());
  }
  return elements;
}

// ---- sorting

struct Sortable {
  std::string element;
  double score = 0;
  std::optional<std::string> text;  // Of ALPHA with BY.
};

// As strtod takes it whole; an empty text is 0.
std::optional<double> parse_score(const std::string& text) {
  errno = 0;
  char* end = nullptr;
  const double score = std::strtod(text.c_str(), &end);
  if (*end != '\0' || errno == ERANGE || std::isnan(score)) return std::nullopt;
  return score;
}

// Gives each what it is sorted by; false if one is no number.
bool weigh(CommandContext& c, const Options& options, std::vector<Sortable>* all) {
  bool numbers = true;
  for (Sortable& one : *all) {
    if (options.alphabetic) {
      if (options.by) one.text = options.by->value(c, one.element);
      continue;
    }
    const auto text = options.by ? options.by->value(c, one.element) : one.element;
    if (!text) continue;
    const auto score = parse_score(*text);
    numbers &= score.has_value();
    one.score = score.value_or(0);
  }
  return numbers;
}

void sort_all(const Options& options, std::vector<Sortable>* all) {
  const auto before = [&](const Sortable& a, const Sortable& b) {
    if (options.alphabetic) return options.by ? a.text < b.text : a.element < b.element;
    return a.score != b.score ? a.score < b.score : a.element < b.element;
  };
  std::stable_sort(all->begin(), all->end(), [&](const Sortable& a, const Sortable& b) {
    return options.descending ? before(b, a) : before(a, b);
  });
}

void prefetch(CommandContext& c, std::span<const Pattern* const> patterns,
              std::span<const Sortable> elements) {
  std::vector<std::string> keys;
  for (const Pattern* pattern : patterns) {
    if (!pattern->names_keys()) continue;
    for (const Sortable& one : elements) keys.push_back(pattern->key(one.element));
  }
  if (keys.empty()) return;
  const std::vector<std::string_view> views(keys.begin(), keys.end());
  c.view.prefetch_headers(c.database, views);
}

// ---- the outcome

void store(CommandContext& c, std::string_view key, const std::vector<std::string>& values) {
  const bool there = c.view.header(c.database, key).has_value();
  if (there) c.view.erase_header(c.database, key);
  if (!values.empty()) {
    List list(c.view, c.database, key, std::nullopt);
    for (const std::string& value : values) list.push(End::kRight, value);
    list.save();
    c.event(notify::kList, "sortstore", key);
  } else if (there) {
    c.event(notify::kGeneric, "del", key);
  }
  c.reply.integer(static_cast<int64_t>(values.size()));
}

void run(CommandContext& c, bool may_store) {
  Options options;
  if (!parse_options(c, may_store, &options)) return;
  if (options.store) may_take_long(c, *options.store);
  const auto header = c.view.header(c.database, c.args[1]);
  if (header && header->type != Type::kList && header->type != Type::kSet && header->type != Type::kZset)
    return c.reply.error(kWrongType);
  // A set has no order of its own that may be kept, or be seen by a script.
  if (!options.sorted && header && header->type == Type::kSet && (options.store || c.block == nullptr)) {
    options.sorted = true;
    options.alphabetic = true;
    options.by.reset();
  }

  // Which of them are wanted: [begin, end).
  const uint64_t size = header ? size_of(c, *header) : 0;
  const uint64_t begin = std::min(static_cast<uint64_t>(std::max<int64_t>(options.offset, 0)), size);
  const uint64_t end =
      options.count < 0 ? size : begin + std::min(static_cast<uint64_t>(options.count), size - begin);

  std::vector<Sortable> all;
  if (options.sorted || (header && header->type == Type::kSet)) {
    if (header) {
      if (options.sorted) c.view.charge(size * std::bit_width(size) / 8);
      for (std::string& element : elements_of(c, *header, 0, size, false))
        all.push_back({std::move(element), 0, {}});
    }
    std::vector<const Pattern*> patterns;
    if (options.sorted && options.by) patterns.push_back(&*options.by);
    if (end - begin == size)
      for (const Pattern& get : options.gets) patterns.push_back(&get);
    prefetch(c, patterns, all);
    if (options.sorted) {
      if (!weigh(c, options, &all))
        return c.reply.error("ERR One or more scores can't be converted into double");
      sort_all(options, &all);
    }
    all.erase(all.begin() + static_cast<ptrdiff_t>(end), all.end());
    all.erase(all.begin(), all.begin() + static_cast<ptrdiff_t>(begin));
  } else if (header) {
    for (std::string& element : elements_of(c, *header, begin, end - begin, options.descending))
      all.push_back({std::move(element), 0, {}});
  }

  std::vector<const Pattern*> gets;
  for (const Pattern& get : options.gets) gets.push_back(&get);
  prefetch(c, gets, all);
  if (!options.store) c.reply.array(all.size() * std::max<size_t>(gets.size(), 1));
  std::vector<std::string> values;  // To be stored.
  for (const Sortable& one : all) {
    if (gets.empty()) {
      options.store ? void(values.push_back(one.element)) : c.reply.bulk(one.element);
      continue;
    }
    for (const Pattern* get : gets) {
      const auto value = get->value(c, one.element);
      if (options.store)
        values.push_back(value.value_or(""));
      else
        value ? c.reply.bulk(*value) : c.reply.null();
    }
  }
  if (options.store) store(c, *options.store, values);
}

void sort(CommandContext& c) { run(c, true); }
void sort_ro(CommandContext& c) { run(c, false); }

constexpr Binding kBindings[] = {{"sort", &sort}, {"sort_ro", &sort_ro}};

}  // namespace

void bind_sort_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
