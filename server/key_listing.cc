#include "server/key_listing.h"

#include <memory>
#include <string_view>
#include <utility>

#include "server/glob.h"
#include "server/key_walk.h"
#include "server/long_reply.h"
#include "server/reply_source.h"
#include "server/string_value.h"
#include "server/units.h"

namespace server {
namespace {

// One pass over what a query finds. It can be taken up again, over another view of the same moment.
class Pass {
 public:
  explicit Pass(const KeyQuery& query) : query_(query), to_skip_(query.offset), left_(query.count) {}

  KeyWalk walk(View& view, ObjectId database) const {
    return {view, database, query_.bounds, query_.reverse ? KeyOrder::kFalling : KeyOrder::kRising};
  }
  bool full() const { return left_ == 0; }
  // Whether what the walk stands at is part of the reply; every key is to be asked about once.
  bool takes(const KeyWalk& walk) {
    if (walk.expired()) return false;
    if (query_.type && !equals_ignoring_case(*query_.type, type_name(walk.header().type))) return false;
    if (query_.pattern && !glob_match(*query_.pattern, walk.key())) return false;
    if (to_skip_ > 0) {
      --to_skip_;
      return false;
    }
    if (left_ > 0) --left_;
    return true;
  }
  // Goes on behind this key the next time.
  void reached(std::string_view key) {
    if (query_.reverse)
      query_.bounds.only_before(key);
    else
      query_.bounds.only_after(key);
  }

 private:
  KeyQuery query_;
  int64_t to_skip_;
  int64_t left_;
};

// As many elements as each key has in the reply.
size_t elements_per_key(const KeyQuery& query, const resp::ReplyWriter& reply) {
  return query.values && reply.version() == resp::Version::kResp2 ? 2 : 1;
}

void write_element(View& view, const KeyQuery& query, const KeyWalk& walk, resp::ReplyWriter& reply) {
  if (query.values && reply.version() == resp::Version::kResp3) reply.array(2);
  reply.bulk(walk.key());
  if (!query.values) return;
  if (walk.header().type != Type::kString) return reply.null();
  std::string scratch;
  const std::string_view value = read_string(view, walk.header(), &scratch);
  if (value.data() == scratch.data())
    reply.bulk(std::move(scratch));
  else
    reply.bulk(value);
}

class KeyListing final : public ReplySource {
 public:
  KeyListing(ObjectId database, const KeyQuery& query) : database_(database), query_(query), pass_(query) {}

  void next(View& view, resp::ReplyWriter& reply) override {
    KeyWalk walk = pass_.walk(view, database_);
    const uint64_t mark = reply.mark();
    for (uint64_t steps = 0; !pass_.full() && walk.next(); ++steps) {
      if (pass_.takes(walk)) {
        ++found_;
        if (!counting_) write_element(view, query_, walk, reply);
      }
      if (steps == kStepsAtOnce || reply.mark() - mark >= kPieceBytes) return pass_.reached(walk.key());
    }
    if (!counting_) return finish();
    counting_ = false;
    announced_ = std::exchange(found_, 0);
    pass_ = Pass(query_);
    reply.array(announced_ * elements_per_key(query_, reply));
  }
  bool done() const override { return done_; }

 private:
  void finish() {
    done_ = true;
    if (found_ == announced_) return;
    throw StorageError{{engine::Code::kCorruption, "two walks over one snapshot found different keys"}};
  }

  const ObjectId database_;
  const KeyQuery query_;
  Pass pass_;
  bool counting_ = true, done_ = false;
  uint64_t found_ = 0, announced_ = 0;  // In this pass; in the first one.
};

}  // namespace

void list_keys(CommandContext& c, const KeyQuery& query) {
  LongReply whole(c);
  const auto open = c.reply.open_array();
  size_t shown = 0;
  Pass pass(query);
  KeyWalk walk = pass.walk(c.view, c.database);
  while (!pass.full() && walk.next()) {
    if (!pass.takes(walk)) continue;
    write_element(c.view, query, walk, c.reply);
    ++shown;
    if (!whole.goes_on())
      return whole.give_up([&] { return std::make_shared<KeyListing>(c.database, query); });
  }
  c.reply.close(open, shown * elements_per_key(query, c.reply));
}

}  // namespace server
