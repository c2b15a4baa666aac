#include "server/command_table.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <map>

#include "engine/status.h"
#include "server/commands/table.h"
#include "server/units.h"

namespace server {

namespace {

constexpr std::string_view kCategoryNames[acl::kCategoryCount] = {
    "keyspace", "read",   "write",       "set",       "sortedset",  "list",        "hash",
    "string",   "bitmap", "hyperloglog", "geo",       "stream",     "pubsub",      "admin",
    "fast",     "slow",   "blocking",    "dangerous", "connection", "transaction", "scripting"};

uint32_t categories_of(const CommandSpec& spec) {
  uint32_t categories = spec.categories;
  if (spec.flags & cmd::kWrite) categories |= acl::kWrite;
  // Scripts that only read are no @read: who may read is not to run scripts by that.
  if ((spec.flags & cmd::kReadonly) && !(categories & acl::kScripting)) categories |= acl::kRead;
  if (spec.flags & cmd::kAdmin) categories |= acl::kAdmin | acl::kDangerous;
  if (spec.flags & cmd::kPubsub) categories |= acl::kPubsub;
  if (spec.flags & cmd::kFast) categories |= acl::kFast;
  if (spec.flags & cmd::kBlocking) categories |= acl::kBlocking;
  if (!(categories & acl::kFast)) categories |= acl::kSlow;
  return categories;
}

// first_key, last_key, key_step and kMovableKeys from the key specs. One range says it all. Of several, those
// that follow each other key by key are taken together, and what is left out makes the keys movable.
void derive_key_range(Command& command) {
  std::span<const KeySpec> specs(command.spec->keys);
  while (!specs.empty() && specs.back().begin == Begin::kNone) specs = specs.first(specs.size() - 1);
  if (specs.empty()) return;
  const auto is_plain = [](const KeySpec& s) { return s.begin == Begin::kIndex && s.find == Find::kRange; };
  bool movable = false;
  if (specs.size() == 1 && is_plain(specs[0])) {
    const KeySpec& only = specs[0];
    command.first_key = only.index;
    command.last_key = only.last >= 0 ? static_cast<int16_t>(only.index + only.last) : only.last;
    command.key_step = only.step;
    movable = only.flags & key::kIncomplete;
  } else {
    int first = 0, last = 0;  // A last key counted from the end (< 0) is later than any other.
    for (const KeySpec& s : specs) {
      if (!is_plain(s) || s.step != 1 || (last != 0 && last != s.index - 1)) {
        movable = true;
        continue;
      }
      if (s.flags & key::kIncomplete) movable = true;
      if (first == 0 || s.index < first) first = s.index;
      const int own_last = s.last >= 0 ? s.index + s.last : s.last;
      last = static_cast<int>(std::max(static_cast<unsigned>(last), static_cast<unsigned>(own_last)));
    }
    if (first == 0) movable = true;
    command.first_key = static_cast<int16_t>(first);
    command.last_key = static_cast<int16_t>(last);
    command.key_step = first == 0 ? 0 : 1;
  }
  if (movable) command.flags |= cmd::kMovableKeys;
}

// ASCII letters of eight bytes in lower case at once: the top bit of each byte of `upper` marks a capital.
uint64_t fold(uint64_t bytes) {
  constexpr uint64_t kEach = 0x0101010101010101;
  const uint64_t low7 = bytes & (0x7f * kEach);
  const uint64_t from_a = low7 + (0x80 - 'A') * kEach;
  const uint64_t beyond_z = low7 + (0x7f - 'Z') * kEach;
  const uint64_t upper = (from_a ^ beyond_z) & ~bytes & (0x80 * kEach);
  return bytes | (upper >> 2);
}

template <typename Number>
uint64_t load(const char* at) {
  Number number;
  std::memcpy(&number, at, sizeof(number));
  return number;
}

// Little-endian, padded with zeros. By overlapping loads: a memcpy of unknown size costs as much as all the
// rest of a look-up. Requires: 1 <= size <= 8.
uint64_t load_up_to_8(const char* at, size_t size) {
  if (size >= 4) return load<uint32_t>(at) | load<uint32_t>(at + size - 4) << 8 * (size - 4);
  return load<uint8_t>(at) | load<uint8_t>(at + size / 2) << 8 * (size / 2) |
         load<uint8_t>(at + size - 1) << 8 * (size - 1);
}

constexpr size_t kWordBytesMax = 24;  // No name or subcommand's name is longer, but what one is renamed to.
constexpr uint32_t kNoParent = 0xffff;

struct Word {
  std::array<uint64_t, 3> bytes{};  // In lower case, padded with zero bytes.
  uint32_t parent = kNoParent;
  bool operator==(const Word&) const = default;
};

}  // namespace

// Names by open addressing: at most a quarter full, so nearly every probe is the first one.
struct CommandTable::Names {
  static constexpr uint32_t kSlotBits = 11;
  static constexpr uint32_t kSlots = 1u << kSlotBits;
  static constexpr uint16_t kFree = 0xffff;

