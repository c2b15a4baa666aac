#include "server/key_watcher.h"

namespace server {

void KeyEvents::expired(ObjectId database, std::string_view user_key, const Header& header) {
  if (header.died_of_elements())
    effects_.fields_expired(number(database), user_key);
  else
    effects_.expired(number(database), user_key);
}

uint32_t KeyEvents::number(ObjectId database) const {
  if (database == home_ || databases_ == nullptr) return home_number_;
  // One that this very transaction has emptied is not in the table yet.
  return databases_->number(database).value_or(home_number_);
}

}  // namespace server
