#include "server/databases.h"

#include <string>

namespace server {

engine::Status Databases::open(engine::Engine& engine, uint32_t count, bool follower) {
  count_ = count;
  references_.assign(count, {});
  engine::Batch batch;
  const auto snapshot = engine.snapshot();
  const auto reader = snapshot->reader();
  for (uint32_t number = 0; number < count; ++number) {
    const std::string key = database_key(number);
    const engine::Lookup found = reader->get(key);
    if (found.state == engine::Lookup::State::kFailed) return reader->status();
    if (found.state == engine::Lookup::State::kFound) {
      const auto reference = decode_database(found.value);
      if (!reference) {
        return {engine::Code::kCorruption,
                "the record of database " + std::to_string(number) + " is not a database record"};
      }
      references_[number] = *reference;
    } else if (!follower) {
      references_[number] = {engine.new_object(), 0};
      batch.put(key, encode_database(references_[number]), engine::Existence::kAbsent);
    }
  }
  if (batch.empty()) return {};
  if (engine.admission(batch.bytes().size(), false) != engine::Engine::Admission::kOpen)
    return engine.refusal();
  engine.apply(batch);
  engine.end_turn();
  return {};
}

std::optional<uint32_t> Databases::number(ObjectId object) const {
  for (uint32_t number = 0; number < count_; ++number) {
    if (references_[number].id == object) return number;
  }
  return std::nullopt;
}

std::optional<uint32_t> Databases::number_of_record(std::string_view key) const {
  if (key.size() != 3) return std::nullopt;
  const uint32_t number =
      static_cast<uint32_t>(static_cast<unsigned char>(key[1])) << 8 | static_cast<unsigned char>(key[2]);
  if (number >= count_ || key != database_key(number)) return std::nullopt;
  return number;
}

engine::Reference Databases::reference(View& view, uint32_t number) const {
  const auto record = view.get(database_key(number));
  const auto found = record ? decode_database(*record) : std::nullopt;
  return found.value_or(references_[number]);
}

void Databases::empty(View& view, uint32_t number) const {
  const std::string key = database_key(number);
  view.get(key);  // Who overwrites a reference looks at it first, so that the old object is known to be dead.
  view.put(key, encode_database({view.new_object(), 0}), engine::Existence::kPresent);
}

void Databases::swap(View& view, uint32_t a, uint32_t b) const {
  engine::Reference at_a = reference(view, a), at_b = reference(view, b);
  view.moved(at_a.id, ++at_a.generation);
  view.moved(at_b.id, ++at_b.generation);
  view.put(database_key(a), encode_database(at_b), engine::Existence::kPresent);
  view.put(database_key(b), encode_database(at_a), engine::Existence::kPresent);
}

void Databases::refresh(const engine::Batch& batch) {
  engine::BatchReader reader(batch.bytes());
  while (reader.next()) {
    if (reader.op() != engine::Batch::Op::kPut) continue;
    const auto number = number_of_record(reader.key());
    if (!number) continue;
    if (const auto reference = decode_database(reader.value())) references_[*number] = *reference;
  }
}

}  // namespace server
