#include "server/acl/file.h"

#include <vector>

#include "server/config/paths.h"

namespace server {
namespace {

std::string_view trimmed(std::string_view text, std::string_view blanks) {
  const size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// At every blank, so that two in a row have an empty word between them: an empty rule does nothing.
std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// Reads one line into `users`; returns what is wrong with it.
std::string take_line(const AclGround& ground, std::string_view line, const std::string& place,
                      AclUsers& users, std::vector<std::string>& seen) {
  const auto words = split(line, ' ');
  if (words[0] != "user" || words.size() < 2) {
    return place + " should start with user keyword followed by the username. ";
  }
  const std::string name(words[1]);
  if (has_blanks(name)) return "'" + place + ": username '" + name + "' contains invalid characters. ";
  for (const std::string& other : seen) {
    if (other == name) {
      return "WARNING: Duplicate user '" + name + "' found on line " + place.substr(place.rfind(':') + 1) +
             ". ";
    }
  }
  seen.push_back(name);

  size_t open = 0;
  const auto rules = merged_rules(std::span(words).subspan(2), &open);
  if (!rules) return place + ": Unmatched parenthesis in selector definition.";
  AclUser user(name, ground);
  std::string errors;
  bool other_error = false;
  for (const std::string& each : *rules) {
    const std::string rule(trimmed(each, "\t\r\n"));
    const AclError error = user.apply(ground, rule);
    if (error == AclError::kUnknownCommand) {
      errors +=
          place + ": Error in applying operation '" + rule + "': " + std::string(describe(error)) + ". ";
    } else if (error != AclError::kNone &&
               !other_error) {  // Rules may hold secrets, and later ones build on it.
      errors += place + ": " + std::string(describe(error)) + ". ";
      other_error = true;
    }
  }
  if (errors.empty()) users.adopt(user);
  return errors;
}

engine::Status write_anew(engine::FileSystem& files, const std::string& path, std::string_view text) {
  const std::string temporary = path + ".tmp";
  const auto left_over = files.exists(temporary);
  if (!left_over.ok()) return left_over.status();
  if (left_over.value()) {
    if (auto status = files.remove(temporary); !status.ok()) return status;
  }
  auto file = files.open(temporary, engine::OpenMode::kCreate);
  if (!file.ok()) return file.status();
  if (auto status = file.value()->write(0, text); !status.ok()) return status;
  if (auto status = file.value()->sync(); !status.ok()) return status;
  if (auto status = files.rename(temporary, path); !status.ok()) return status;
  const size_t slash = path.rfind('/');
  return files.sync_directory(slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash));
}

}  // namespace

engine::Result<AclUsers> parse_acl_file(const AclGround& ground, std::string_view text,
                                        const std::string& name) {
  AclUsers users(ground.table);
  std::vector<std::string> seen;
  std::string errors;
  size_t number = 0;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    line = trimmed(line, " \t\r\n");
    if (!line.empty()) errors += take_line(ground, line, name + ":" + std::to_string(number), users, seen);
  }
  if (errors.empty()) return users;
  return engine::Status(
      engine::Code::kInvalid,
      errors + "WARNING: ACL errors detected, no change to the previously active ACL rules was performed");
}

engine::Result<AclUsers> load_acl_file(engine::FileSystem& files, const AclGround& ground,
                                       const std::string& path) {
  const auto text = read_config_file(files, path);
  if (!text.ok()) {
    return engine::Status(engine::Code::kInvalid,
                          "Error loading ACLs, opening file '" + path + "': " + text.status().message());
  }
  return parse_acl_file(ground, text.value(), path);
}

engine::Status save_acl_file(engine::FileSystem& files, const AclUsers& users, const CommandTable& table,
                             const std::string& path) {
  std::string text;
  for (const auto& [name, user] : users.all()) text += user_line(*user, table) + "\n";
  return write_anew(files, path, text);
}

}  // namespace server
