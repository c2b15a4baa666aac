#include "server/touched_keys.h"

#include <optional>
#include <utility>
#include <vector>

#include "engine/batch.h"
#include "server/databases.h"

namespace server {
namespace {

// The table of databases as it is between two operations of a batch.
class Directory {
 public:
  explicit Directory(const Databases& before) : before_(before) {}

  std::optional<uint32_t> number(ObjectId object) const {
    if (changes_.empty()) [[likely]]
      return before_.number(object);
    for (uint32_t number = 0; number < before_.count(); ++number)
      if (at(number) == object) return number;
    return std::nullopt;
  }
  TouchListener::Replaced replace(uint32_t number, ObjectId object) {
    bool known = before_.number(object).has_value();
    for (const auto& change : changes_) known |= change.second == object;
    changes_.emplace_back(number, object);
    return known ? TouchListener::Replaced::kSwapped : TouchListener::Replaced::kEmptied;
  }

 private:
  ObjectId at(uint32_t number) const {
    for (auto change = changes_.rbegin(); change != changes_.rend(); ++change)
      if (change->first == number) return change->second;
    return before_.object(number);
  }

  const Databases& before_;
  std::vector<std::pair<uint32_t, ObjectId>> changes_;
};

}  // namespace

void tell_touched(const engine::Batch& batch, const Databases& databases, TouchListener& listener,
                  size_t* operation) {
  static const KeyspaceSchema schema;
  Directory directory(databases);
  engine::BatchReader operations(batch.bytes());
  size_t passed = 0;
  while (operations.next()) {
    ++passed;
    if (operation != nullptr) *operation = passed;
    if (operations.op() == engine::Batch::Op::kMoved) continue;
    const bool erased = operations.op() == engine::Batch::Op::kErase;
    const std::string_view key = operations.key();
    if (const auto header = header_place(key)) {
      const auto number = directory.number(header->database);
      if (!number) continue;
      listener.key_touched(*number, header->user_key,
                           erased ? TouchListener::Touch::kErased : TouchListener::Touch::kWritten);
    } else if (const ObjectId object = schema.owner(key); object != engine::kNoObject) {
      listener.elements_touched(object);
    } else if (const auto number = databases.number_of_record(key)) {
      const auto reference = decode_database(operations.value());
      if (reference) listener.database_replaced(*number, directory.replace(*number, reference->id));
    }
  }
}

}  // namespace server
