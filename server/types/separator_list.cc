#include "server/types/separator_list.h"

#include <cstring>

#include "engine/key_head.h"
#include "server/types/packed.h"

namespace server {

namespace {
constexpr uint8_t kNarrow = 2, kWide = 4;
}

std::string SeparatorList::encode(std::span<const std::string> separators) {
  size_t shared = separators.empty() ? 0 : separators.front().size();
  if (!separators.empty()) shared = engine::common_prefix(separators.front(), separators.back());
  uint64_t rests = 0;
  for (const std::string& separator : separators) rests += separator.size() - shared;
  const uint8_t width = rests <= UINT16_MAX ? kNarrow : kWide;

  std::string out;
  put_bytes(&out,
            separators.empty() ? std::string_view() : std::string_view(separators[0]).substr(0, shared));
  put_varint(&out, separators.size());
  out.push_back(static_cast<char>(width));
  out.reserve(out.size() + separators.size() * width + rests);
  uint64_t end = 0;
  for (const std::string& separator : separators) {
    end += separator.size() - shared;
    for (unsigned i = 0; i < width; ++i) out.push_back(static_cast<char>(end >> (8 * i)));
  }
  for (const std::string& separator : separators) out.append(separator, shared);
  return out;
}

SeparatorList::SeparatorList(std::string_view bytes) {
  shared_ = take_bytes(&bytes);
  const uint64_t size = take_varint(&bytes);
  width_ = take_fixed<uint8_t>(&bytes);
  if ((width_ != kNarrow && width_ != kWide) || size > bytes.size() / width_) malformed();
  size_ = size;
  ends_ = bytes.substr(0, size_ * width_);
  rests_ = bytes.substr(size_ * width_);
}

uint64_t SeparatorList::end_of(size_t i) const {
  const char* from = ends_.data() + i * width_;  // Little-endian, as we are.
  if (width_ == kNarrow) [[likely]] {
    uint16_t end;
    std::memcpy(&end, from, sizeof end);
    return end;
  }
  uint32_t end;
  std::memcpy(&end, from, sizeof end);
  return end;
}

std::string_view SeparatorList::rest_of(size_t i) const {
  const uint64_t begin = i == 0 ? 0 : end_of(i - 1), end = end_of(i);
  if (begin > end || end > rests_.size()) malformed();
  return {rests_.data() + begin, end - begin};
}

void SeparatorList::at(size_t i, std::string* out) const { out->assign(shared_).append(rest_of(i)); }

size_t SeparatorList::not_above(std::string_view key) const {
  const std::string_view head = key.substr(0, shared_.size());
  if (head != shared_) return head < shared_ ? 0 : size_;
  const std::string_view rest = key.substr(shared_.size());
  size_t low = 0, high = size_;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (engine::compare_keys(rest_of(middle), rest) <= 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

std::vector<std::string> SeparatorList::all() const {
  std::vector<std::string> separators;
  separators.reserve(size_ + 1);
  for (size_t i = 0; i < size_; ++i) at(i, &separators.emplace_back());
  return separators;
}

}  // namespace server
