#include "server/build_info.h"

#include <doctest/doctest.h>

#include <string>

namespace {

bool is_hex(const std::string& text) {
  return text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

TEST_SUITE("server/build info") {
  TEST_CASE("a commit is named by eight hex digits, a build by sixteen") {
    const server::BuildInfo& info = server::build_info();
    CHECK(info.git_sha.size() == 8);
    CHECK(is_hex(info.git_sha));
    CHECK(info.build_id.size() == 16);
    CHECK(is_hex(info.build_id));
  }

  TEST_CASE("the version line has redis-server's fields in its order") {
    const server::BuildInfo& info = server::build_info();
    const std::string line = server::version_line("libc");
    CHECK(line.starts_with("Varve server v="));
    CHECK(line.ends_with(" sha=" + info.git_sha + (info.git_dirty ? ":1" : ":0") +
                         " malloc=libc bits=64 build=" + info.build_id));
  }
}
