#include "replication/history.h"

#include <algorithm>

#include "engine/fields.h"

namespace replication {
namespace {

constexpr uint8_t kFormat = 1;
constexpr size_t kIdDigits = 40;

}  // namespace

void History::begin(std::string id, Lsn at) {
  epochs_.push_back({std::move(id), at});
  if (epochs_.size() > kEpochsMax) epochs_.erase(epochs_.begin());
}

std::string History::encode() const {
  engine::FieldWriter out;
  out.tag(kFormat).number(epochs_.size());
  for (const Epoch& epoch : epochs_) out.text(epoch.id).number(epoch.begin);
  return out.take();
}

std::optional<History> History::decode(std::string_view bytes) {
  engine::FieldReader in(bytes);
  if (in.tag() != kFormat) return std::nullopt;
  const uint64_t count = in.number();
  if (!in.ok() || count > kEpochsMax) return std::nullopt;
  History history;
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    std::string id = in.text();
    history.epochs_.push_back({std::move(id), in.number()});
  }
  if (!in.ok() || !in.done()) return std::nullopt;
  return history;
}

bool History::learn(const engine::Batch& record) {
  bool learnt = false;
  engine::BatchReader reader(record.bytes());
  while (reader.next()) {
    if (reader.op() != engine::Batch::Op::kPut || reader.key() != kHistoryKey) continue;
    if (auto history = decode(reader.value())) {
      *this = std::move(*history);
      learnt = true;
    }
  }
  return learnt;
}

std::optional<Lsn> common_end(const History& a, Lsn a_end, const History& b, Lsn b_end) {
  const auto end_of = [](const History& history, size_t i, Lsn end) {
    return i + 1 < history.epochs().size() ? history.epochs()[i + 1].begin : end;
  };
  for (size_t i = a.epochs().size(); i-- > 0;) {
    const auto found = std::find(b.epochs().begin(), b.epochs().end(), a.epochs()[i]);
    if (found == b.epochs().end()) continue;
    const auto j = static_cast<size_t>(found - b.epochs().begin());
    return std::min(end_of(a, i, a_end), end_of(b, j, b_end));
  }
  return std::nullopt;
}

engine::Result<History> load_history(engine::Engine& engine) {
  const auto reader = engine.snapshot()->reader();
  const engine::Lookup found = reader->get(kHistoryKey);
  if (found.state == engine::Lookup::State::kFailed) return reader->status();
  if (found.state != engine::Lookup::State::kFound) return History();
  auto history = History::decode(found.value);
  if (!history) {
    return engine::Status(engine::Code::kCorruption, "the record of the store's history is damaged");
  }
  return *history;
}

void begin_epoch(engine::Engine& engine, engine::Entropy& entropy, History* history) {
  std::string id;
  while (id.size() < kIdDigits) {
    uint64_t bits = entropy.next();
    for (int i = 0; i < 16 && id.size() < kIdDigits; ++i, bits >>= 4) id += "0123456789abcdef"[bits & 15];
  }
  history->begin(std::move(id), engine.end());
  engine::Batch batch;
  batch.put(kHistoryKey, history->encode());
  engine.apply(batch);
}

}  // namespace replication
