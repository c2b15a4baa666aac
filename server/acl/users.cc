#include "server/acl/users.h"

namespace server {

AclUsers::AclUsers(const CommandTable& table) {
  const AclGround ground{table, true};
  auto user = std::make_unique<AclUser>("default", ground);
  for (const char* rule : {"+@all", "~*", "&*", "on", "nopass"}) {
    INVARIANT(user->apply(ground, rule) == AclError::kNone);
  }
  default_ = user.get();
  by_name_.emplace("default", std::move(user));
}

AclUser* AclUsers::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second.get();
}

void AclUsers::set_default_password(const AclGround& ground, std::string_view password) {
  INVARIANT(default_->apply(ground, "resetpass") == AclError::kNone);
  const std::string rule = password.empty() ? "nopass" : ">" + std::string(password);
  INVARIANT(default_->apply(ground, rule) == AclError::kNone);
}

engine::Result<AclUser> AclUsers::drafted(const AclGround& ground, std::string_view name,
                                          std::span<const std::string_view> words) const {
  size_t open = 0;
  const auto rules = merged_rules(words, &open);
  if (!rules) {
    return engine::Status(engine::Code::kInvalid, "Unmatched parenthesis in acl selector starting at '" +
                                                      std::string(words[open]) + "'.");
  }
  const AclUser* known = find(name);
  AclUser draft = known ? *known : AclUser(std::string(name), ground);
  for (const std::string& rule : *rules) {
    if (const AclError error = draft.apply(ground, rule); error != AclError::kNone) {
      return engine::Status(engine::Code::kInvalid,
                            "Error in ACL SETUSER modifier '" + rule + "': " + std::string(describe(error)));
    }
  }
  return draft;
}

AclUser& AclUsers::adopt(const AclUser& draft) {
  auto& place = by_name_[draft.name()];
  if (place) {
    place->take_over(draft);
  } else {
    place = std::make_unique<AclUser>(draft);
  }
  return *place;
}

std::unique_ptr<AclUser> AclUsers::remove(std::string_view name) {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return nullptr;
  INVARIANT(found->second.get() != default_);
  auto user = std::move(found->second);
  by_name_.erase(found);
  return user;
}

std::vector<std::unique_ptr<AclUser>> AclUsers::replace(AclUsers users) {
  std::vector<std::unique_ptr<AclUser>> gone;
  default_->take_over(users.default_user());
  auto own_default = std::move(by_name_.find(default_->name())->second);
  for (auto& [name, user] : by_name_) {
    if (user) gone.push_back(std::move(user));
  }
  by_name_ = std::move(users.by_name_);
  by_name_[own_default->name()] = std::move(own_default);
  return gone;
}

std::string user_line(const AclUser& user, const CommandTable& table) {
  return "user " + user.name() + " " + user.rules(table);
}

}  // namespace server
