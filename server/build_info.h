// server/build_info.h: of what this program was built, for --version and INFO.
#pragma once

#include <string>

namespace server {

struct BuildInfo {
  std::string git_sha;   // Eight hex digits of the commit; zeros if it was no git tree.
  bool git_dirty;        // The tree had other changes.
  std::string build_id;  // Sixteen hex digits that differ between different sources or compilers.
};
const BuildInfo& build_info();

// "Varve server v=0.1.0 sha=1234abcd:0 malloc=jemalloc-5.3.0 bits=64 build=0123456789abcdef"
std::string version_line(const std::string& allocator);

}  // namespace server
