// server/acl/file.h: the ACL file: "user alice on #… ~a* +get", one user a line, nothing else.
//
// Threads: the reactor; blocks on the disk for some milliseconds.
#pragma once

#include <string>
#include <string_view>

#include "engine/env.h"
#include "engine/status.h"
#include "server/acl/users.h"

namespace server {

// The users of a text. Errors: kInvalid, a sentence for each wrong line; `name` is what they call the file.
engine::Result<AclUsers> parse_acl_file(const AclGround& ground, std::string_view text,
                                        const std::string& name);

engine::Result<AclUsers> load_acl_file(engine::FileSystem& files, const AclGround& ground,
                                       const std::string& path);

// The old file or the new one is there, whatever happens in between.
engine::Status save_acl_file(engine::FileSystem& files, const AclUsers& users, const CommandTable& table,
                             const std::string& path);

}  // namespace server
