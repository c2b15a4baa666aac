#include "server/acl/user.h"

#include <algorithm>

#include "server/acl/password.h"
#include "server/config/entry.h"
#include "server/units.h"

namespace server {

AclError AclUser::apply(const AclGround& ground, std::string_view rule) {
  const auto is = [&](std::string_view word) { return equals_ignoring_case(rule, word); };
  AclError error = AclError::kNone;
  if (rule.empty()) return error;
  if (is("on")) {
    enabled_ = true;
  } else if (is("off")) {
    enabled_ = false;
  } else if (is("skip-sanitize-payload")) {
    sanitize_ = Sanitize::kSkip;
  } else if (is("sanitize-payload")) {
    sanitize_ = Sanitize::kYes;
  } else if (is("nopass") || is("resetpass")) {
    no_password_ = is("nopass");
    passwords_.clear();
  } else if (rule[0] == '>' || rule[0] == '#' || rule[0] == '<' || rule[0] == '!') {
    error = add_or_remove_password(rule);
  } else if (rule.size() > 1 && rule[0] == '(' && rule.back() == ')') {
    error = add_selector(ground, rule.substr(1, rule.size() - 2));
  } else if (is("clearselectors")) {
    selectors_.resize(1, selectors_[0]);
  } else if (is("reset")) {
    reset(ground);
  } else {
    error = selectors_[0].apply(ground.table, rule);
  }
  unrestricted_ = std::any_of(selectors_.begin(), selectors_.end(),
                              [](const AclSelector& selector) { return selector.unrestricted(); });
  return error;
}

void AclUser::reset(const AclGround& ground) {
  const AclUser fresh(name_, ground);
  take_over(fresh);
  sanitize_ = Sanitize::kYes;
}

AclError AclUser::add_or_remove_password(std::string_view rule) {
  const bool hashed = rule[0] == '#' || rule[0] == '!';
  if (hashed && !is_password_hash(rule.substr(1))) return AclError::kBadHash;
  std::string hash = hashed ? std::string(rule.substr(1)) : password_hash(rule.substr(1));
  const auto found = std::find(passwords_.begin(), passwords_.end(), hash);
  if (rule[0] == '<' || rule[0] == '!') {
    if (found == passwords_.end()) return AclError::kNoSuchPassword;
    passwords_.erase(found);
    return AclError::kNone;
  }
  if (found == passwords_.end()) passwords_.push_back(std::move(hash));
  no_password_ = false;
  return AclError::kNone;
}

AclError AclUser::add_selector(const AclGround& ground, std::string_view rules) {
  AclSelector selector(ground.all_channels_at_first);
  for (const std::string& rule : split_words(rules).value_or(std::vector<std::string>())) {
    if (const AclError error = selector.apply(ground.table, rule); error != AclError::kNone) return error;
  }
  selectors_.push_back(std::move(selector));
  return AclError::kNone;
}

void AclUser::take_over(const AclUser& other) {
  std::string name = std::move(name_);
  *this = other;
  name_ = std::move(name);
}

bool AclUser::knows(std::string_view password) const {
  if (!enabled_) return false;
  if (no_password_) return true;
  const std::string hash = password_hash(password);
  return std::any_of(passwords_.begin(), passwords_.end(),
                     [&](const std::string& known) { return same_hash(known, hash); });
}

Verdict AclUser::check(const Command& command, std::span<const std::string_view> args) const {
  AclCall call{command, args};
  Verdict worst{Denial::kCommand};
  for (const AclSelector& selector : selectors_) {
    const Verdict verdict = selector.check(call);
    if (verdict.allowed()) return verdict;
    if (verdict.denial > worst.denial ||
        (verdict.denial == worst.denial && verdict.argument > worst.argument)) {
      worst = verdict;
    }
  }
  return worst;
}

bool AclUser::may_read_every_key(const Command& command, std::span<const std::string_view> args) const {
  AclCall call{command, args};
  return std::any_of(selectors_.begin(), selectors_.end(), [&](const AclSelector& selector) {
    return selector.may_read_every_key() && selector.check(call).allowed();
  });
}

std::vector<std::string_view> AclUser::flags() const {
  std::vector<std::string_view> flags{enabled_ ? "on" : "off"};
  if (no_password_) flags.push_back("nopass");
  if (sanitize_ == Sanitize::kSkip) flags.push_back("skip-sanitize-payload");
  if (sanitize_ == Sanitize::kYes) flags.push_back("sanitize-payload");
  return flags;
}

std::string AclUser::rules(const CommandTable& table) const {
  std::string text;
  for (std::string_view flag : flags()) text.append(flag).append(" ");
  for (const std::string& hash : passwords_) text.append("#").append(hash).append(" ");
  text += selectors_[0].rules(table);
  for (size_t i = 1; i < selectors_.size(); ++i)
    text.append(" (").append(selectors_[i].rules(table)).append(")");
  return text;
}

}  // namespace server
