#include "server/string_value.h"

#include <algorithm>
#include <cstring>

namespace server {

namespace {

std::string chunk_key(ObjectId object, uint64_t number) {
  const auto n = static_cast<uint32_t>(number);
  const char element[4] = {static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8),
                           static_cast<char>(n)};
  std::string key;
  element_key(object, {element, 4}, &key);
  return key;
}

uint64_t chunk_number(std::string_view key) {
  const std::string_view element = element_of(key);
  INVARIANT(element.size() == 4);
  uint32_t big_endian = 0;
  std::memcpy(&big_endian, element.data(), 4);
  return __builtin_bswap32(big_endian);
}

std::string length_payload(uint64_t length) {
  std::string payload(8, '\0');
  std::memcpy(payload.data(), &length, 8);
  return payload;
}

bool chunked(const Header& header) { return header.object.id != engine::kNoObject; }

void put_header(View& view, const StringKey& key, const Header& header, bool blind) {
  if (blind)
    view.put_header_blind(key.database, key.name, header);
  else
    view.put_header(key.database, key.name, header);
}

Chunk parse_chunk(std::string_view record) {
  if (const auto chunk = Chunk::parse(record)) return *chunk;
  throw StorageError{engine::Status(engine::Code::kCorruption, "a chunk of a string is malformed")};
}

void write_chunks(View& view, ObjectId object, std::string_view value) {
  std::string record;
  for (uint64_t at = 0; at < value.size(); at += kChunkBytes) {
    Chunk::encode(value.substr(at, kChunkBytes), &record);
    if (!record.empty()) view.put(chunk_key(object, at / kChunkBytes), record, engine::Existence::kAbsent);
  }
}

}  // namespace

uint64_t string_length(const Header& header) {
  if (!chunked(header)) return header.payload.size();
  if (header.payload.size() != 8)
    throw StorageError{engine::Status(engine::Code::kCorruption, "a string's header is malformed")};
  uint64_t length = 0;
  std::memcpy(&length, header.payload.data(), 8);
  return length;
}

std::string_view read_string(View& view, const Header& header, std::string* scratch) {
  return read_string_range(view, header, 0, string_length(header), scratch);
}

std::string_view read_string_range(View& view, const Header& header, uint64_t offset, uint64_t length,
                                   std::string* scratch) {
  if (!chunked(header)) return header.payload.substr(offset, length);
  scratch->assign(length, '\0');
  if (length == 0) return *scratch;
  const ObjectId object = header.object.id;
  const uint64_t first = offset / kChunkBytes;
  const uint64_t last = (offset + length - 1) / kChunkBytes;
  const auto copy = [&](uint64_t number, std::string_view record) {
    const uint64_t begin = number * kChunkBytes;  // Of the chunk, within the value.
    const uint64_t from = std::max(begin, offset);
    const uint64_t to = std::min(begin + kChunkBytes, offset + length);
    parse_chunk(record).read(from - begin, to - from, scratch->data() + (from - offset));
  };
  if (first == last) {
    if (const auto record = view.get(chunk_key(object, first))) copy(first, *record);
    return *scratch;
  }
  auto chunks = view.range(chunk_key(object, first), element_end(object));
  for (bool there = chunks.seek_first(); there; there = chunks.next()) {
    const uint64_t number = chunk_number(chunks.key());
    if (number > last) break;
    copy(number, chunks.value());
  }
  return *scratch;
}

void write_string(View& view, const StringKey& key, std::string_view value, int64_t expiry_ms, bool blind) {
  Header header;
  header.expiry_ms = expiry_ms;
  if (value.size() <= kInlineMax) {
    header.payload = value;
    return put_header(view, key, header, blind);
  }
  header.object = {view.new_object(), 0};
  write_chunks(view, header.object.id, value);
  const std::string payload = length_payload(value.size());
  header.payload = payload;
  put_header(view, key, header, blind);
}

