// server/acl/users.h: all users. "default" is always one of them: a connection is that user's until it says
// otherwise.
//
// Threads: the reactor.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/status.h"
#include "server/acl/user.h"

namespace server {

class AclUsers {
 public:
  using ByName = std::map<std::string, std::unique_ptr<AclUser>, std::less<>>;

  // The default user alone, who may do everything and needs no password.
  explicit AclUsers(const CommandTable& table);

  AclUser& default_user() const { return *default_; }
  AclUser* find(std::string_view name) const;
  const ByName& all() const { return by_name_; }

  // requirepass: the default user's only password; empty: it needs none.
  void set_default_password(const AclGround& ground, std::string_view password);

  // What the user would be after these rules, of which one may be spread over several words. Errors:
  // kInvalid, with a sentence for SETUSER's caller.
  engine::Result<AclUser> drafted(const AclGround& ground, std::string_view name,
                                  std::span<const std::string_view> words) const;
  // Makes or changes the user of the draft's name.
  AclUser& adopt(const AclUser& draft);
  // Takes the user out: connections may still point to it. Null: there is none. Requires: it is not
  // "default".
  std::unique_ptr<AclUser> remove(std::string_view name);
  // All others become those of `users`; the default one stays where it is and becomes what it is there.
  // Returns those that are gone.
  std::vector<std::unique_ptr<AclUser>> replace(AclUsers users);

 private:
  ByName by_name_;
  AclUser* default_;
};

// One line of rules a user: what ACL SAVE writes, and configuration files hold.
std::string user_line(const AclUser& user, const CommandTable& table);

}  // namespace server
