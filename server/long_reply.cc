#include "server/long_reply.h"

namespace server {

bool LongReply::goes_on_long() {
  if (c_.pieces == nullptr) {
    c_.view.charge(kStepsOnReactor + 1);  // That is for a worker, where there is one.
    if (c_.reply.mark() - mark_ <= kNestedBytesMax) return true;
  }
  c_.reply.rollback(mark_);
  return false;
}

}  // namespace server
