#include "server/redact.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/server/server_harness.h"

using namespace server;

TEST_SUITE("server/redact") {
  TEST_CASE("MONITOR and SLOWLOG do not tell the passwords that MIGRATE was given") {
    Harness harness(1);
    const auto shown = [&](std::vector<std::string_view> words) {
      std::string line;
      for (const std::string_view word : redacted(*harness.server->table().find(words), words).args)
        line.append(word) += ' ';
      return line;
    };
    CHECK(shown({"migrate", "h", "1", "auth", "9", "50", "AUTH", "secret"}) ==
          "migrate h 1 auth 9 50 AUTH (redacted) ");
    CHECK(shown({"migrate", "h", "1", "", "9", "50", "COPY", "auth2", "user", "secret", "KEYS", "auth",
                 "k"}) == "migrate h 1  9 50 COPY auth2 (redacted) (redacted) KEYS auth k ");
    CHECK(shown({"migrate", "h", "1", "k", "9", "50", "AUTH2", "user"}) ==
          "migrate h 1 k 9 50 AUTH2 (redacted) ");
    CHECK(shown({"migrate", "h", "1", "k", "9", "50", "AUTH"}) == "migrate h 1 k 9 50 AUTH ");
  }
}
