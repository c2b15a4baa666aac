// A selector as rules again.
#include <string>

#include "engine/status.h"
#include "server/acl/selector.h"

namespace server {

// Finds rules that give a selector's commands: categories first, each time the one that fits best, then the
// single commands on which they are wrong. What the rules so far come to is kept in `made_`, so the end can
// be checked.
class AclSelector::CommandRules {
 public:
  CommandRules(const CommandTable& table, const AclSelector& wanted) : table_(table), wanted_(wanted) {
    adds_ = !wanted.future_commands_;
    made_.allow_all_commands(!adds_);
    text_ = adds_ ? "-@all" : "+@all";
    add_categories();
    add_commands();
    INVARIANT(made_.commands_ == wanted.commands_);
  }
  std::string take() { return std::move(text_); }

 private:
  // How many of a category's commands a rule would get wrong and right.
  struct Fit {
    size_t wrong = 0, right = 0;
    bool better_than(const Fit& other) const {
      return wrong < other.wrong || (wrong == other.wrong && right > other.right);
    }
  };
  Fit fit(const AclSelector& left, uint32_t category) const {
    size_t on = 0, off = 0;
    for (const Command& command : table_.commands()) {
      // Redis's own commands decide, so that rules read as they do there.
      if (!(command.categories & category) || command.spec->origin != Origin::kRedis70 ||
          (command.flags & cmd::kOnlySentinel)) {
        continue;
      }
      ++(left.commands_.test(command.id) ? on : off);
    }
    return adds_ ? Fit{off, on} : Fit{on, off};
  }

  void add_categories() {
    AclSelector left = wanted_;  // What no category has covered yet.
    uint32_t tried = 0;
    for (;;) {
      uint32_t best = 0;
      Fit best_fit{SIZE_MAX, 0};
      for (int i = 0; i < acl::kCategoryCount; ++i) {
        const uint32_t category = uint32_t{1} << i;
        if (tried & category) continue;
        const Fit its = fit(left, category);
        if (its.right <= its.wrong || !its.better_than(best_fit)) continue;
        best = category;
        best_fit = its;
      }
      if (best == 0) return;
      tried |= best;
      made_.allow_category(table_, best, adds_);
      left.allow_category(table_, best, !adds_);
      text_.append(adds_ ? " +@" : " -@").append(category_name(best));
    }
  }

  void add_commands() {
    for (const Command& command : table_.commands()) {
      if (command.flags & cmd::kOnlySentinel) continue;
      const bool allowed = wanted_.commands_.test(command.id);
      if (made_.commands_.test(command.id) != allowed) {
        made_.allow(table_, command, allowed);
        text_.append(allowed ? " +" : " -").append(command.name);
      }
      const auto first = wanted_.first_arguments_.find(command.id);
      if (allowed || first == wanted_.first_arguments_.end()) continue;
      for (const std::string& argument : first->second) {
        text_.append(" +").append(command.name).append("|").append(argument);
      }
    }
  }

  const CommandTable& table_;
  const AclSelector& wanted_;
  bool adds_;  // Rules add to nothing; or else they take from everything.
  AclSelector made_{false};
  std::string text_;
};

std::string AclSelector::command_rules(const CommandTable& table) const {
  return CommandRules(table, *this).take();
}

std::string AclSelector::key_rules() const {
  if (all_keys_) return "~*";
  std::string text;
  for (const KeyPattern& pattern : keys_) {
    if (!text.empty()) text += ' ';
    text += pattern.access == kReads ? "%R~" : pattern.access == kWrites ? "%W~" : "~";
    text += pattern.text;
  }
  return text;
}

std::string AclSelector::channel_rules() const {
  if (all_channels_) return "&*";
  std::string text;
  for (const std::string& channel : channels_) {
    if (!text.empty()) text += ' ';
    text += "&" + channel;
  }
  return text;
}

std::string AclSelector::rules(const CommandTable& table) const {
  std::string text = key_rules();
  if (!text.empty()) text += ' ';
  if (!all_channels_) text += "resetchannels ";
  const std::string channels = channel_rules();
  if (!channels.empty()) text += channels + ' ';
  return text + command_rules(table);
}

}  // namespace server
