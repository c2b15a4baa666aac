#include "engine/table_format.h"

#include <xxhash.h>

namespace engine::table_format {

namespace {

constexpr uint64_t kFooterFields = 12;
constexpr uint64_t kFooterCovered = kFooterFields * 8;
static_assert(kFooterCovered + 8 + kFooterTailBytes == kFooterBytes);

uint32_t version_mark(uint32_t version) {
  char bytes[12];
  store(bytes, version);
  store(bytes + 4, kMagic);
  return static_cast<uint32_t>(XXH3_64bits(bytes, sizeof bytes));
}

}  // namespace

uint64_t make_trailer(std::string_view content_and_type, uint64_t table, uint64_t offset) {
  // An odd multiplier: two (table, offset) pairs of real sizes never give one seed.
  const uint64_t seed = table * 0x9e3779b97f4a7c15 + offset;
  const uint64_t hash = XXH3_64bits_withSeed(content_and_type.data(), content_and_type.size(), seed);
  return hash << 8 | static_cast<uint8_t>(content_and_type.back());
}

bool trailer_holds(std::string_view section, uint64_t table, uint64_t offset) {
  if (section.size() < kTrailerBytes) return false;
  const uint64_t content = section.size() - kTrailerBytes;
  return load<uint64_t>(section.data() + content) ==
         make_trailer(section.substr(0, content + 1), table, offset);
}

void Footer::encode(std::string& to) const {
  const size_t start = to.size();
  for (uint64_t field : {index_offset, root_offset, filter_offset, blocks, number, data_bytes, entries,
                         tombstones, unsettled, first_lsn, last_lsn, hash_seed}) {
    append(to, field);
  }
  append(to, static_cast<uint64_t>(XXH3_64bits(to.data() + start, kFooterCovered)));
  append(to, kVersion);
  append(to, version_mark(kVersion));
  append(to, kMagic);
}

Result<Footer> Footer::decode(std::string_view bytes) {
  INVARIANT(bytes.size() == kFooterBytes);
  const char* tail = bytes.data() + kFooterBytes - kFooterTailBytes;
  if (load<uint64_t>(tail + 8) != kMagic)
    return Status(Code::kCorruption, "this is no table: wrong magic number");
  const uint32_t version = load<uint32_t>(tail);
  if (load<uint32_t>(tail + 4) != version_mark(version)) {
    return Status(Code::kCorruption, "the format version is damaged");
  }
  if (version > kVersion) {
    return Status(Code::kTooNew, "the table's format version is " + std::to_string(version) +
                                     ", this build knows versions up to " + std::to_string(kVersion));
  }
  if (version != kVersion)
    return Status(Code::kCorruption, "no such format version: " + std::to_string(version));
  if (load<uint64_t>(bytes.data() + kFooterCovered) != XXH3_64bits(bytes.data(), kFooterCovered)) {
    return Status(Code::kCorruption, "the footer's checksum is wrong");
  }
  Footer f;
  const char* at = bytes.data();
  for (uint64_t* field :
       {&f.index_offset, &f.root_offset, &f.filter_offset, &f.blocks, &f.number, &f.data_bytes, &f.entries,
        &f.tombstones, &f.unsettled, &f.first_lsn, &f.last_lsn, &f.hash_seed}) {
    *field = load<uint64_t>(at);
    at += 8;
  }
  return f;
}

}  // namespace engine::table_format
