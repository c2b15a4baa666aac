#include "server/command_keys.h"

#include "server/units.h"

namespace server {

namespace {

using Args = std::span<const std::string_view>;
using Keys = std::vector<KeyAt>;

bool is(std::string_view arg, std::string_view word) { return equals_ignoring_case(arg, word); }

// ---- key specs

// The index where the keys of a spec begin; 0: its keyword is not there, so there are none.
int64_t begin_of(const KeySpec& spec, Args args) {
  if (spec.begin == Begin::kIndex) return spec.index;
  const int64_t count = static_cast<int64_t>(args.size());
  if (spec.index > 0) {
    // The last argument is no keyword: nothing could follow it.
    for (int64_t i = spec.index; i < count - 1; ++i) {
      if (is(args[i], spec.keyword)) return i + 1;
    }
  } else {
    for (int64_t i = count + spec.index; i > 1; --i) {
      if (is(args[i], spec.keyword)) return i + 1;
    }
  }
  return 0;
}

// False: the call is not well-formed, or the spec does not tell all.
bool add_keys_of_spec(const KeySpec& spec, Args args, Keys* keys) {
  if (spec.begin == Begin::kUnknown) return false;
  const int64_t count = static_cast<int64_t>(args.size());
  int64_t first = begin_of(spec, args);
  if (first == 0) return true;
  int64_t last;
  if (spec.find == Find::kKeyNum) {
    if (first + spec.number_at >= count) return false;
    const auto number = parse_integer(args[first + spec.number_at]);
    if (!number || *number < 1 || *number > count) return false;
    first += spec.first_at;
    last = first + (*number - 1) * spec.step;
  } else if (spec.last >= 0) {
    last = first + spec.last;
  } else if (spec.limit == 0) {
    last = count + spec.last;
  } else {
    last = first + (count - first) / spec.limit + spec.last;
  }
  if (first >= count || last < first || last >= count) return false;
  for (int64_t i = first; i <= last; i += spec.step) keys->push_back({static_cast<uint32_t>(i), spec.flags});
  return !(spec.flags & key::kIncomplete);
}

bool keys_by_specs(const CommandSpec& spec, Args args, Keys* keys) {
  for (const KeySpec& key_spec : spec.keys) {
    if (key_spec.begin == Begin::kNone) break;
    if (key_spec.flags & key::kNotKey) continue;
    if (!add_keys_of_spec(key_spec, args, keys)) return false;
  }
  return true;
}

// ---- commands whose key specs cannot say all. Requires of each: the arity holds.

void keys_of_set(Args args, Keys* keys) {
  uint16_t flags = key::kOw | key::kUpdate;
  for (std::string_view arg : args.subspan(3)) {
    for (std::string_view reads : {"get", "ifeq", "ifne", "ifdeq", "ifdne"}) {
      if (is(arg, reads)) flags = key::kRw | key::kAccess | key::kUpdate;
    }
  }
  keys->push_back({1, flags});
}

void keys_of_bitfield(Args args, Keys* keys) {
  uint16_t flags = key::kRo | key::kAccess;
  for (size_t i = 2; i < args.size();) {
    const size_t after = args.size() - i - 1;
    if (is(args[i], "get") && after >= 2) {
      i += 3;
    } else if (is(args[i], "overflow") && after >= 1) {
      i += 2;
    } else {  // SET, INCRBY, or a mistake, which is taken for the worst.
      flags = key::kRw | key::kAccess | key::kUpdate;
      break;
    }
  }
  keys->push_back({1, flags});
}

// The names that BY and GET make come from the data; only the key of STORE can be told.
void keys_of_sort(Args args, Keys* keys) {
  keys->push_back({1, key::kRo | key::kAccess});
  size_t store = 0;
  for (size_t i = 2; i < args.size(); ++i) {
    if (is(args[i], "limit")) {
      i += 2;
    } else if (is(args[i], "get") || is(args[i], "by")) {
      i += 1;
    } else if (is(args[i], "store") && i + 1 < args.size()) {
      store = i + 1;  // The last one counts, and its key may be called LIMIT: no skip.
    }
  }
  if (store != 0) keys->push_back({static_cast<uint32_t>(store), key::kOw | key::kUpdate});
}

void keys_of_migrate(Args args, Keys* keys) {
  constexpr uint16_t kFlags = key::kRw | key::kAccess | key::kDelete;
  for (size_t i = 6; i < args.size(); ++i) {
    if (is(args[i], "keys")) {
      if (!args[3].empty()) return;  // The one key and KEYS: a mistake.
      for (++i; i < args.size(); ++i) keys->push_back({static_cast<uint32_t>(i), kFlags});
      return;
    }
    if (is(args[i], "auth")) {
      i += 1;
    } else if (is(args[i], "auth2")) {
      i += 2;
    }
  }
  keys->push_back({3, kFlags});
}

}  // namespace

void keys_of(const Command& command, Args args, Keys* keys) {
  keys->clear();
  if (!command.accepts(args.size())) return;
  const CommandSpec& spec = *command.spec;
  const bool variable = spec.keys[0].flags & key::kVariableFlags;
  if (!variable && keys_by_specs(spec, args, keys)) return;
  keys->clear();
  switch (spec.special_keys) {
    case SpecialKeys::kNone: return;
    case SpecialKeys::kSet: return keys_of_set(args, keys);
    case SpecialKeys::kBitfield: return keys_of_bitfield(args, keys);
    case SpecialKeys::kSort: return keys_of_sort(args, keys);
    case SpecialKeys::kSortRo: return keys->push_back({1, key::kRo | key::kAccess});
    case SpecialKeys::kMigrate: return keys_of_migrate(args, keys);
  }
}

bool may_have_keys(const Command& command) {
  for (const KeySpec& spec : command.spec->keys) {
    if (spec.begin != Begin::kNone && !(spec.flags & key::kNotKey)) return true;
  }
  return false;
}

}  // namespace server
