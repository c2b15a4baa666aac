// tests/engine/careful_reader.h: reads a store whose disk may lie or fail, and compares it with its model: an
// answer is right, or it is an error that names the file. Nothing else is good enough.
#pragma once

#include "tests/engine/engine_player.h"

namespace engine_test {

// An error that people can act on.
inline void check_names_a_file(const Status& status) {
  INFO(status.message());
  CHECK(!status.ok());
  CHECK(status.message().find("/db/") != std::string::npos);
  if (status.code() == Code::kCorruption) {
    CHECK((status.message().find("offset") != std::string::npos ||
           status.message().find("missing") != std::string::npos));
  }
}

class CarefulReader {
 public:
  explicit CarefulReader(Store& store) : store_(store) {}

  int failures() const { return failures_; }

  // False if it could not be read.
  bool get(const std::string& key, std::optional<std::string>* value) {
    ReadContext context;
    for (int round = 0; round < 1000; ++round) {
      const auto reader = store_.engine().reader(context);
      const Lookup found = reader->get(key);
      value->reset();
      switch (found.state) {
        case Lookup::State::kFound: *value = std::string(found.value); return true;
        case Lookup::State::kAbsent: return true;
        case Lookup::State::kFailed: return failed(reader->status());
        case Lookup::State::kCold: store_.fetch(context);
      }
    }
    FAIL("a read never comes to an end");
    return false;
  }

  using Records = std::map<std::string, std::string>;
  bool range(const std::string& begin, const std::string& end, bool reverse, Records* out) {
    ReadContext context;
    for (int round = 0; round < 10000; ++round) {
      const auto reader = store_.engine().reader(context);  // The iterator reads through it.
      const auto records = reader->iterator(begin, end);
      out->clear();
      auto state = reverse ? records->seek_last() : records->seek_first();
      for (; state == Iterator::State::kAt; state = reverse ? records->prev() : records->next())
        CHECK(out->emplace(std::string(records->key()), std::string(records->value())).second);
      if (state == Iterator::State::kEnd) return true;
      if (state == Iterator::State::kFailed) return failed(records->status());
      store_.fetch(context);
    }
    FAIL("a scan never comes to an end");
    return false;
  }
  bool range(const Snapshot& snapshot, const std::string& begin, const std::string& end, Records* out) {
    const auto records = snapshot.reader()->iterator(begin, end);
    out->clear();
    auto state = records->seek_first();
    for (; state == Iterator::State::kAt; state = records->next())
      out->emplace(std::string(records->key()), std::string(records->value()));
    return state == Iterator::State::kEnd || failed(records->status());
  }

  // Everything by point reads, by scans either way and from a snapshot.
  void compare(const Model& model) {
    const auto snapshot = store_.engine().snapshot();
    for (int n = 0; n < kDatabases; ++n) {
      CAPTURE(n);
      static const std::map<std::string, Model::Entry> kEmpty;
      const auto& names = model.databases.contains(n) ? model.databases.at(n) : kEmpty;
      std::optional<std::string> value;
      if (!get("D" + std::to_string(n), &value)) continue;
      if (!value) {
        CHECK(names.empty());
        continue;
      }
      const ObjectId id = reference_from(*value).id;
      const std::string begin = "H" + id_bytes(id), end = "H" + id_bytes(id + 1);
      for (int k = 0; k < 60; ++k) {
        const std::string name = "k" + std::to_string(k);
        CAPTURE(name);
        if (!get(begin + name, &value)) continue;
        CHECK(value.has_value() == names.contains(name));
        if (!value || !names.contains(name)) continue;
        const Model::Entry& entry = names.at(name);
        CHECK(((*value)[0] == 'o') == entry.elements.has_value());
        if ((*value)[0] == 'v') {
          CHECK(value->substr(1) == entry.text);
          continue;
        }
        const ObjectId object = reference_from(value->substr(1)).id;
        Records elements, seen;
        if (!range("S" + id_bytes(object), "S" + id_bytes(object + 1), k % 2 == 0, &elements)) continue;
        for (const auto& [key, text] : elements) seen[key.substr(9)] = text;
        CHECK(seen == entry.elements.value_or(Records{}));
      }
      Records headers;
      const auto check_names = [&] {
        CHECK(headers.size() == names.size());
        for (const auto& [key, text] : headers) CHECK(names.contains(key.substr(9)));
      };
      if (range(begin, end, false, &headers)) check_names();
      if (range(begin, end, true, &headers)) check_names();
      if (range(*snapshot, begin, end, &headers)) check_names();
      const auto counted = snapshot->count(id);
      if (counted.ok())
        CHECK(counted.value() == names.size());
      else
        failed(counted.status());
    }
  }

 private:
  bool failed(const Status& status) {
    ++failures_;
    check_names_a_file(status);
    return false;
  }

  Store& store_;
  int failures_ = 0;
};

}  // namespace engine_test
