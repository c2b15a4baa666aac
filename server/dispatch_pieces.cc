// Replies that go out in pieces: server/reply_source.h.
#include <string>
#include <utility>

#include "server/dispatch.h"
#include "server/log.h"
#include "server/reply_source.h"
#include "server/server.h"

namespace server {

struct Dispatcher::Piece {
  explicit Piece(std::shared_ptr<PiecewiseReply> whole) : of(std::move(whole)) {}

  const std::shared_ptr<PiecewiseReply> of;
  resp::OutputBuffer output;
  resp::ReplyWriter reply{output, of->version};
  engine::Status status;

  void make() {  // On a worker.
    const auto reader = of->snapshot->reader();
    engine::Batch nothing;
    View view(*reader, nullptr, nothing, of->now_ms);
    try {
      of->source->next(view, reply);
    } catch (const StorageError& error) {
      status = error.status;
    }
  }
};

void Dispatcher::make_piece(Client& client) {
  client.waiting->in_flight = true;
  const auto piece = std::make_shared<Piece>(client.waiting->pieces);
  env_.executor.submit(
      engine::Lane::kLongRead, engine::Task([piece] { piece->make(); }), engine::Task([this, piece, &client] {
        client.waiting->in_flight = false;
        if (client.closed() || server_.stopping()) return drop(client);
        PiecewiseReply& whole = *piece->of;
        if (!piece->status.ok()) {
          log_warning("A long reply breaks off for want of its data: %s", piece->status.message().c_str());
          if (whole.begun) return client.close();  // P3
          const uint64_t mark = client.reply.mark();
          client.reply.error(storage_error(piece->status));
          return end_pieces(client, mark);
        }
        if (!piece->output.empty()) {
          whole.begun = true;
          client.output.splice(std::move(piece->output));
          server_.output_added(client);
        }
        if (whole.source->done()) return end_pieces(client, client.reply.mark());
        more_room(client);
      }));
}

void Dispatcher::more_room(Client& client) {
  if (!client.waiting || !client.waiting->pieces || client.waiting->in_flight || server_.stopping()) return;
  if (client.output.size() > PiecewiseReply::kOutputMax) return;  // P1; it comes back when some is sent.
  make_piece(client);
}

void Dispatcher::end_pieces(Client& client, uint64_t mark) {
  const auto pieces = std::exchange(client.waiting->pieces, nullptr);
  now_us_ = env_.clock.monotonic_us();
  finish(client, client.requests.front(), mark, 0, false);
  for (const auto& [lsn, bytes] : pieces->behind) server_.push(client, bytes, lsn);
  go_on(client);
}

bool Dispatcher::say_behind_reply(Client& client, std::string_view bytes, engine::Lsn lsn) {
  if (!client.waiting || !client.waiting->pieces) [[likely]]
    return false;
  client.waiting->pieces->behind.emplace_back(lsn, bytes);
  client.waiting->pieces->behind_bytes += bytes.size();
  return true;
}

size_t Dispatcher::bytes_behind_reply(const Client& client) {
  return client.waiting && client.waiting->pieces ? client.waiting->pieces->behind_bytes : 0;
}

bool Dispatcher::reader_is_stuck(Client& client, uint64_t now_us) {
  if (!client.waiting || !client.waiting->pieces) [[likely]]
    return false;
  PiecewiseReply& pieces = *client.waiting->pieces;
  if (client.waiting->in_flight || client.output.empty() || client.bytes_out != pieces.taken_bytes) {
    pieces.taken_bytes = client.bytes_out;
    pieces.taken_us = now_us;
    return false;
  }
  return now_us - pieces.taken_us > PiecewiseReply::kPatienceUs;
}

}  // namespace server
