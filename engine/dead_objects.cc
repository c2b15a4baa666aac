#include "engine/dead_objects.h"

#include <algorithm>
#include <deque>
#include <map>
#include <roaring/roaring.hh>
#include <unordered_map>
#include <utility>

#include "engine/fields.h"

namespace engine {
namespace {

// serialize(), in the terms of engine/fields.h: tag kFormat; how many bitmaps; of each the upper half of its
// ids and a string in Roaring's portable format (github.com/RoaringBitmap/RoaringFormatSpec); how many
// generations; of each the id less the one before, and the generation.
constexpr uint8_t kFormat = 1;

// Each id that a bitmap read from disk shows, as long as they rise as they should.
struct Rising {
  std::vector<uint32_t> ids;
  uint64_t limit;
  static bool take(uint32_t id, void* self) {
    auto& rising = *static_cast<Rising*>(self);
    if (rising.ids.size() == rising.limit || (!rising.ids.empty() && rising.ids.back() >= id)) {
      rising.limit = 0;
      return false;
    }
    rising.ids.push_back(id);
    return true;
  }
};

}  // namespace

struct DeadObjects::Set::Bitmap {
  std::map<uint32_t, Roaring> halves;  // By the upper 32 bits of the ids; none is empty.

  static uint32_t high(ObjectId id) { return static_cast<uint32_t>(id >> 32); }
  static uint32_t low(ObjectId id) { return static_cast<uint32_t>(id); }