uint64_t write_string_range(View& view, const StringKey& key, const std::optional<Header>& old,
                            uint64_t offset, std::string_view bytes) {
  const uint64_t old_length = old ? string_length(*old) : 0;
  const uint64_t length = std::max(old_length, offset + bytes.size());
  Header header;
  if (old) header = *old;

  if (!chunked(header) && length <= kInlineChangedMax) {
    std::string value(header.payload);
    value.resize(length, '\0');
    std::memcpy(value.data() + offset, bytes.data(), bytes.size());
    header.payload = value;
    view.put_header(key.database, key.name, header);
    return length;
  }
  const bool was_chunked = chunked(header);
  std::string inline_value;
  if (!was_chunked) {
    // From now on in chunks. Those that the new bytes will cover are written below.
    inline_value = header.payload;
    header.object = {view.new_object(), 0};
    write_chunks(view, header.object.id, inline_value);
  }
  std::string record;
  for (uint64_t done = 0; done < bytes.size();) {
    const uint64_t at = offset + done;
    const uint64_t number = at / kChunkBytes;
    const uint64_t within = at % kChunkBytes;
    const uint64_t size = std::min<uint64_t>(kChunkBytes - within, bytes.size() - done);
    const std::string chunk = chunk_key(header.object.id, number);
    // A chunk that begins at or beyond the old end cannot be there.
    const bool may_be_there = number * kChunkBytes < old_length;
    if (size == kChunkBytes) {
      Chunk::encode(bytes.substr(done, size), &record);
    } else {
      char present[kChunkBytes];
      const auto found = may_be_there ? view.get(chunk) : std::nullopt;
      (found ? parse_chunk(*found) : Chunk::of({})).read(0, kChunkBytes, present);
      std::memcpy(present + within, bytes.data() + done, size);
      Chunk::encode({present, kChunkBytes}, &record);
    }
    if (!record.empty())
      view.put(chunk, record);
    else if (may_be_there)
      view.erase(chunk);
    done += size;
  }
  if (length != old_length || !was_chunked) {
    const std::string payload = length_payload(length);
    header.payload = payload;
    view.put_header(key.database, key.name, header);
  }
  return length;
}

// ---- chunk by chunk

namespace {
constexpr uint64_t kFetchedAhead = 256;  // Chunks: 2 MB.
}  // namespace

StringChunks::StringChunks(View& view, const Header& header, uint64_t first, bool all)
    : view_(view), object_(header.object.id), all_(all), number_(first) {
  const uint64_t length = string_length(header);
  last_ = length == 0 ? 0 : (length - 1) / kChunkBytes;
  if (!chunked(header))
    inline_value_ = header.payload;
  else
    range_.emplace(view.range(chunk_key(object_, first), element_end(object_)));
}

bool StringChunks::next() {
  if (!range_) {
    if (begun_) ++number_;
    begun_ = true;
    if (number_ * kChunkBytes >= inline_value_.size()) return false;
    chunk_ = Chunk::of(inline_value_.substr(number_ * kChunkBytes, kChunkBytes));
    return true;
  }
  const bool there = begun_ ? range_->next() : range_->seek_first();
  if (!there) return false;
  const uint64_t before = number_;
  number_ = chunk_number(range_->key());
  if (all_ && begun_ && number_ == before + 1 && number_ >= fetched_end_) fetch_ahead();
  begun_ = true;
  chunk_ = parse_chunk(range_->value());
  return true;
}

// Where one chunk follows another, more are likely to.
void StringChunks::fetch_ahead() {
  fetched_end_ = std::min(number_ + kFetchedAhead, last_ + 1);
  std::vector<std::string> keys;
  for (uint64_t number = number_; number < fetched_end_; ++number) keys.push_back(chunk_key(object_, number));
  view_.prefetch(keys);
}

void write_string_chunks(View& view, const StringKey& key, uint64_t length,
                         const std::vector<NumberedRecord>& chunks, int64_t expiry_ms) {
  Header header;
  header.expiry_ms = expiry_ms;
  std::string payload;
  if (length <= kInlineMax) {
    payload.resize(length);
    for (const auto& [number, record] : chunks) {
      const uint64_t begin = number * kChunkBytes;
      parse_chunk(record).read(0, std::min(kChunkBytes, length - begin), payload.data() + begin);
    }
  } else {
    header.object = {view.new_object(), 0};
    for (const auto& [number, record] : chunks)
      view.put(chunk_key(header.object.id, number), record, engine::Existence::kAbsent);
    payload = length_payload(length);
  }
  header.payload = payload;
  view.put_header(key.database, key.name, header);
}

}  // namespace server
