#include "server/rdb/snapshot_writer.h"

#include <cstdio>

#include "server/rdb/crc64.h"
#include "server/rdb/words.h"
#include "server/types/packed.h"

namespace server::rdb {

SnapshotWriter::SnapshotWriter(std::shared_ptr<const engine::Snapshot> snapshot,
                               std::vector<Database> databases, Options options)
    : snapshot_(std::move(snapshot)), databases_(std::move(databases)), options_(std::move(options)) {}

engine::Status SnapshotWriter::next(std::string* out) {
  const size_t begin = out->size();
  try {
    if (phase_ == Phase::kHead) write_head(out);
    while (phase_ == Phase::kKeys && out->size() - begin < kPieceBytes) write_keys(out);
  } catch (const StorageError& error) {
    phase_ = Phase::kDone;
    return error.status;
  }
  checksum_ = crc64(checksum_, std::string_view(*out).substr(begin));
  if (phase_ == Phase::kDone) put_fixed(out, checksum_);
  return {};
}

// Over the headers of a database. A walk reads far ahead, which is lost with it, and holds what it has read:
// so it serves many pieces, and not all.
struct SnapshotWriter::Walk {
  Walk(const engine::Snapshot& snapshot, int64_t now_ms, ObjectId database)
      : reader(snapshot.reader()),
        view(*reader, nullptr, nothing, now_ms),
        headers(view.range(header_begin(database), header_end(database))) {}

  const std::unique_ptr<engine::Reader> reader;
  engine::Batch nothing;
  View view;
  View::Range headers;
  bool there = false;  // It stands on a header that has not been written, or not to its end.
  size_t written = 0;
};

SnapshotWriter::~SnapshotWriter() = default;

void SnapshotWriter::write_head(std::string* out) {
  char magic[16];
  std::snprintf(magic, sizeof(magic), "REDIS%04d", options_.version);
  out->append(magic);
  for (const auto& [name, value] : options_.aux) {
    out->push_back(static_cast<char>(opcode::kAux));
    put_string(out, name);
    put_string(out, value);
  }
  for (const std::string& code : options_.functions) {
    out->push_back(static_cast<char>(opcode::kFunction));
    put_string(out, code);
  }
  phase_ = Phase::kKeys;
}

// As many keys, or parts of one, as are about a piece.
void SnapshotWriter::write_keys(std::string* out) {
  if (at_database_ == databases_.size()) {
    out->push_back(static_cast<char>(opcode::kEnd));
    phase_ = Phase::kDone;
    return;
  }
  const Database& database = databases_[at_database_];
  if (!walk_) {
    walk_ = std::make_unique<Walk>(*snapshot_, options_.now_ms, database.object);
    walk_->there = next_key_.empty() ? walk_->headers.seek_first() : walk_->headers.seek(next_key_);
  }
  auto& headers = walk_->headers;
  const size_t begin = out->size();
  const auto written = [&] { return out->size() - begin; };
  for (; walk_->there && written() < kPieceBytes; walk_->there = headers.next()) {
    const std::string_view key = user_key_of(headers.key());
    const auto header = decode_header(headers.value());
    if (!header) {
      throw StorageError{
          {engine::Code::kCorruption, "the header of key '" + std::string(key) + "' is malformed"}};
    }
    if (header->expired(options_.now_ms)) continue;
    if (!value_) {
      ++keys_;
      begin_key(walk_->view, *header, key, out);
    }
    while (written() < kPieceBytes) {
      if (value_->next({walk_->view, database.object, key, *header}, out)) continue;
      expiries_lost_ += value_->expiries_lost();
      value_.reset();
      break;
    }
    if (value_) break;
  }
  if (!walk_->there) {
    ++at_database_;
    selected_ = false;
    next_key_.clear();
    walk_.reset();
  } else if ((walk_->written += written()) >= kWalkBytes) {
    next_key_ = headers.key();
    walk_.reset();
  }
}

void SnapshotWriter::begin_key(View& view, const Header& header, std::string_view key, std::string* out) {
  const Database& database = databases_[at_database_];
  if (!selected_) {
    selected_ = true;
    out->push_back(static_cast<char>(opcode::kDatabase));
    put_length(out, database.number);
  }
  if (header.expiry_ms != kNoExpiry) {
    out->push_back(static_cast<char>(opcode::kExpiryMs));
    put_fixed(out, header.expiry_ms);
  }
  value_.emplace(options_.version);
  out->push_back(static_cast<char>(value_->type_of({view, database.object, key, header})));
  put_string(out, key);
}

}  // namespace server::rdb