  bool contains(ObjectId id) const {
    const auto half = halves.find(high(id));
    return half != halves.end() && half->second.contains(low(id));
  }
  bool add(ObjectId id) { return halves[high(id)].addChecked(low(id)); }
  bool remove(ObjectId id) {
    const auto half = halves.find(high(id));
    if (half == halves.end() || !half->second.removeChecked(low(id))) return false;
    if (half->second.isEmpty()) halves.erase(half);
    return true;
  }
  uint64_t count() const {
    uint64_t sum = 0;
    for (const auto& [upper, ids] : halves) sum += ids.cardinality();
    return sum;
  }
  std::vector<ObjectId> all() const {
    std::vector<ObjectId> out;
    for (const auto& [upper, ids] : halves) {
      std::vector<uint32_t> lows(ids.cardinality());
      ids.toUint32Array(lows.data());
      for (const uint32_t lower : lows) out.push_back(ObjectId{upper} << 32 | lower);
    }
    return out;
  }
};

DeadObjects::Set::Set(std::unique_ptr<const Bitmap> bitmap) : bitmap_(std::move(bitmap)) {}
DeadObjects::Set::~Set() = default;
bool DeadObjects::Set::contains(ObjectId id) const { return bitmap_->contains(id); }
uint64_t DeadObjects::Set::count() const { return bitmap_->count(); }

std::vector<ObjectId> DeadObjects::Set::sample(uint64_t at_most) const {
  const uint64_t n = count();
  if (n <= at_most) return bitmap_->all();
  std::vector<ObjectId> out;
  uint64_t before = 0;  // Ids in the halves already left behind.
  auto half = bitmap_->halves.begin();
  for (uint64_t i = 0; i < at_most; ++i) {
    const uint64_t rank = n / at_most * i;
    while (rank - before >= half->second.cardinality()) before += (half++)->second.cardinality();
    uint32_t lower = 0;
    half->second.select(static_cast<uint32_t>(rank - before), &lower);
    out.push_back(ObjectId{half->first} << 32 | lower);
  }
  return out;
}

struct DeadObjects::Impl {
  struct LateKill {
    Lsn lsn;
    ObjectId id;
  };
  struct LateMove {
    Lsn lsn;
    ObjectId id;
    uint32_t before;  // Its generation up to then.
  };
  Set::Bitmap usable;          // Dead, and no crash can undo it.
  Set::Bitmap late;            // Dead, but by a log record that may not be synced yet (D3).
  std::deque<LateKill> kills;  // Of `late`, in order of LSN; ids no longer in it are skipped.
  std::unordered_map<ObjectId, uint32_t> generations;
  std::deque<LateMove> moves;  // The moves that may not be synced yet, in order of LSN.
  Lsn synced = 0;
  std::shared_ptr<const Set> shared;  // usable, until it changes.
};

DeadObjects::DeadObjects() : impl_(std::make_unique<Impl>()) {}
DeadObjects::~DeadObjects() = default;
DeadObjects::DeadObjects(DeadObjects&&) noexcept = default;
DeadObjects& DeadObjects::operator=(DeadObjects&&) noexcept = default;

void DeadObjects::moved(ObjectId id, uint32_t generation, Lsn lsn) {
  const auto known = impl_->generations.find(id);
  const uint32_t now = known == impl_->generations.end() ? 0 : known->second;
  if (generation <= now) return;  // A log replayed over what the manifest knows already.
  if (lsn > impl_->synced) {
    INVARIANT(impl_->moves.empty() || impl_->moves.back().lsn <= lsn);
    impl_->moves.push_back({lsn, id, now});
  }
  impl_->generations[id] = generation;
}

bool DeadObjects::kill(Reference reference, Lsn lsn) {
  const ObjectId id = reference.id;
  if (id == kNoObject) return false;
  const auto generation = impl_->generations.find(id);
  if (generation != impl_->generations.end() && reference.generation < generation->second)
    return false;  // D2
  if (impl_->usable.contains(id)) return false;
  if (lsn > impl_->synced) {
    if (!impl_->late.add(id)) return false;
    INVARIANT(impl_->kills.empty() || impl_->kills.back().lsn <= lsn);
    impl_->kills.push_back({lsn, id});
    return true;
  }
  impl_->usable.add(id);
  impl_->shared.reset();
  return !impl_->late.remove(id);
}

bool DeadObjects::is_dead(ObjectId id) const {
  return impl_->usable.contains(id) || impl_->late.contains(id);
}

std::shared_ptr<const DeadObjects::Set> DeadObjects::usable(Lsn synced) {
  Impl& impl = *impl_;
  impl.synced = std::max(impl.synced, synced);
  for (; !impl.kills.empty() && impl.kills.front().lsn <= synced; impl.kills.pop_front()) {
    const ObjectId id = impl.kills.front().id;
    if (!impl.late.remove(id)) continue;
    impl.usable.add(id);
    impl.shared.reset();
  }
  while (!impl.moves.empty() && impl.moves.front().lsn <= synced) impl.moves.pop_front();
  if (!impl.shared) impl.shared = std::make_shared<Set>(std::make_unique<const Set::Bitmap>(impl.usable));
  return impl.shared;
}

void DeadObjects::forget(ObjectId id) {
  if (impl_->usable.remove(id)) impl_->shared.reset();
  impl_->late.remove(id);
  impl_->generations.erase(id);
}

std::vector<ObjectId> DeadObjects::ids() const {
  std::vector<ObjectId> all = impl_->usable.all();
  const std::vector<ObjectId> late = impl_->late.all();
  const auto middle = all.insert(all.end(), late.begin(), late.end());
  std::inplace_merge(all.begin(), middle, all.end());
  return all;
}

uint64_t DeadObjects::count() const { return impl_->usable.count() + impl_->late.count(); }

std::string DeadObjects::serialize(Lsn flushed) const {
  const Impl& impl = *impl_;
  Set::Bitmap dead = impl.usable;
  for (const Impl::LateKill& kill : impl.kills) {
    if (kill.lsn > flushed) break;
    if (impl.late.contains(kill.id)) dead.add(kill.id);
  }
  std::map<ObjectId, uint32_t> generations(impl.generations.begin(), impl.generations.end());
  for (auto move = impl.moves.rbegin(); move != impl.moves.rend() && move->lsn > flushed; ++move) {
    const auto found = generations.find(move->id);
    if (found == generations.end()) continue;  // Forgotten since.
    if (move->before == 0) {
      generations.erase(found);
    } else {
      found->second = move->before;
    }
  }

  FieldWriter out;
  out.tag(kFormat).number(dead.halves.size());
  for (auto& [upper, ids] : dead.halves) {
    ids.runOptimize();
    std::string bytes(ids.getSizeInBytes(), '\0');
    ids.write(bytes.data());
    out.number(upper).text(bytes);
  }
  out.number(generations.size());
  ObjectId last = 0;
  for (const auto& [id, generation] : generations) {
    out.number(id - last).number(generation);
    last = id;
  }
  return out.take();
}

Status DeadObjects::restore(std::string_view bytes) {
  const auto damaged = [](const char* what) {
    return Status(Code::kCorruption, std::string("the set of dead objects is damaged: ") + what);
  };
  auto impl = std::make_unique<Impl>();
  if (bytes.empty()) {  // A manifest that never had one.
    impl_ = std::move(impl);
    return {};
  }
  FieldReader in(bytes);
  if (const uint8_t format = in.tag(); format != kFormat)
    return {Code::kTooNew,
            "the set of dead objects has format " + std::to_string(format) + ", unknown to this build"};
  uint64_t next_upper = 0;
  for (uint64_t halves = in.number(); halves > 0 && in.ok(); --halves) {
    const uint64_t upper = in.number();
    const std::string portable = in.text();
    if (!in.ok() || upper < next_upper || upper > UINT32_MAX) return damaged("an upper half");
    next_upper = upper + 1;
    // CRoaring 0.2.66 checks sizes here but not what is in the containers. So what it read is only looked at,
    // one id after the other, and made anew.
    roaring_bitmap_t* read = roaring_bitmap_portable_deserialize_safe(portable.data(), portable.size());
    if (read == nullptr) return damaged("a bitmap does not parse");
    Rising rising{{}, roaring_bitmap_get_cardinality(read)};
    roaring_iterate(read, &Rising::take, &rising);
    const bool whole = rising.limit != 0 && rising.ids.size() == rising.limit;
    roaring_bitmap_free(read);
    if (!whole) return damaged("ids of a bitmap are not in order");
    impl->usable.halves.emplace(static_cast<uint32_t>(upper), Roaring(rising.ids.size(), rising.ids.data()));
  }
  ObjectId last = 0;
  for (uint64_t n = in.number(); n > 0 && in.ok(); --n) {
    const uint64_t step = in.number();
    const uint64_t generation = in.number();
    if (last + step < last || generation > UINT32_MAX) return damaged("a generation");
    impl->generations[last += step] = static_cast<uint32_t>(generation);
  }
  if (!in.ok() || !in.done()) return damaged("it ends too early or too late");
  impl_ = std::move(impl);
  return {};
}

}  // namespace engine
