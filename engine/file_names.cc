#include "engine/file_names.h"

#include <charconv>
#include <cstdio>

namespace engine {
namespace {

constexpr std::string_view kTableSuffix = ".vst";
constexpr std::string_view kManifestPrefix = "MANIFEST-";

std::string digits(uint64_t number) {
  char text[24];
  std::snprintf(text, sizeof text, "%06llu", static_cast<unsigned long long>(number));
  return text;
}

// Only what digits() writes: "7" and "0000007" name no file of ours.
std::optional<uint64_t> parse_digits(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || digits(number) != text) return std::nullopt;
  return number;
}

}  // namespace

std::string table_path(const std::string& directory, uint64_t number) {
  return directory + "/" + digits(number) + std::string(kTableSuffix);
}
std::string manifest_path(const std::string& directory, uint64_t number) {
  return directory + "/" + std::string(kManifestPrefix) + digits(number);
}
std::string current_path(const std::string& directory) { return directory + "/CURRENT"; }

std::optional<uint64_t> parse_table_name(std::string_view name) {
  if (!name.ends_with(kTableSuffix)) return std::nullopt;
  return parse_digits(name.substr(0, name.size() - kTableSuffix.size()));
}
std::optional<uint64_t> parse_manifest_name(std::string_view name) {
  if (!name.starts_with(kManifestPrefix)) return std::nullopt;
  return parse_digits(name.substr(kManifestPrefix.size()));
}

}  // namespace engine
