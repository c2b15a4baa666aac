#include "server/rdb/loader.h"

#include <utility>

namespace server::rdb {

Step Loader::next(Portion* portion) {
  const auto hand_over = [&] {
    *portion = std::exchange(portion_, {});
    return Step::kItem;
  };
  while (!ended_) {
    if (portion_.full()) {
      // A key that is not complete goes on in the next one.
      Run rest;
      const bool goes_on = !portion_.runs.empty() && !portion_.runs.back().last;
      if (goes_on) {
        const Run& begun = portion_.runs.back();
        rest = {begun.database, begun.key, begun.type, begun.expiry_ms, false, false, {}};
      }
      hand_over();
      if (goes_on) portion_.begin(std::move(rest));
      return Step::kItem;
    }
    const Step step = reader_.next(&part_);
    if (step == Step::kEnd) {
      ended_ = true;
      break;
    }
    if (step != Step::kItem) return step;
    switch (part_.kind) {
      case Part::Kind::kAux: break;
      case Part::Kind::kFunction: portion_.add_function(part_.value); break;
      case Part::Kind::kDatabase: database_ = part_.number; break;
      case Part::Kind::kKey:
        skipping_ = part_.expiry_ms != kNoExpiry && part_.expiry_ms <= now_ms_;
        ++(skipping_ ? expired_ : keys_);
        if (!skipping_)
          portion_.begin({database_, std::string(part_.name), part_.type, part_.expiry_ms, true, false, {}});
        break;
      case Part::Kind::kPiece:
        if (!skipping_) portion_.add(part_.item);
        break;
      case Part::Kind::kKeyEnd:
        if (!skipping_) portion_.runs.back().last = true;
        break;
    }
  }
  return portion_.empty() ? Step::kEnd : hand_over();
}

void write(View& view, const Portion& portion, std::span<const ObjectId> databases, const StoreLimits& limits,
           uint64_t random_seed) {
  for (const Run& run : portion.runs) {
    if (run.database >= databases.size()) {
      throw StorageError{{engine::Code::kInvalid, "RDB: it has keys in database " +
                                                      std::to_string(run.database) + "; here there are " +
                                                      std::to_string(databases.size()) +
                                                      " databases (see the setting 'databases')"}};
    }
    const ObjectId database = databases[run.database];
    if (run.first && view.header(database, run.key)) {
      throw StorageError{
          {engine::Code::kCorruption, "RDB: key '" + run.key + "' comes twice, or is here already"}};
    }
    auto status = store(view, database, run, limits, random_seed);
    if (!status.ok()) throw StorageError{std::move(status)};
  }
}

}  // namespace server::rdb