  std::array<uint16_t, kSlots> slots;
  std::vector<Word> words;                     // By id. One of zeros: it has no name any more.
  std::map<std::string, uint16_t> long_words;  // In lower case: new names that are no Word.

  static bool word_of(std::string_view text, uint32_t parent, Word* word) {
    // A zero byte would be taken for padding; no name has one.
    if (text.empty() || text.size() > kWordBytesMax || text.back() == '\0') return false;
    size_t i = 0;
    const char* at = text.data();
    size_t left = text.size();
    for (; left > 8; left -= 8, at += 8) word->bytes[i++] = fold(load<uint64_t>(at));
    word->bytes[i] = fold(load_up_to_8(at, left));
    word->parent = parent;
    return true;
  }
  static uint32_t slot_of(const Word& word) {
    const uint64_t hash = word.bytes[0] * 0x9e3779b97f4a7c15 + word.bytes[1] * 0xbf58476d1ce4e5b9 +
                          (word.bytes[2] ^ (uint64_t{word.parent} << 40)) * 0x94d049bb133111eb;
    return static_cast<uint32_t>(hash >> (64 - kSlotBits));
  }
  uint16_t find(const Word& word) const {
    for (uint32_t slot = slot_of(word);; slot = (slot + 1) % kSlots) {
      if (slots[slot] == kFree || words[slots[slot]] == word) return slots[slot];
    }
  }
  uint16_t find(std::string_view text, uint32_t parent) const {
    Word word;
    if (word_of(text, parent, &word)) [[likely]]
      return find(word);
    if (long_words.empty() || parent != kNoParent) return kFree;
    const auto at = long_words.find(lower(text));
    return at == long_words.end() ? kFree : at->second;
  }
  void add(std::string_view text, uint32_t parent) {
    Word word;
    INVARIANT(word_of(text, parent, &word));
    INVARIANT(find(word) == kFree);
    words.push_back(word);
    put(word, static_cast<uint16_t>(words.size() - 1));
    INVARIANT(words.size() <= kSlots / 4);
  }
  void put(const Word& word, uint16_t id) {
    uint32_t slot = slot_of(word);
    while (slots[slot] != kFree) slot = (slot + 1) % kSlots;
    slots[slot] = id;
  }
  // The slot of the old name stays where it is, and leads past itself.
  void rename(uint16_t id, std::string_view text) {
    std::erase_if(long_words, [&](const auto& entry) { return entry.second == id; });
    words[id] = Word{};
    if (text.empty()) return;
    Word word;
    if (!word_of(text, kNoParent, &word)) {
      long_words.emplace(lower(text), id);
      return;
    }
    words[id] = word;
    put(word, id);
  }
};

CommandTable::CommandTable() : names_(std::make_unique<Names>()) {
  names_->slots.fill(Names::kFree);
  for (std::span<const CommandSpec> family :
       {kStringCommands, kGenericCommands, kListCommands, kSetCommands, kSortedSetCommands, kHashCommands,
        kStreamCommands, kBitmapCommands, kHyperLogLogCommands, kGeoCommands, kPubsubCommands,
        kTransactionCommands, kScriptingCommands, kConnectionCommands, kServerCommands,
        kIntrospectionCommands, kClusterCommands, kSentinelCommands}) {
    for (const CommandSpec& spec : family) {
      Command command;
      command.spec = &spec;
      command.name = spec.name;
      command.flags = spec.flags;
      command.categories = categories_of(spec);
      command.id = command.parent = static_cast<uint16_t>(commands_.size());
      derive_key_range(command);
      const size_t bar = command.name.find('|');
      if (bar == std::string_view::npos) {
        names_->add(command.name, kNoParent);
      } else {
        Command& last = commands_.back();
        command.parent = last.parent;
        Command& container = commands_[last.parent];
        INVARIANT(container.name == command.name.substr(0, bar));  // T1
        ++container.subcommand_count;
        names_->add(command.name.substr(bar + 1), container.id);
      }
      commands_.push_back(command);
    }
  }
}

CommandTable::CommandTable(CommandTable&&) noexcept = default;
CommandTable::~CommandTable() = default;

void CommandTable::bind(std::span<const Binding> bindings) {
  for (const Binding& binding : bindings) {
    const Command* found = lookup(binding.name);
    INVARIANT(found != nullptr && found->handler == nullptr && binding.handler != nullptr);
    Command& command = commands_[found->id];
    command.handler = binding.handler;
    command.served = commands_[command.parent].served = true;  // T3
  }
}

CommandTable::Renamed CommandTable::rename(std::string_view name, std::string_view new_name) {
  const Command* const found = find_word(*names_, name, kNoParent);
  if (found == nullptr || !found->served) return Renamed::kUnknown;
  const Command* const there = find_word(*names_, new_name, kNoParent);
  if (there != nullptr && there != found) return Renamed::kTaken;
  if (!own_names_) own_names_ = std::make_unique<Names>(*names_);  // T4
  names_->rename(found->id, new_name);
  if (new_name.empty())
    for (size_t i = 0; i <= found->subcommand_count; ++i) commands_[found->id + i].served = false;
  return Renamed::kDone;
}

const Command* CommandTable::find_word(const Names& names, std::string_view word, uint32_t parent) const {
  const uint16_t id = names.find(word, parent);
  return id == Names::kFree ? nullptr : &commands_[id];
}

const Command* CommandTable::find(std::span<const std::string_view> args) const {
  const Command* command = find_word(*names_, args[0], kNoParent);
  if (command == nullptr) return nullptr;
  if (command->subcommand_count > 0) {
    if (args.size() > 1) {
      command = find_word(*names_, args[1], command->id);
    } else if (command->handler == nullptr && command->accepts(1)) {
      return nullptr;
    }
  }
  return command != nullptr && command->served ? command : nullptr;
}

const Command* CommandTable::lookup(std::string_view full_name) const {
  const Names& names = own_names_ ? *own_names_ : *names_;
  const size_t bar = full_name.find('|');
  const Command* command = find_word(names, full_name.substr(0, bar), kNoParent);
  if (command == nullptr || bar == std::string_view::npos) return command;
  return find_word(names, full_name.substr(bar + 1), command->id);
}

namespace {

constexpr size_t kEchoBytesMax = 128;  // So much of what a client sent is shown to it.

// As printf's %.*s shows it: up to a zero byte.
std::string_view shown(std::string_view text, size_t bytes_max) {
  return text.substr(0, std::min(bytes_max, text.find('\0')));
}

}  // namespace

std::string unknown_command_message(const CommandTable& table, std::span<const std::string_view> args) {
  std::string message;
  const Command* container = table.find(args.first(1));
  if (args.size() > 1 && container != nullptr && container->subcommand_count > 0) {
    message.append("unknown subcommand '").append(shown(args[1], kEchoBytesMax)).append("'. Try ");
    for (char c : container->name) message += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    message.append(" HELP.");
  } else {
    std::string beginning;
    for (std::string_view arg : args.subspan(1)) {
      if (beginning.size() >= kEchoBytesMax) break;
      const size_t room = kEchoBytesMax - beginning.size();
      beginning.append("'").append(shown(arg, room)).append("' ");
    }
    message.append("unknown command '").append(shown(args[0], kEchoBytesMax));
    message.append("', with args beginning with: ").append(beginning);
  }
  for (char& c : message) {
    if (c == '\r' || c == '\n') c = ' ';  // An error is one line.
  }
  return message;
}

std::string wrong_arity_message(const Command& command) {
  return std::string("wrong number of arguments for '").append(command.name).append("' command");
}

std::string_view category_name(uint32_t category) {
  INVARIANT(std::has_single_bit(category) && category < 1u << acl::kCategoryCount);
  return kCategoryNames[std::countr_zero(category)];
}

uint32_t category_of(std::string_view name) {
  for (int i = 0; i < acl::kCategoryCount; ++i) {
    if (equals_ignoring_case(name, kCategoryNames[i])) return 1u << i;
  }
  return 0;
}

}  // namespace server
