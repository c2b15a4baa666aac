// engine/manifest_edit.h: a VersionEdit as bytes.
//
// A row of fields, each a tag byte and what the tag says; integers are varints (7 bits a byte, low ones
// first), signed ones zigzag, strings are length and bytes:
//
//     1 added            level, run, number, file_bytes, data_bytes, entries, tombstones, unsettled,
//                        checksum, first_lsn, last_lsn, smallest, largest
//     2 removed          number
//     3 flushed          lsn
//     4 count            owner, signed delta
//     5 forgotten count  owner
//     6 next table       number
//     7 next object      id
//     8 dead objects     string
//     9 property         name, value
//
// Threads: any.
#pragma once

#include <string>
#include <string_view>

#include "engine/manifest.h"
#include "engine/status.h"

namespace engine {

std::string encode_edit(const VersionEdit& edit);
// Errors, as a sentence that names no file: kCorruption; kTooNew for a tag that this build does not know.
Status decode_edit(std::string_view bytes, VersionEdit* edit);

}  // namespace engine
