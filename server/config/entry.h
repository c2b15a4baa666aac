// server/config/entry.h: one setting as it was written, in redis.conf syntax, TOML or on the command line.
//
// redis.conf: `name word word …`, one a line. A word may be in double quotes (with \n \r \t \b \a \xHH) or
// single ones. A line that begins with # is a comment; a comment behind a setting is not possible.
//
// TOML: `name = value`, all at the top level (a table has no meaning). A value is a string, a number, a
// boolean (yes or no), or, where the setting takes several words, an array of them:
//     bind = ["127.0.0.1", "-::1"]
//     save = ["3600 1", "300 100"]
//     client-output-buffer-limit = ["replica 256mb 64mb 60", "pubsub 32mb 8mb 60"]
//     include = ["/etc/varve/site.toml"]
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/status.h"

namespace server {

struct Entry {
  std::string name;  // Lower case.
  std::vector<std::string> words;
  bool is_array = false;  // TOML: each word is one element and may hold several words.

  std::string source;  // The file's path, "stdin" or "command line".
  int line = 0;        // From 1; 0 on the command line.
  // In a file: the bytes from the name's first to the value's last, and of the value alone.
  size_t begin = 0, end = 0;
  size_t value_begin = 0;

  // "redis.conf:7", "--port": where a person finds it.
  std::string place() const;
};

enum class Syntax : unsigned char { kConf, kToml };
// `*.conf` and what has no name (stdin) is redis.conf syntax, all else TOML.
Syntax syntax_of(std::string_view file);

// All settings of a text, in order. Errors: kInvalid, naming source and line.
engine::Result<std::vector<Entry>> parse_conf(std::string_view text, const std::string& source);
engine::Result<std::vector<Entry>> parse_toml(std::string_view text, const std::string& source);

// Words of a line in redis.conf syntax; nothing if quotes do not close.
std::optional<std::vector<std::string>> split_words(std::string_view line);
// A word as split_words reads it back: bare where that is safe, else in double quotes.
std::string quote_word(std::string_view word);

// A basic TOML string.
std::string quote_toml(std::string_view text);

}  // namespace server
