#include "engine/table_index.h"

#include <algorithm>
#include <cstring>

namespace engine {

using table_format::common_prefix;

namespace {

constexpr size_t kHeadBytes = 8;

Status corrupt(const char* message) { return {Code::kCorruption, message}; }

// A stored tail against a key's: the byte min(length, 8) first, then what follows the head.
int compare_tails(std::string_view stored, uint8_t head_bytes, std::string_view rest) {
  const int order = static_cast<uint8_t>(stored[0]) - head_bytes;
  return order != 0 ? order : stored.substr(1).compare(rest);
}

// The number of values < `wanted` in a sorted array.
size_t lower_bound_branchless(const uint64_t* values, size_t count, uint64_t wanted) {
  const uint64_t* base = values;
  size_t left = count;
  while (left > 1) {
    const size_t half = left / 2;
    base += base[half - 1] < wanted ? half : 0;
    left -= half;
  }
  return static_cast<size_t>(base - values) + (left == 1 && *base < wanted ? 1 : 0);
}

}  // namespace

void IndexNode::add(std::string_view separator, uint32_t length) {
  const SplitKey key = split_key(separator);
  heads.push_back(key.head);
  lengths.push_back(length);
  tails.push_back(static_cast<char>(key.head_bytes));
  tails.append(key.rest);
  tail_ends.push_back(static_cast<uint32_t>(tails.size()));
}

void IndexNode::add(uint64_t head, std::string_view tail, uint32_t length) {
  heads.push_back(head);
  lengths.push_back(length);
  tails.append(tail);
  tail_ends.push_back(static_cast<uint32_t>(tails.size()));
}

int IndexNode::compare(size_t i, uint64_t head, std::string_view other_tail) const {
  if (heads[i] != head) return heads[i] < head ? -1 : 1;
  return tail(i).compare(other_tail);
}

void IndexNode::encode(std::string& to) const {
  append(to, static_cast<uint32_t>(size()));
  append(to, static_cast<uint32_t>(tails.size()));
  to.append(reinterpret_cast<const char*>(heads.data()), heads.size() * 8);
  to.append(reinterpret_cast<const char*>(lengths.data()), lengths.size() * 4);
  to.append(reinterpret_cast<const char*>(tail_ends.data()), tail_ends.size() * 4);
  to.append(tails);
}

Result<IndexNode> IndexNode::decode(std::string_view bytes) {
  if (bytes.size() < table_format::kIndexNodeHeaderBytes) return corrupt("the index node is too short");
  const uint64_t count = load<uint32_t>(bytes.data());
  const uint64_t tail_bytes = load<uint32_t>(bytes.data() + 4);
  if (bytes.size() !=
      table_format::kIndexNodeHeaderBytes + count * table_format::kIndexNodeBytesPerChild + tail_bytes) {
    return corrupt("the index node has not the length that it claims");
  }
  const char* at = bytes.data() + table_format::kIndexNodeHeaderBytes;
  const auto take = [&at, count](auto& array) {
    array.resize(count);
    const size_t length = count * sizeof array[0];
    if (length != 0) std::memcpy(array.data(), at, length);
    at += length;
  };
  IndexNode node;
  take(node.heads);
  take(node.lengths);
  take(node.tail_ends);
  node.tails.assign(at, tail_bytes);

  uint32_t begin = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint32_t end = node.tail_ends[i];
    if (end <= begin || end > tail_bytes) return corrupt("a tail of the index has no right end");
    const auto head_bytes = static_cast<uint8_t>(node.tails[begin]);
    if (head_bytes > kHeadBytes || (head_bytes < kHeadBytes && end - begin != 1)) {
      return corrupt("a tail of the index is malformed");
    }
    if (node.lengths[i] <= table_format::kTrailerBytes) return corrupt("the index tells of an empty section");
    if (i > 0 && node.compare(i - 1, node.heads[i], node.tail(i)) >= 0) {
      return corrupt("separators of the index are out of order");
    }
    begin = end;
  }
  if (begin != tail_bytes) return corrupt("the index node has bytes of no tail");
  return node;
}

