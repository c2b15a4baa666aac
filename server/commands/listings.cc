#include "server/commands/listings.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/commands/stream_support.h"
#include "server/types/hash.h"
#include "server/types/list.h"
#include "server/types/set.h"
#include "server/types/zset.h"

namespace server {
namespace {

// What is left to show, and where it lies.
class Listing : public ReplySource {
 public:
  Listing(const CommandContext& c, std::string_view key) : database_(c.database), key_(key) {}
  bool done() const override { return done_; }

 protected:
  // How much goes into one piece.
  class Piece {
   public:
    explicit Piece(const resp::ReplyWriter& reply) : reply_(reply), mark_(reply.mark()) {}
    bool has_room() const { return bytes() < kPieceBytes && steps_ < kStepsAtOnce; }
    void step() { ++steps_; }
    uint64_t bytes() const { return reply_.mark() - mark_; }
    uint64_t steps() const { return steps_; }

   private:
    const resp::ReplyWriter& reply_;
    const uint64_t mark_;
    uint64_t steps_ = 0;
  };

  std::optional<Header> header(View& view) const { return view.header(database_, key_); }
  void finish(uint64_t missing) {
    done_ = true;
    if (missing == 0) return;
    throw StorageError{{engine::Code::kCorruption, "a collection has not as many elements as it counts"}};
  }

  const ObjectId database_;
  const std::string key_;

 private:
  bool done_ = false;
};

// Of a type that lies in the order of hashed names.
template <typename Collection>
class HashedListing : public Listing {
 public:
  using Listing::Listing;

  void next(View& view, resp::ReplyWriter& reply) override {
    Collection collection(view, database_, key_, header(view));
    if (!std::exchange(begun_, true)) {
      left_ = collection.size();
      begin(reply, left_);
    }
    Piece piece(reply);
    do {
      // What a scan has begun it brings to its end: so many that they fit by what these have taken so far.
      const uint64_t fit =
          piece.steps() * (kPieceBytes - piece.bytes()) / std::max<uint64_t>(piece.bytes(), 1);
      cursor_ = collection.scan(cursor_, std::clamp<uint64_t>(fit, 1, 1000), [&](const auto& element) {
        write(reply, element);
        piece.step();
        --left_;
      });
    } while (cursor_ != 0 && piece.has_room());
    if (cursor_ == 0) finish(left_);
  }

 private:
  using Element = std::conditional_t<std::is_same_v<Collection, Hash>, Hash::Field, Set::Member>;
  virtual void begin(resp::ReplyWriter& reply, uint64_t size) = 0;
  virtual void write(resp::ReplyWriter& reply, const Element& element) = 0;

  bool begun_ = false;
  uint64_t cursor_ = 0, left_ = 0;
};

class HashListing final : public HashedListing<Hash> {
 public:
  HashListing(const CommandContext& c, std::string_view key, HashParts parts)
      : HashedListing(c, key), parts_(parts) {}

 private:
  void begin(resp::ReplyWriter& reply, uint64_t size) override {
    if (parts_ == HashParts::kBoth)
      reply.map(size);
    else
      reply.array(size);
  }
  void write(resp::ReplyWriter& reply, const Hash::Field& field) override {
    if (parts_ != HashParts::kValues) reply.bulk(field.name);
    if (parts_ != HashParts::kNames) reply.bulk(field.value);
  }

  const HashParts parts_;
};

class SetListing final : public HashedListing<Set> {
 public:
  using HashedListing::HashedListing;

 private:
  void begin(resp::ReplyWriter& reply, uint64_t size) override { reply.set(size); }
  void write(resp::ReplyWriter& reply, const Set::Member& member) override { reply.bulk(member.name); }
};

class ListListing final : public Listing {
 public:
  ListListing(const CommandContext& c, std::string_view key, uint64_t first, uint64_t count)
      : Listing(c, key), at_(first), left_(count) {}

