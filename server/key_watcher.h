// server/key_watcher.h: hears what a view finds out about keys that its handler does not say itself.
//
// Redis tells of some events wherever a key is looked up or added, whichever command does it: that it was
// absent, that it is new, that its time was up. Here that place is the view.
//
// Threads: that of the view's run.
#pragma once

#include <cstdint>
#include <string_view>

#include "server/databases.h"
#include "server/effects.h"

namespace server {

class KeyWatcher {
 public:
  // A blind write must look at what it overwrites.
  virtual bool must_look() const = 0;
  virtual void missed(ObjectId database, std::string_view user_key) = 0;  // header() found nothing.
  virtual void found(ObjectId database, std::string_view user_key, const Header& header) = 0;
  virtual void created(ObjectId database, std::string_view user_key) = 0;
  // What is overwritten or erased had expired; `header` is what lay there.
  virtual void expired(ObjectId database, std::string_view user_key, const Header& header) = 0;

 protected:
  ~KeyWatcher() = default;
};

// Makes events of it.
class KeyEvents final : public KeyWatcher {
 public:
  // `home`: the database of the command. `databases` knows the others; null on a worker, where a command has
  // but one. `reads`: the command only reads; it tells of keys that it does not find.
  KeyEvents(Effects& effects, ObjectId home, uint32_t home_number, const Databases* databases, bool reads)
      : effects_(effects), home_(home), home_number_(home_number), databases_(databases), reads_(reads) {}

  // Also where the elements of keys lie that a writing command looks at.
  void note_all_objects(bool wanted) { all_objects_ = wanted; }

  bool must_look() const override { return effects_.wants(notify::kNew | notify::kExpired); }
  void missed(ObjectId database, std::string_view user_key) override {
    if (reads_ && effects_.wants(notify::kKeyMiss)) [[unlikely]]
      effects_.event(notify::kKeyMiss, "keymiss", number(database), user_key);
  }
  void found(ObjectId, std::string_view user_key, const Header& header) override {
    if (((effects_.reads.wanted && reads_) || all_objects_) && header.object.id != engine::kNoObject)
        [[unlikely]]
      effects_.reads.objects.emplace_back(user_key, header.object.id);
  }
  void created(ObjectId database, std::string_view user_key) override {
    if (effects_.wants(notify::kNew)) [[unlikely]]
      effects_.event(notify::kNew, "new", number(database), user_key);
  }
  void expired(ObjectId database, std::string_view user_key, const Header& header) override;

 private:
  uint32_t number(ObjectId database) const;

  Effects& effects_;
  const ObjectId home_;
  const uint32_t home_number_;
  const Databases* const databases_;
  const bool reads_;
  bool all_objects_ = false;
};

}  // namespace server
