// engine/bounded_iterator.h: a merged iterator as a reader sees it: within bounds, tombstones hidden.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "engine/gaps.h"
#include "engine/iterator.h"
#include "engine/read_toll.h"
#include "engine/reader.h"

namespace engine {

// Shows what `merged` has in [begin, end) (empty end: no end) but tombstones. `keep_alive` is what it reads
// from. With `gaps` it passes over those, and notes what it finds; `passed` hears of every kPassedAtOnce
// tombstones; `toll` is paid for so many `sublevels` when the iterator goes.
std::unique_ptr<Iterator> bounded_iterator(std::unique_ptr<Iterator> merged, std::string_view begin,
                                           std::string_view end,
                                           std::vector<std::shared_ptr<const void>> keep_alive,
                                           Gaps* gaps = nullptr, Reader::Passed passed = {},
                                           ReadToll* toll = nullptr, uint64_t sublevels = 0);

inline constexpr uint64_t kPassedAtOnce = 256;

}  // namespace engine
