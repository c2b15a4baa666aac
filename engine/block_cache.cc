#include "engine/block_cache.h"

#include <utility>
#include <vector>

namespace engine {

namespace {

constexpr uint8_t kUsesMax = 3;
constexpr uint8_t kUsesForMain = 2;
constexpr uint64_t kSmallShare = 10;  // The small queue may have one part in so many of the capacity.
constexpr size_t kNodesPerChunk = 512;
constexpr size_t kSlotsAtFirst = 1024;

enum class Queue : uint8_t { kNone, kSmall, kMain, kGhost };
constexpr size_t kQueues = 4;

struct Node {
  BlockId id;
  BlockRef block;  // Null for a ghost.
  uint32_t newer;  // Neighbours in the queue, by number; kNil at its ends.
  uint32_t older;
  Queue queue;
  uint8_t uses;
};

constexpr uint32_t kNil = UINT32_MAX;

uint32_t hash_of(BlockId id) {
  const uint64_t mixed = (id.table * 0x9e3779b97f4a7c15 + id.index) * 0xd6e8feb86659fd93;
  return static_cast<uint32_t>(mixed >> 32);
}

uint64_t cost(const Node& node) { return node.block->memory_bytes() + sizeof(Node); }

}  // namespace

struct BlockCache::Impl {
  // One for every node: open addressing, linear probing, at most half full.
  struct Slot {
    uint32_t node = kNil;
    uint32_t hash = 0;
  };
  struct List {
    uint32_t newest = kNil;
    uint32_t oldest = kNil;
    uint64_t count = 0;
    uint64_t bytes = 0;  // Ghosts count nothing.
  };

  explicit Impl(uint64_t capacity_bytes) : capacity(capacity_bytes), slots(kSlotsAtFirst) {}

  Node& node(uint32_t number) { return chunks[number / kNodesPerChunk][number % kNodesPerChunk]; }
  const Node& node(uint32_t number) const { return chunks[number / kNodesPerChunk][number % kNodesPerChunk]; }
  List& list(Queue queue) { return lists[static_cast<size_t>(queue)]; }
  const List& list(Queue queue) const { return lists[static_cast<size_t>(queue)]; }

  // The slot of `id`, or the empty one where it would go.
  size_t slot_of(BlockId id, uint32_t hash) const {
    const size_t mask = slots.size() - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
      if (slots[i].node == kNil || (slots[i].hash == hash && node(slots[i].node).id == id)) return i;
    }
  }
  uint32_t lookup(BlockId id) const { return slots[slot_of(id, hash_of(id))].node; }

  void grow() {
    std::vector<Slot> old(slots.size() * 2);
    old.swap(slots);
    const size_t mask = slots.size() - 1;
    for (const Slot& s : old) {
      if (s.node == kNil) continue;
      size_t i = s.hash & mask;
      while (slots[i].node != kNil) i = (i + 1) & mask;
      slots[i] = s;
    }
  }

  // Empties a slot, moving up those behind it that probing would no longer reach.
  void empty_slot(size_t hole) {
    const size_t mask = slots.size() - 1;
    for (size_t i = (hole + 1) & mask; slots[i].node != kNil; i = (i + 1) & mask) {
      const size_t home = slots[i].hash & mask;
      if (((i - home) & mask) >= ((i - hole) & mask)) {
        slots[hole] = slots[i];
        hole = i;
      }
    }
    slots[hole].node = kNil;
  }

  uint32_t new_node(BlockId id) {
    if (nodes_used * 2 >= slots.size()) grow();
    uint32_t number = free_nodes;
    if (number != kNil) {
      free_nodes = node(number).older;
    } else {
      number = static_cast<uint32_t>(nodes_made++);
      if (number / kNodesPerChunk == chunks.size())
        chunks.push_back(std::make_unique<Node[]>(kNodesPerChunk));
    }
    ++nodes_used;
    Node& n = node(number);
    n = Node{id, {}, kNil, kNil, Queue::kNone, 0};
    const uint32_t hash = hash_of(id);
    slots[slot_of(id, hash)] = {number, hash};
    return number;
  }

  void push(Queue queue, uint32_t number) {
    Node& n = node(number);
    List& l = list(queue);
    n.queue = queue;
    n.newer = kNil;
    n.older = l.newest;
    (l.newest == kNil ? l.oldest : node(l.newest).newer) = number;
    l.newest = number;
    ++l.count;
    if (n.block) l.bytes += cost(n);
  }

