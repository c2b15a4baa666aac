// engine/bounded_iterator.h: runs merged as a reader sees them: within bounds, tombstones hidden.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "engine/gaps.h"
#include "engine/iterator.h"
#include "engine/read_toll.h"
#include "engine/reader.h"

namespace engine {

// Shows what the `children` (newest first) have in [begin, end) (empty end: no end), the newest record of
// each key, but tombstones. `keep_alive` is what it reads from. With `gaps` it passes over those, and notes
// what it finds; `passed` hears of every kPassedAtOnce tombstones; `toll` is paid for so many `sublevels`
// when the iterator goes.
std::unique_ptr<Iterator> bounded_iterator(std::vector<std::unique_ptr<Iterator>> children,
                                           std::string_view begin, std::string_view end,
                                           std::vector<std::shared_ptr<const void>> keep_alive,
                                           Gaps* gaps = nullptr, Reader::Passed passed = {},
                                           ReadToll* toll = nullptr, uint64_t sublevels = 0);

inline constexpr uint64_t kPassedAtOnce = 256;

}  // namespace engine
