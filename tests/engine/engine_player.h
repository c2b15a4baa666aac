// tests/engine/engine_player.h: random commands, done to a store and to its model alike.
#pragma once

#include "tests/engine/engine_harness.h"

namespace engine_test {

inline constexpr int kDatabases = 2;

// One random command, done to the store and to the model alike.
class Player {
 public:
  Player(Store& store, Model model) : store_(store), model_(std::move(model)) {}

  const Model& model() const { return model_; }

  // Returns the LSN that the command's reply would wait for; 0 if it wrote nothing.
  Lsn play() {
    Batch batch;
    const int n = static_cast<int>(store_.roll(kDatabases));
    auto& names = model_.databases[n];
    if (store_.database(n).id == kNoObject) {
      batch.put("D" + std::to_string(n), reference_bytes({store_.engine().new_object(), 0}));
      return store_.apply(batch);
    }
    const std::string name = "k" + std::to_string(store_.roll(60));
    const std::string key = store_.header(n, name);
    switch (store_.roll(12)) {
      case 0:
      case 1:
      case 2:
      case 3: {  // A blind put.
        const std::string text(store_.roll(120), static_cast<char>('a' + store_.roll(26)));
        batch.put(key, "v" + text);
        names[name] = {text, std::nullopt};
        break;
      }
      case 4:
      case 5: {  // A put that looked first.
        const bool there = store_.get(key).has_value();
        CHECK(there == names.contains(name));
        const std::string text = "seen" + std::to_string(store_.roll(1000));
        batch.put(key, "v" + text, there ? Existence::kPresent : Existence::kAbsent);
        names[name] = {text, std::nullopt};
        break;
      }
      case 6:
      case 7: {  // A delete.
        if (!store_.get(key)) break;
        batch.erase(key, Existence::kPresent);
        names.erase(name);
        break;
      }
      case 8:
      case 9: {  // Elements, into the object that is there or a new one.
        const auto old = store_.get(key);
        Reference object{store_.engine().new_object(), 0};
        const bool grows = old && (*old)[0] == 'o';
        if (grows) object = reference_from(old->substr(1));
        auto& entry = names[name];
        if (!grows) entry = {"", std::map<std::string, std::string>{}};
        for (uint64_t i = store_.roll(6); i < 8; ++i) {
          const std::string element = "e" + std::to_string(store_.roll(40));
          const std::string text(store_.roll(60), static_cast<char>('A' + store_.roll(26)));
          batch.put("S" + id_bytes(object.id) + element, text);
          (*entry.elements)[element] = text;
        }
        batch.put(key, "o" + reference_bytes(object));
        break;
      }
      case 10: {  // A rename, perhaps into the other database.
        const auto old = store_.get(key);
        const int to_n = static_cast<int>(store_.roll(kDatabases));
        if (!old || store_.database(to_n).id == kNoObject) break;
        const std::string to = "k" + std::to_string(store_.roll(60));
        if (to_n == n && to == name) break;
        std::string value = *old;
        if (value[0] == 'o') {
          Reference object = reference_from(value.substr(1));
          ++object.generation;
          batch.moved(object.id, object.generation);
          value = "o" + reference_bytes(object);
        }
        batch.put(store_.header(to_n, to), value);
        batch.erase(key, Existence::kPresent);
        Model::Entry entry = names[name];
        names.erase(name);
        model_.databases[to_n][to] = entry;
        break;
      }
      case 11: {
        if (store_.roll(10) != 0) break;
        if (store_.roll(2) == 0) {  // A flush of the database.
          batch.put("D" + std::to_string(n), reference_bytes({store_.engine().new_object(), 0}));
          names.clear();
        } else if (store_.database(1 - n).id != kNoObject) {  // The databases change places.
          Reference a = store_.database(n), b = store_.database(1 - n);
          batch.moved(a.id, ++a.generation);
          batch.moved(b.id, ++b.generation);
          batch.put("D" + std::to_string(n), reference_bytes(b));
          batch.put("D" + std::to_string(1 - n), reference_bytes(a));
          std::swap(model_.databases[n], model_.databases[1 - n]);
        }
        break;
      }
    }
    return batch.empty() ? 0 : store_.apply(batch);
  }

 private:
  Store& store_;
  Model model_;
};

}  // namespace engine_test
