// server/info_text.h: lines of INFO, "name:value" and CRLF, under headings.
#pragma once

#include <concepts>
#include <cstdio>
#include <string>
#include <string_view>

namespace server {

class InfoText {
 public:
  void heading(std::string_view name) {
    if (!text_.empty()) text_ += "\r\n";
    text_.append("# ").append(name).append("\r\n");
  }
  void field(std::string_view name, std::string_view value) {
    text_.append(name).append(":").append(value).append("\r\n");
  }
  void field(std::string_view name, std::integral auto value) { field(name, std::to_string(value)); }
  void fixed(std::string_view name, double value, int digits, const char* suffix = "") {
    char text[64];
    std::snprintf(text, sizeof(text), "%.*f%s", digits, value, suffix);
    field(name, text);
  }
  // A part of something, "0.00" if there is nothing to be a part of.
  void ratio(std::string_view name, uint64_t part, uint64_t whole) {
    fixed(name, whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole), 2);
  }
  std::string& text() { return text_; }

 private:
  std::string text_;
};

}  // namespace server
