#include "server/acl/subscribers.h"

#include <algorithm>
#include <string>
#include <vector>

#include "server/pubsub.h"
#include "server/server.h"

namespace server {
namespace {

bool uses_all_channels(const AclUser& user) {
  const auto& selectors = user.selectors();
  return std::any_of(selectors.begin(), selectors.end(),
                     [](const AclSelector& selector) { return selector.all_channels(); });
}

std::vector<std::string> channels_of(const AclUser& user) {
  std::vector<std::string> all;
  for (const AclSelector& selector : user.selectors()) {
    all.insert(all.end(), selector.channels().begin(), selector.channels().end());
  }
  return all;
}

bool hears_only(const PubSub& pubsub, const Client& client, const std::vector<std::string>& allowed) {
  for (const auto kind : {PubSub::Kind::kChannel, PubSub::Kind::kPattern, PubSub::Kind::kShard}) {
    for (const std::string& name : pubsub.subscriptions(client, kind)) {
      if (!allows_channel(allowed, name, kind == PubSub::Kind::kPattern)) return false;
    }
  }
  return true;
}

}  // namespace

void close_unlawful_subscribers(Server& server, const AclUser& user, const AclUser& draft,
                                const Client& current) {
  if (uses_all_channels(draft)) return;
  const std::vector<std::string> allowed = channels_of(draft);
  if (!uses_all_channels(user)) {
    const std::vector<std::string> before = channels_of(user);
    const auto stays = [&](const std::string& channel) {
      return std::find(allowed.begin(), allowed.end(), channel) != allowed.end();
    };
    if (std::all_of(before.begin(), before.end(), stays)) return;
  }
  server.clients().each([&](Client& client) {
    if (client.session.user != &user || !client.session.subscribed()) return;
    if (hears_only(server.pubsub(), client, allowed)) return;
    if (&client == &current) {
      client.close_after_reply();
    } else {
      client.close();
    }
  });
}

}  // namespace server
