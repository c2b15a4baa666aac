#include "server/removal.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "server/batch_runner.h"
#include "server/databases.h"
#include "server/dispatch.h"
#include "server/server.h"

namespace server {
namespace {

struct Steps : std::enable_shared_from_this<Steps> {
  Steps(CommandContext& c, std::string_view the_key)
      : server(c.server), client(c.client), database(c.database), key(the_key), command(c.args[0]) {}

  Server& server;
  Client& client;
  const ObjectId database;
  const std::string key, command;
  ObjectId object = engine::kNoObject;
  uint32_t event_class = 0;
  const char* event = nullptr;
  RemoveSome remove_some;
  Removed removed;
  ReplyRemoved reply;
  RemovalStep last;  // Of the run that was applied.
  uint64_t total = 0;
  bool emptied = false;
  engine::Lsn end = 0;

  void step() {
    server.batches().run([self = shared_from_this()](View& view) { self->run(view); },
                         [self = shared_from_this()](const BatchRunner::Outcome& step) { self->ran(step); });
  }

  void run(View& view) {
    last = {};
    if (!server.databases().number(database)) return;  // Flushed.
    const auto header = view.header(database, key);
    if (!header || header->object.id != object) return;
    last = remove_some(view, *header);
  }

  void ran(const BatchRunner::Outcome& step) {
    if (!step.status.ok()) return done(step.status);
    end = std::max(end, step.end);
    total += last.removed;
    emptied |= last.emptied;
    if (removed) removed();
    if (!last.more || (reply && client.closed())) return done({});
    server.env().executor.post(engine::Task([self = shared_from_this()] { self->step(); }));
  }

  void done(const engine::Status& status) {
    if (const auto number = server.databases().number(database); number && total > 0) {
      Effects effects;
      effects.want(server.wanted_events());
      effects.event(event_class, event, *number, key);
      if (emptied) effects.event(notify::kGeneric, "del", *number, key);
      server.deliver(effects, end);
    }
    server.dispatcher().answer(
        client,
        [self = shared_from_this(), status](resp::ReplyWriter& writer) {
          if (self->reply && (status.ok() || self->total > 0)) return self->reply(writer);
          if (status.ok()) return writer.integer(static_cast<int64_t>(self->total));
          writer.error("ERR '" + self->command + "' stopped after " + std::to_string(self->total) +
                       " elements: " + status.message());
        },
        end);
  }
};

}  // namespace

void remove_in_steps(CommandContext& c, ObjectId object, uint32_t event_class, const char* event,
                     RemoveSome remove_some, Removed removed) {
  take_in_steps(c, c.args[1], object, event_class, event, std::move(remove_some), std::move(removed),
                nullptr);
}

void take_in_steps(CommandContext& c, std::string_view key, ObjectId object, uint32_t event_class,
                   const char* event, RemoveSome remove_some, Removed removed, ReplyRemoved reply) {
  const auto steps = std::make_shared<Steps>(c, key);
  steps->object = object;
  steps->event_class = event_class;
  steps->event = event;
  steps->remove_some = std::move(remove_some);
  steps->removed = std::move(removed);
  steps->reply = std::move(reply);
  c.server.dispatcher().suspend(c.client);
  steps->step();
}

}  // namespace server
