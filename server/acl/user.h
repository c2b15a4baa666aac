// server/acl/user.h: a user: what opens the door, and what may be done then.
//
// A user's address stays the same as long as it exists, whatever is changed of it: connections point to
// theirs.
//
// Threads: the reactor.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/acl/selector.h"

namespace server {

class AclUser {
 public:
  // May do nothing, and nobody can log in as it.
  AclUser(std::string name, const AclGround& ground)
      : name_(std::move(name)), selectors_{AclSelector(ground.all_channels_at_first)} {}

  const std::string& name() const { return name_; }
  bool enabled() const { return enabled_; }
  bool needs_no_password() const { return no_password_; }
  // A connection is this user's without having said so: asked of the default user.
  bool is_open() const { return no_password_ && enabled_; }
  bool unrestricted() const { return unrestricted_; }
  const std::vector<std::string>& passwords() const { return passwords_; }  // Hashed.
  // The first is the user's own, the others are those in parentheses.
  const std::vector<AclSelector>& selectors() const { return selectors_; }

  // Carries out one rule. On an error nothing of it is done.
  AclError apply(const AclGround& ground, std::string_view rule);
  // Becomes what the other is, but for the name.
  void take_over(const AclUser& other);

  bool knows(std::string_view password) const;  // Whether it opens the door.
  Verdict check(const Command& command, std::span<const std::string_view> args) const;
  // The same, and that every key there is may be read: for commands that make up names of keys.
  bool may_read_every_key(const Command& command, std::span<const std::string_view> args) const;

  // "on", "nopass" …, in the order of ACL LIST.
  std::vector<std::string_view> flags() const;
  // All rules that make it, as ACL LIST and the ACL file have them.
  std::string rules(const CommandTable& table) const;

 private:
  enum class Sanitize : unsigned char {
    kUnsaid,
    kYes,
    kSkip
  };  // Of RESTORE's payloads: said, but of no effect.

  AclError add_or_remove_password(std::string_view rule);
  AclError add_selector(const AclGround& ground, std::string_view rules);
  void reset(const AclGround& ground);

  std::string name_;
  bool enabled_ = false;
  bool no_password_ = false;
  bool unrestricted_ = false;  // One of the selectors is.
  Sanitize sanitize_ = Sanitize::kUnsaid;
  std::vector<std::string> passwords_;
  std::vector<AclSelector> selectors_;
};

}  // namespace server
