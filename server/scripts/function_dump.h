// server/scripts/function_dump.h: libraries as FUNCTION DUMP gives them and FUNCTION RESTORE takes them: in
// Redis's form, so that they move both ways.
//
//     245 source | 245 source ... | version (2) | CRC-64 of all before (8)
//
// Threads: pure functions; any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/scripts/functions.h"

namespace server {

std::string dump_libraries(const Functions::Libraries& libraries);

// The sources in a payload. The error is without its code; empty: *sources has all of them.
std::string read_library_dump(std::string_view payload, std::vector<std::string>* sources);

}  // namespace server