  void next(View& view, resp::ReplyWriter& reply) override {
    List list(view, database_, key_, header(view));
    if (!std::exchange(begun_, true)) reply.array(left_);
    Piece piece(reply);
    for (List::Walk walk(list, at_, true, left_); piece.has_room() && walk.next(); piece.step())
      reply.bulk(walk.value());
    at_ += piece.steps();
    left_ -= piece.steps();
    if (piece.has_room()) finish(left_);
  }

 private:
  bool begun_ = false;
  uint64_t at_, left_;
};

class ZsetListing final : public Listing {
 public:
  ZsetListing(const CommandContext& c, std::string_view key, RankRange ranks, bool backward, bool with_scores)
      : Listing(c, key),
        rank_(ranks.first),
        left_(ranks.last - ranks.first + 1),
        backward_(backward),
        with_scores_(with_scores) {}

  void next(View& view, resp::ReplyWriter& reply) override {
    Zset zset(view, header(view));
    if (!std::exchange(begun_, true)) begin_scored(reply, left_, with_scores_);
    Piece piece(reply);
    auto cursor = zset.at(backward_ ? zset.size() - 1 - rank_ : rank_);
    for (; left_ > 0 && piece.has_room() && cursor.valid(); cursor.step(backward_)) {
      reply_scored(reply, cursor.member(), cursor.score(), with_scores_);
      piece.step();
      ++rank_;
      --left_;
    }
    if (left_ == 0 || !cursor.valid()) finish(left_);
  }

 private:
  bool begun_ = false;
  uint64_t rank_, left_;
  const bool backward_, with_scores_;
};

// How many entries lie in a range nobody knows: it is walked twice.
class StreamListing final : public Listing {
 public:
  StreamListing(const CommandContext& c, std::string_view key, StreamId from, StreamId to, uint64_t count,
                bool forward)
      : Listing(c, key), all_{from, to, count}, rest_(all_), forward_(forward) {}

  void next(View& view, resp::ReplyWriter& reply) override {
    Stream stream(view, database_, key_, header(view));
    Piece piece(reply);
    bool ended = true;
    for (Stream::Walk walk(stream, rest_.from, rest_.to, forward_); !rest_.full && walk.next();) {
      if (!counting_) reply_entry(reply, walk.id(), walk.entry());
      ++found_;
      rest_.passed(walk.id(), forward_);
      piece.step();
      if (piece.has_room()) continue;
      ended = rest_.full;
      break;
    }
    if (!ended) return;
    if (!counting_) return finish(announced_ - found_);
    counting_ = false;
    announced_ = std::exchange(found_, 0);
    rest_ = all_;
    reply.array(announced_);
  }

 private:
  struct Range {
    StreamId from, to;
    uint64_t count;  // 0: all.
    bool full = false;

    void passed(StreamId id, bool forward) {
      full = forward ? !id.increment() : !id.decrement();
      if (forward)
        from = id;
      else
        to = id;
      full = full || from > to || (count > 0 && --count == 0);
    }
  };

  const Range all_;
  Range rest_;
  const bool forward_;
  bool counting_ = true;
  uint64_t found_ = 0, announced_ = 0;  // In this pass; in the first one.
};

}  // namespace

std::shared_ptr<ReplySource> hash_listing(const CommandContext& c, std::string_view key, HashParts parts) {
  return std::make_shared<HashListing>(c, key, parts);
}

std::shared_ptr<ReplySource> set_listing(const CommandContext& c, std::string_view key) {
  return std::make_shared<SetListing>(c, key);
}

std::shared_ptr<ReplySource> list_listing(const CommandContext& c, std::string_view key, uint64_t first,
                                          uint64_t count) {
  return std::make_shared<ListListing>(c, key, first, count);
}

std::shared_ptr<ReplySource> zset_listing(const CommandContext& c, std::string_view key, RankRange ranks,
                                          bool backward, bool with_scores) {
  return std::make_shared<ZsetListing>(c, key, ranks, backward, with_scores);
}

std::shared_ptr<ReplySource> stream_listing(const CommandContext& c, std::string_view key, StreamId from,
                                            StreamId to, uint64_t count, bool forward) {
  return std::make_shared<StreamListing>(c, key, from, to, count, forward);
}

}  // namespace server
