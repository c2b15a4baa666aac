// server/scripts/redis_api.h: the table `redis` that scripts have: call, pcall, log, sha1hex and so on; and
// math.random, whose numbers follow from the run's seed.
//
// Threads: the reactor.
#pragma once

#include <lua.hpp>

namespace server {

// For build_sandbox(): adds `redis`, with what only EVAL has in it too.
void add_eval_api(lua_State* lua);
void add_function_api(lua_State* lua);

// Adds log, the log levels and the version to the table on top of the stack: what a library has while it is
// loaded.
void add_loading_api(lua_State* lua);

}  // namespace server
