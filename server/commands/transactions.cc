// server/commands/transactions.cc: MULTI, EXEC, DISCARD, WATCH, UNWATCH. Queueing is the dispatcher's.
#include <optional>
#include <string>
#include <vector>

#include "server/acl/acl.h"
#include "server/authorize.h"
#include "server/bindings.h"
#include "server/call_log.h"
#include "server/command.h"
#include "server/command_keys.h"
#include "server/key_watch.h"
#include "server/nested_call.h"
#include "server/server.h"
#include "server/transaction.h"

namespace server {
namespace {

void multi(CommandContext& c) {
  if (c.client.transaction) return c.reply.error("ERR MULTI calls can not be nested");
  c.client.transaction = std::make_unique<Transaction>();
  c.reply.ok();
}

void discard(CommandContext& c) {
  if (!c.client.transaction) return c.reply.error("ERR DISCARD without MULTI");
  c.ends_transaction = true;
  c.reply.ok();
}

// All reads come first, so that nothing is watched if the command begins anew.
void watch(CommandContext& c) {
  if (c.client.transaction) return c.reply.error("ERR WATCH inside MULTI is not allowed");
  c.reply.ok();
  if (c.client.watcher && c.client.watcher->touched()) return;  // EXEC will fail, whatever becomes of these.
  const auto keys = c.args.subspan(1);
  c.view.prefetch_headers(c.database, keys);
  std::vector<std::optional<Header>> headers;
  for (const std::string_view key : keys) headers.push_back(c.view.header(c.database, key));
  if (!c.client.watcher) c.client.watcher = std::make_unique<Watcher>();
  for (size_t i = 0; i < keys.size(); ++i)
    c.server.key_watch().watch(*c.client.watcher, c.database_number, keys[i], headers[i], c.view.now_ms());
}

// In a transaction too: what was watched for it is forgotten with its end all the same.
void unwatch(CommandContext& c) {
  if (!c.nested && c.client.watcher) c.server.key_watch().unwatch(*c.client.watcher);
  c.reply.ok();
}

bool watched_keys_changed(CommandContext& c) {
  const Watcher* watcher = c.client.watcher.get();
  if (watcher == nullptr) return false;
  if (watcher->touched() || watcher->any_expired(c.view.now_ms())) return true;
  for (const auto& [database, key] : watcher->doubtful())
    if (c.view.header(c.server.databases().object(database), key)) return true;
  return false;
}

// Rights may have been taken away since it was queued.
bool still_allowed(CommandContext& c, const Command& command, Transaction::Args args) {
  const std::string_view error = authorize(c.server, c.client, command, args, Place::kExec);
  if (error.empty()) return true;
  if (!error.starts_with("NOAUTH"))  // That is not logged.
    c.effects->on_take_back([&log = c.server.acl().log] { log.take_back(); });
  c.reply.error(error);
  if (c.calls != nullptr) c.calls->at(c.calls->begin(nullptr)).error = "-" + std::string(error);
  return false;
}

// One round of fetching for the headers of all that is queued, rather than one for each. Of those that it
// can tell: behind a SELECT, and what overwrites without looking, are others.
void prefetch(CommandContext& c, const Transaction& transaction) {
  std::vector<std::string_view> keys;
  std::vector<KeyAt> places;
  for (size_t i = 0; i < transaction.size() && transaction.command(i).name != "select"; ++i) {
    const Transaction::Args args = transaction.args(i);
    keys_of(transaction.command(i), args, &places);
    for (const KeyAt& place : places)
      if (!(place.flags & (key::kNotKey | key::kOw))) keys.push_back(args[place.position]);
  }
  c.view.prefetch_headers(c.database, keys);
}

void exec(CommandContext& c) {
  const Transaction* transaction = c.client.transaction.get();
  if (transaction == nullptr) return c.reply.error("ERR EXEC without MULTI");
  c.ends_transaction = true;
  if (transaction->aborted())
    return c.reply.error("EXECABORT Transaction discarded because of previous errors.");
  if (watched_keys_changed(c)) return c.reply.null_array();
  if (c.reads->fetches() > 0) prefetch(c, *transaction);  // It has begun anew; most never do.
  c.reply.array(transaction->size());
  for (size_t i = 0; i < transaction->size(); ++i) {
    const Command& command = transaction->command(i);
    const Transaction::Args args = transaction->args(i);
    if (still_allowed(c, command, args)) nested_call(c, command, args, c.reply);
  }
}

constexpr Binding kBindings[] = {
    {"multi", &multi}, {"exec", &exec}, {"discard", &discard}, {"watch", &watch}, {"unwatch", &unwatch}};

}  // namespace

void bind_transaction_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
