#include "server/client_info.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "server/acl/user.h"
#include "server/command_table.h"
#include "server/key_watch.h"
#include "server/transaction.h"
#include "server/units.h"

namespace server {
namespace {

std::string flags_of(const Client& client) {
  std::string flags;
  if (client.session.monitor) flags += 'O';
  if (client.session.subscribed()) flags += 'P';
  if (client.transaction) flags += 'x';
  if (client.stream) flags += client.stream->to_primary() ? 'M' : 'S';
  if (client.waiting && client.waiting->counts_as_blocked()) flags += 'b';
  if (client.watcher && client.watcher->touched()) flags += 'd';
  if (client.session.tracking.on) flags += 't';
  if (client.session.tracking.redirect_broken) flags += 'R';
  if (client.session.tracking.broadcast) flags += 'B';
  if (client.closing_after_reply()) flags += 'c';
  if (client.is_unix_socket()) flags += 'U';
  if (client.session.no_evict) flags += 'e';
  if (client.session.no_touch) flags += 'T';
  return flags.empty() ? "N" : flags;
}

void append_number(std::string* out, const char* name, uint64_t value) {
  char text[48];
  std::snprintf(text, sizeof(text), " %s=%" PRIu64, name, value);
  *out += text;
}

// Redis's fixed buffer and its list of what does not fit are one chain of chunks here; the first chunk stands
// for the buffer.
constexpr uint64_t kFirstChunkBytes = resp::OutputBuffer::kChunkBytes + 64;

size_t digits(size_t n) { return std::to_string(n).size(); }

// What has come and is not yet carried out, as it lay in the buffer; that of a waiting command is not
// counted.
uint64_t query_bytes(const Client& client) {
  uint64_t bytes = client.input.size();
  if (client.waiting) return bytes;
  client.requests.each([&](const RequestQueue::Request& request) {
    bytes += 3 + digits(request.count);
    for (std::string_view arg : client.requests.args(request)) bytes += 5 + digits(arg.size()) + arg.size();
  });
  return bytes;
}

}  // namespace

std::string client_line(const Client& client, int64_t now_ms) {
  std::string line = "id=" + std::to_string(client.id);
  line += " addr=" + client.peer_address();
  line += " laddr=" + client.local_address();
  line += " fd=" + std::to_string(client.fd());
  line += " name=" + client.session.name;
  append_number(&line, "age", static_cast<uint64_t>((now_ms - client.created_ms) / 1000));
  append_number(&line, "idle", static_cast<uint64_t>((now_ms - client.last_interaction_ms) / 1000));
  line += " flags=" + flags_of(client);
  append_number(&line, "db", client.session.database);
  append_number(&line, "sub", client.session.subscriptions[0]);
  append_number(&line, "psub", client.session.subscriptions[1]);
  append_number(&line, "ssub", client.session.subscriptions[2]);
  line += " multi=" + (client.transaction ? std::to_string(client.transaction->size()) : std::string("-1"));
  const uint64_t multi_bytes = (client.transaction ? client.transaction->memory_bytes() : 0) +
                               (client.watcher ? client.watcher->memory_bytes() : 0);
  const uint64_t input_free = client.input.capacity_bytes() - client.input.size();
  append_number(&line, "qbuf", query_bytes(client));
  append_number(&line, "qbuf-free", input_free);
  append_number(&line, "argv-mem", client.requests.memory_bytes());
  append_number(&line, "multi-mem", multi_bytes);
  const uint64_t first_chunk = std::min<uint64_t>(client.output.memory_bytes(), kFirstChunkBytes);
  append_number(&line, "rbs", first_chunk);
  append_number(&line, "rbp", first_chunk);
  append_number(&line, "obl", client.output.size());
  line += " oll=0";
  append_number(&line, "omem", client.output.memory_bytes() - first_chunk);
  append_number(&line, "tot-mem",
                sizeof(Client) + client.input.capacity_bytes() + client.requests.memory_bytes() +
                    client.output.memory_bytes() + client.parser.memory_bytes() + multi_bytes);
  line += client.output.empty() ? " events=r" : " events=rw";
  line += " cmd=" + (client.last_command ? std::string(client.last_command->name) : std::string("NULL"));
  line += " user=" + client.session.user->name();
  const TrackingMode& tracking = client.session.tracking;
  line += " redir=" + std::to_string(tracking.on ? static_cast<int64_t>(tracking.redirect) : -1);
  append_number(&line, "resp", static_cast<uint64_t>(client.reply.version()));
  line += " lib-name=" + client.session.library_name;
  line += " lib-ver=" + client.session.library_version;
  return line;
}

std::optional<ClientType> client_type_of(std::string_view name) {
  if (equals_ignoring_case(name, "normal")) return ClientType::kNormal;
  if (equals_ignoring_case(name, "slave") || equals_ignoring_case(name, "replica"))
    return ClientType::kReplica;
  if (equals_ignoring_case(name, "pubsub")) return ClientType::kPubsub;
  if (equals_ignoring_case(name, "master")) return ClientType::kPrimary;
  return std::nullopt;
}

ClientType type_of(const Client& client) {
  if (client.stream) return client.stream->to_primary() ? ClientType::kPrimary : ClientType::kReplica;
  return client.session.subscribed() ? ClientType::kPubsub : ClientType::kNormal;
}

}  // namespace server
