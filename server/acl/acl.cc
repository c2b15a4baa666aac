#include "server/acl/acl.h"

#include "server/acl/file.h"
#include "server/config.h"
#include "server/log.h"
#include "server/server.h"

namespace server {
namespace {

engine::Status invalid(const Entry& entry, std::string_view text) {
  return {engine::Code::kInvalid, entry.place() + ": " + std::string(text)};
}

// A line `user alice on ~a* …` of a configuration file. What was said of the default user before it counts no
// more.
engine::Status take_user_entry(const AclGround& ground, const Entry& entry, AclUsers& users) {
  if (entry.words.empty()) return invalid(entry, "'user' takes a name and rules");
  if (has_blanks(entry.words[0])) return invalid(entry, "Spaces not allowed in ACL usernames");
  const std::vector<std::string_view> words(entry.words.begin() + 1, entry.words.end());
  size_t open = 0;
  const auto rules = merged_rules(words, &open);
  if (!rules) {
    return invalid(entry,
                   "Unmatched parenthesis in acl selector starting at '" + std::string(words[open]) + "'.");
  }
  AclUser user(entry.words[0], ground);
  for (const std::string& rule : *rules) {
    if (const AclError error = user.apply(ground, rule); error != AclError::kNone) {
      return invalid(entry, "Error loading ACL rule '" + rule + "' for the user named '" + user.name() +
                                "': " + std::string(describe(error)));
    }
  }
  if (!user.enabled()) {
    log_notice(
        "The user '%s' is disabled (there is no 'on' modifier in the user description). Make sure this is "
        "not a "
        "configuration error.",
        user.name().c_str());
  }
  users.adopt(user);
  return {};
}

}  // namespace

AclGround Acl::ground() const { return {table_, !config_.settings().acl_resets_channels_by_default}; }

engine::Status Acl::start(engine::FileSystem& files) {
  const Settings& settings = config_.settings();
  if (!settings.requirepass.empty()) users.set_default_password(ground(), settings.requirepass);
  std::vector<std::string> seen;
  for (const Entry& entry : config_.directives()) {
    if (entry.name != "user") continue;
    if (!settings.aclfile.empty()) {
      return invalid(
          entry,
          "Configuring users here and at the same time an ACL file path is invalid. This setup is very "
          "likely to lead to configuration errors and security holes, please define either an ACL file "
          "or declare users directly, but not both.");
    }
    for (const std::string& name : seen) {
      if (!entry.words.empty() && entry.words[0] == name) {
        return invalid(entry, "Duplicate user found. A user can only be defined once in config files");
      }
    }
    if (!entry.words.empty()) seen.push_back(entry.words[0]);
    if (auto status = take_user_entry(ground(), entry, users); !status.ok()) return status;
  }
  if (settings.aclfile.empty()) return {};
  auto loaded = load_acl_file(files, ground(), settings.aclfile);
  if (!loaded.ok()) {
    return {engine::Code::kInvalid, "Aborting startup because of ACL errors: " + loaded.status().message()};
  }
  users.replace(std::move(loaded).value());
  return {};
}

std::vector<std::string> Acl::lines_of_config() const {
  if (!config_.settings().aclfile.empty()) return {};
  AclUsers plain(table_);
  if (!config_.settings().requirepass.empty()) {
    plain.set_default_password(ground(), config_.settings().requirepass);
  }
  const auto line = [&](const AclUsers& of) { return user_line(of.default_user(), table_); };
  if (users.all().size() == 1 && line(users) == line(plain)) return {};
  std::vector<std::string> lines;
  for (const auto& [name, user] : users.all()) lines.push_back(user_line(*user, table_));
  return lines;
}

void close_clients_of(Server& server, const AclUser& user, Client* current) {
  server.clients().each([&](Client& client) {
    if (client.session.user != &user) return;
    // It ends below; until its end has come, it is nobody in particular.
    client.session.user = &server.acl().users.default_user();
    client.session.authenticated = false;
    if (&client == current) {
      client.close_after_reply();
    } else {
      client.close();
    }
  });
}

}  // namespace server
