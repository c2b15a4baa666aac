// engine/file_names.h: what the files of a store are called, so that whoever sweeps a directory can tell.
//
//     000042.vst        a table
//     MANIFEST-000007   a row of edits (engine/manifest.h)
//     CURRENT           names the manifest that counts
//     *.tmp             being written; of no worth after a crash
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace engine {

std::string table_path(const std::string& directory, uint64_t number);
std::string manifest_path(const std::string& directory, uint64_t number);
std::string current_path(const std::string& directory);

// The number in a file's name (not path); nothing if it is not such a name, exactly.
std::optional<uint64_t> parse_table_name(std::string_view name);
std::optional<uint64_t> parse_manifest_name(std::string_view name);

}  // namespace engine