TableIndex::TableIndex(std::string_view smallest, std::string_view largest,
                       const std::vector<IndexNode>& nodes, uint64_t data_bytes)
    : prefix_(smallest.substr(0, common_prefix(smallest, largest))) {
  size_t count = 0;
  size_t tail_bytes = 0;
  for (const IndexNode& node : nodes) {
    count += node.size();
    tail_bytes += node.tails.size();
  }
  INVARIANT(tail_bytes <= kTailBytesMax);
  heads_.reserve(count);
  // The last separator is a whole key; the others are cut short and mostly end within their heads.
  const bool flat_tails =
      count > 0 && tail_bytes - nodes.back().tail(nodes.back().size() - 1).size() == count - 1;
  if (!flat_tails) tail_begins_.reserve(count + 1);
  tails_.reserve(tail_bytes);
  const bool narrow = data_bytes <= UINT32_MAX;
  narrow ? narrow_.reserve(count + 1) : wide_.reserve(count + 1);
  uint64_t offset = 0;
  const auto add_offset = [&] {
    narrow ? narrow_.push_back(static_cast<uint32_t>(offset)) : wide_.push_back(offset);
  };
  for (const IndexNode& node : nodes) {
    for (size_t i = 0; i < node.size(); ++i) {
      heads_.push_back(node.heads[i]);
      if (!flat_tails) tail_begins_.push_back(static_cast<uint32_t>(tails_.size()));
      const std::string_view tail = node.tail(i);
      tails_.insert(tails_.end(), tail.begin(), tail.end());
      add_offset();
      offset += node.lengths[i];
    }
  }
  if (!flat_tails) tail_begins_.push_back(static_cast<uint32_t>(tails_.size()));
  add_offset();
  INVARIANT(offset == data_bytes);
}

uint32_t TableIndex::find(std::string_view key) const {
  const size_t shared = std::min(key.size(), prefix_.size());
  const int order = key.substr(0, shared).compare(std::string_view(prefix_).substr(0, shared));
  if (order < 0 || (order == 0 && key.size() < prefix_.size())) return 0;
  if (order > 0) return blocks();
  // The answer is the number of separators <= key.
  const SplitKey wanted = split_key(key.substr(prefix_.size()));
  size_t begin = lower_bound_branchless(heads_.data(), heads_.size(), wanted.head);
  if (begin == heads_.size() || heads_[begin] != wanted.head) return static_cast<uint32_t>(begin);
  size_t end = begin;
  for (size_t step = 1; end < heads_.size() && heads_[end] == wanted.head; step *= 2) end += step;
  end = std::min(end, heads_.size());
  while (begin < end) {
    const size_t middle = (begin + end) / 2;
    if (heads_[middle] == wanted.head && compare_tails(tail(middle), wanted.head_bytes, wanted.rest) <= 0) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return static_cast<uint32_t>(begin);
}

uint64_t TableIndex::memory_bytes() const {
  return heads_.capacity() * 8 + tail_begins_.capacity() * 4 + tails_.capacity() + narrow_.capacity() * 4 +
         wide_.capacity() * 8 + prefix_.capacity();
}

void TableIndexWriter::separate(std::string_view last, std::string_view next) {
  separators_.append(next.substr(0, common_prefix(last, next) + 1));
  separator_ends_.push_back(separators_.size());
}

std::vector<IndexNode> TableIndexWriter::finish(std::string_view smallest, std::string_view largest) {
  std::vector<IndexNode> nodes;
  if (lengths_.empty()) return nodes;
  INVARIANT(separator_ends_.size() + 1 == lengths_.size());
  separators_.append(largest);
  separators_.push_back('\0');
  separator_ends_.push_back(separators_.size());
  const size_t prefix = common_prefix(smallest, largest);
  uint64_t begin = 0;
  for (size_t i = 0; i < lengths_.size(); ++i) {
    if (i % table_format::kPartitionBlocks == 0) nodes.emplace_back();
    const std::string_view separator(separators_.data() + begin, separator_ends_[i] - begin);
    nodes.back().add(separator.substr(prefix), lengths_[i]);
    begin = separator_ends_[i];
  }
  return nodes;
}

}  // namespace engine
