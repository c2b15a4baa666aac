// server/present_reader.h: the reader of commands on the reactor: one object for all of them, no allocation
// for a command that reads single keys or none.
//
// Threads: the reactor.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "engine/engine.h"
#include "engine/reader.h"

namespace server {

class PresentReader final : public engine::Reader {
 public:
  explicit PresentReader(engine::Engine& engine) : engine_(engine) {}

  // From here on it reads for another command. Requires: `context` outlives that command's run, and the
  // values that it read.
  void begin(engine::ReadContext& context) {
    context_ = &context;
    reader_.reset();
  }

  engine::Lookup get(std::string_view key) override {
    const engine::Lookup found = engine_.get(key, *context_);
    if (found.state != engine::Lookup::State::kFailed) return found;
    return full().get(key);  // Which also knows why.
  }
  std::unique_ptr<engine::Iterator> iterator(std::string_view begin, std::string_view end) override {
    return full().iterator(begin, end);
  }
  void on_passed(Passed passed) override { full().on_passed(std::move(passed)); }
  engine::Lookup::State sample(std::string_view begin, std::string_view end, uint64_t random,
                               std::string* key) override {
    return full().sample(begin, end, random, key);
  }
  const engine::Status& status() const override { return full().status(); }
  engine::Lsn newest() const override { return full().newest(); }

 private:
  engine::Reader& full() const {
    if (!reader_) reader_ = engine_.reader(*context_);
    return *reader_;
  }

  engine::Engine& engine_;
  engine::ReadContext* context_ = nullptr;
  mutable std::unique_ptr<engine::Reader> reader_;
};

}  // namespace server
