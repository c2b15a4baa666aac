#include "server/blocking.h"

#include <cmath>
#include <utility>

#include "engine/batch.h"
#include "server/command.h"
#include "server/databases.h"
#include "server/units.h"

namespace server {

std::string Blocking::name_of(uint32_t database, std::string_view key) {
  std::string name(reinterpret_cast<const char*>(&database), sizeof database);
  name += key;
  return name;
}

void Blocking::add(uint64_t client, uint32_t database, const BlockRequest& request, uint64_t deadline_us) {
  Waiter& waiter = waiters_[client];
  INVARIANT(waiter.order == 0);
  waiter.order = next_order_++;
  waiter.type = request.type;
  waiter.when_gone = request.when_gone;
  waiter.remember = request.remember;
  waiter.deadline_us = deadline_us;
  for (const std::string_view key : request.keys) {
    std::string name = name_of(database, key);
    Queue& queue = queues_[name];
    if (!queue.waiters.emplace(waiter.order, client).second) continue;  // Named twice.
    queue.when_gone += waiter.when_gone;
    waiter.keys.push_back(std::move(name));
  }
  if (deadline_us != 0) deadlines_.emplace(deadline_us, client);
}

void Blocking::remove(uint64_t client) {
  const auto at = waiters_.find(client);
  if (at == waiters_.end()) return;
  Waiter& waiter = at->second;
  stop_running(waiter);
  for (const std::string& name : waiter.keys) {
    const auto queue = queues_.find(name);
    queue->second.waiters.erase(waiter.order);
    queue->second.when_gone -= waiter.when_gone;
    if (queue->second.waiters.empty()) queues_.erase(queue);
  }
  deadlines_.erase({waiter.deadline_us, client});
  waiters_.erase(at);
}

// ------------------------------------------------------------------ keys

void Blocking::mark_ready(const std::string& name, Queue& queue) {
  queue.tried = 0;
  if (queue.ready) return;
  queue.ready = true;
  if (!queue.running) ready_.push_back(name);
}

void Blocking::applied(const engine::Batch& batch, const Databases& databases) {
  if (queues_.empty()) return;
  engine::BatchReader operations(batch.bytes());
  while (operations.next()) {
    if (operations.op() == engine::Batch::Op::kMoved) continue;
    const auto header = header_place(operations.key());
    if (!header) continue;
    const auto database = databases.number(header->database);
    if (!database) continue;
    const std::string name = name_of(*database, header->user_key);
    const auto queue = queues_.find(name);
    if (queue == queues_.end()) continue;
    if (operations.op() == engine::Batch::Op::kPut || queue->second.when_gone > 0)
      mark_ready(name, queue->second);
  }
}

void Blocking::databases_changed() {
  for (auto& [name, queue] : queues_) mark_ready(name, queue);
}

// ------------------------------------------------------------------ serving

std::optional<Blocking::Turn> Blocking::next() {
  while (!ready_.empty()) {
    const std::string& name = ready_.front();
    const auto at = queues_.find(name);
    if (at == queues_.end() || !at->second.ready || at->second.running) {
      ready_.pop_front();  // When the one that runs has ended, the queue comes back.
      continue;
    }
    Queue& queue = at->second;
    const auto in_turn = queue.waiters.upper_bound(queue.tried);
    if (in_turn == queue.waiters.end()) {
      queue.ready = false;
      ready_.pop_front();
      continue;
    }
    queue.tried = in_turn->first;
    Waiter& waiter = waiters_.at(in_turn->second);
    if (!waiter.running_for.empty()) {
      waiter.skipped = true;
      continue;
    }
    queue.running = true;
    waiter.running_for = name;
    ready_.pop_front();
    deadlines_.erase({waiter.deadline_us, in_turn->second});
    return Turn{in_turn->second, std::string_view(waiter.running_for).substr(sizeof(uint32_t))};
  }
  return std::nullopt;
}

void Blocking::stop_running(Waiter& waiter) {
  if (waiter.running_for.empty()) return;
  Queue& queue = queues_.at(waiter.running_for);
  queue.running = false;
  if (queue.ready) ready_.push_front(waiter.running_for);
  waiter.running_for.clear();
}

Unblock Blocking::passed(uint64_t client, bool absent, uint64_t now_us) {
  Waiter& waiter = waiters_.at(client);
  if (absent) {
    Queue& queue = queues_.at(waiter.running_for);
    if (queue.when_gone == 0) {
      queue.ready = false;
      queue.tried = 0;
    }
  }
  stop_running(waiter);
  if (waiter.deadline_us != 0) deadlines_.emplace(waiter.deadline_us, client);
  if (waiter.skipped) {
    waiter.skipped = false;
    for (const std::string& name : waiter.keys) mark_ready(name, queues_.at(name));
  }
  if (waiter.ended == Unblock::kNo && waiter.deadline_us != 0 && waiter.deadline_us <= now_us)
    return Unblock::kTimeout;
  return waiter.ended;
}

// ------------------------------------------------------------------ the end of waiting

std::vector<uint64_t> Blocking::due(uint64_t now_us) const {
  std::vector<uint64_t> clients;
  for (const auto& [deadline_us, client] : deadlines_) {
    if (deadline_us > now_us) break;
    clients.push_back(client);
  }
  return clients;
}

Blocking::Ended Blocking::end(uint64_t client, Unblock how) {
  const auto at = waiters_.find(client);
  if (at == waiters_.end()) return Ended::kNotWaiting;
  if (at->second.running_for.empty()) return Ended::kNow;
  at->second.ended = how;
  return Ended::kLater;
}

// ------------------------------------------------------------------ for handlers

std::optional<int64_t> parse_block_timeout(CommandContext& c, std::string_view text) {
  const auto seconds = parse_long_double(text);
  if (!seconds) {
    c.reply.error("ERR timeout is not a float or out of range");
    return std::nullopt;
  }
  const long double ms = std::ceil(*seconds * 1000);
  // What is too long for Redis overflows there and becomes negative.
  if (ms < 0 || ms >= 0x1p63L) {
    c.reply.error("ERR timeout is negative");
    return std::nullopt;
  }
  return static_cast<int64_t>(ms);
}

std::span<const std::string_view> keys_to_try(CommandContext& c, std::span<const std::string_view> keys) {
  return c.ready_key ? std::span<const std::string_view>(&*c.ready_key, 1) : keys;
}

void block_for(CommandContext& c, Type type, std::span<const std::string_view> keys, int64_t timeout_ms,
               Nothing nothing) {
  BlockRequest request;
  request.type = type;
  request.keys = keys;
  request.timeout_ms = timeout_ms;
  block_for(c, std::move(request), nothing);
}

void block_for(CommandContext& c, BlockRequest request, Nothing nothing) {
  if (c.block == nullptr) return nothing == Nothing::kNull ? c.reply.null() : c.reply.null_array();
  *c.block = std::move(request);
  c.block->wanted = true;
}

}  // namespace server
