// server/engine_settings.h: what the settings mean to the engine.
//
// Threads: any; no state.
#pragma once

#include <cstdint>

#include "engine/engine.h"
#include "server/settings.h"

namespace server {

// maxmemory, or what is derived where it is 0: half of what the machine or the control group has.
uint64_t memory_limit(const Settings& settings);
// The engine's part of it: all but what connections may take.
uint64_t engine_memory(const Settings& settings);
engine::SyncPolicy sync_policy(const Settings& settings);
engine::EngineOptions engine_options(const Settings& settings);
// Of the machine, or of the control group if that has less.
uint64_t total_memory();

}  // namespace server
