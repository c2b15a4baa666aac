// server/command_syntax.h: reads the synopsis in which a row writes down a command's arguments.
//
//     synopsis  = argument { " " argument }
//     argument  = one | "[" one "]"                           [] may be left out
//     one       = head [ choice | block ] [ "..." | "*..." ]  ... may be repeated; *... its token with it
//     head      = TOKEN                                       a word as it stands, named by its lower case
//               | [ token "=" ] name [ ":" type ] [ "#" key spec ] [ "@" since ] [ "~" deprecated since ]
//     choice    = "(" argument { " | " argument } ")"         one of these
//     block     = "{" argument { " " argument } "}"           all of these
//
// A TOKEN is in capitals and takes no type, but may take "@". Tokens and names with odd characters stand in
// single quotes ('' is the empty token). Types are those of COMMAND DOCS, "token" for its pure-token; without
// a type it is key after a "#", else string.
//
//     key#0 value [condition@2.6.12(NX | XX)] [GET@6.2.0] [EX=seconds:integer] [LIMIT=limit{offset:integer
//     count:integer}]
//
// Threads: pure; any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace server {

struct Argument {
  enum class Type : uint8_t {
    kString,
    kInteger,
    kDouble,
    kKey,
    kPattern,
    kUnixTime,
    kPureToken,
    kOneOf,
    kBlock
  };

  std::string name;
  Type type = Type::kString;
  bool optional = false;
  bool multiple = false;
  bool multiple_token = false;
  int key_spec = -1;                         // -1: none.
  std::optional<std::string_view> token;     // MIGRATE's empty_string has the empty one.
  std::string_view since, deprecated_since;  // Empty: none. All of these point into the synopsis.
  std::vector<Argument> arguments;           // Of a choice or a block.
};

// Nullopt: not a synopsis (a wrong row; the tests read them all).
std::optional<std::vector<Argument>> read_synopsis(std::string_view synopsis);

// As people read it: "key value [NX|XX] [EX seconds|KEEPTTL]".
std::string synopsis_text(const std::vector<Argument>& arguments);

std::string_view type_name(Argument::Type type);  // As COMMAND DOCS prints it.

}  // namespace server