  void unlink(uint32_t number) {
    Node& n = node(number);
    List& l = list(n.queue);
    (n.newer == kNil ? l.newest : node(n.newer).older) = n.older;
    (n.older == kNil ? l.oldest : node(n.older).newer) = n.newer;
    --l.count;
    if (n.block) l.bytes -= cost(n);
  }

  void forget(uint32_t number) {
    unlink(number);
    Node& n = node(number);
    empty_slot(slot_of(n.id, hash_of(n.id)));
    n.block = {};
    n.older = free_nodes;
    free_nodes = number;
    --nodes_used;
  }

  void evict_from_small() {
    const uint32_t number = list(Queue::kSmall).oldest;
    Node& n = node(number);
    unlink(number);
    if (n.uses >= kUsesForMain) {
      n.uses = 0;
      push(Queue::kMain, number);
    } else {
      n.block = {};
      push(Queue::kGhost, number);
    }
  }

  void evict_from_main() {
    const uint32_t number = list(Queue::kMain).oldest;
    Node& n = node(number);
    if (n.uses == 0) {
      forget(number);
      return;
    }
    unlink(number);
    --n.uses;
    push(Queue::kMain, number);
  }

  uint64_t blocks() const { return list(Queue::kSmall).count + list(Queue::kMain).count; }
  // The sizes of blocks vary; the rest is bookkeeping, ghosts included.
  uint64_t bytes() const {
    return list(Queue::kSmall).bytes + list(Queue::kMain).bytes + list(Queue::kGhost).count * sizeof(Node) +
           slots.size() * sizeof(Slot);
  }

  void maintain() {
    while (bytes() > capacity && blocks() > 0) {
      const List& small = list(Queue::kSmall);
      const bool from_small =
          small.count > 0 && (small.bytes > capacity / kSmallShare || blocks() == small.count);
      from_small ? evict_from_small() : evict_from_main();
      while (list(Queue::kGhost).count > blocks()) forget(list(Queue::kGhost).oldest);
    }
  }

  uint64_t capacity;
  std::vector<Slot> slots;
  std::vector<std::unique_ptr<Node[]>> chunks;
  uint64_t nodes_made = 0;
  uint64_t nodes_used = 0;
  uint32_t free_nodes = kNil;  // Linked by `older`.
  List lists[kQueues];
  uint64_t hits = 0;
  uint64_t misses = 0;
};

BlockCache::BlockCache(uint64_t capacity_bytes) : impl_(std::make_unique<Impl>(capacity_bytes)) {}
BlockCache::~BlockCache() = default;

BlockRef BlockCache::find(BlockId id) {
  const uint32_t number = impl_->lookup(id);
  if (number != kNil) {
    Node& n = impl_->node(number);
    if (n.block) {
      n.block->prefetch();
      if (n.uses < kUsesMax) ++n.uses;
      ++impl_->hits;
      return n.block;
    }
  }
  ++impl_->misses;
  return {};
}

bool BlockCache::contains(BlockId id) const {
  const uint32_t number = impl_->lookup(id);
  return number != kNil && impl_->node(number).block;
}

void BlockCache::insert(BlockId id, BlockRef block) {
  INVARIANT(block);
  const uint32_t known = impl_->lookup(id);
  if (known == kNil) {
    const uint32_t number = impl_->new_node(id);
    impl_->node(number).block = std::move(block);
    impl_->push(Queue::kSmall, number);
  } else if (Node& ghost = impl_->node(known); !ghost.block) {
    impl_->unlink(known);
    ghost.block = std::move(block);
    ghost.uses = 0;
    impl_->push(Queue::kMain, known);
  }
}

void BlockCache::erase_table(uint64_t table, uint32_t blocks) {
  for (uint32_t i = 0; i < blocks; ++i) {
    if (const uint32_t number = impl_->lookup({table, i}); number != kNil) impl_->forget(number);
  }
}

void BlockCache::maintain() { impl_->maintain(); }
void BlockCache::set_capacity(uint64_t bytes) { impl_->capacity = bytes; }

void BlockCache::clear() {
  auto empty = std::make_unique<Impl>(impl_->capacity);
  empty->hits = impl_->hits;
  empty->misses = impl_->misses;
  impl_ = std::move(empty);
}

uint64_t BlockCache::bytes() const { return impl_->bytes(); }
uint64_t BlockCache::blocks() const { return impl_->blocks(); }
uint64_t BlockCache::hits() const { return impl_->hits; }
uint64_t BlockCache::misses() const { return impl_->misses; }

}  // namespace engine
