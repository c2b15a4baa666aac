#include "server/build_info.h"

#include <cstdint>
#include <cstdio>

#include "server/version.h"

// CMake gives both for this file alone, so that a new commit rebuilds nothing else.
#ifndef VARVE_GIT_SHA
#define VARVE_GIT_SHA "00000000"
#endif
#ifndef VARVE_GIT_DIRTY
#define VARVE_GIT_DIRTY 0
#endif

namespace server {
namespace {

std::string make_build_id() {
  // FNV-1a. No time and no host name: the same sources and compiler give the same program.
  uint64_t hash = 0xcbf29ce484222325;
  for (const char* text : {kVarveVersion, VARVE_GIT_SHA, VARVE_GIT_DIRTY ? "dirty" : "", __VERSION__}) {
    for (const char* c = text; *c != '\0'; ++c)
      hash = (hash ^ static_cast<unsigned char>(*c)) * 0x100000001b3;
  }
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%016llx", static_cast<unsigned long long>(hash));
  return buffer;
}

}  // namespace

const BuildInfo& build_info() {
  static const BuildInfo info{VARVE_GIT_SHA, VARVE_GIT_DIRTY != 0, make_build_id()};
  return info;
}

std::string version_line(const std::string& allocator) {
  const BuildInfo& info = build_info();
  return std::string("Varve server v=") + kVarveVersion + " sha=" + info.git_sha +
         (info.git_dirty ? ":1" : ":0") + " malloc=" + allocator +
         " bits=" + std::to_string(8 * sizeof(void*)) + " build=" + info.build_id;
}

}  // namespace server
