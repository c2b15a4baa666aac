// server/scripts/scripts.h: EVAL and its cache: scripts by the SHA1 of their text.
//
// The cache is in memory only, as Redis's is; SCRIPT FLUSH empties it and begins with a new interpreter.
//
// Threads: the reactor.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/scripts/interpreter.h"
#include "server/scripts/script_run.h"

namespace server {

struct Settings;

// How much memory the scripts of one interpreter may take.
size_t script_memory_max(const Settings& settings);

class Scripts {
 public:
  Scripts(Server& server, Interrupt& interrupt);
  ~Scripts();

  enum class By : uint8_t { kText, kSha1 };
  // EVAL, EVALSHA and their forms that only read.
  void eval(CommandContext& c, By by, bool by_read_only_command);
  // SCRIPT LOAD. The error is a text with its code; empty: *sha1 names it.
  std::string load(std::string_view text, std::string* sha1);
  bool known(std::string_view sha1) const;
  // The flags of what EVAL or EVALSHA would run; nothing: it would not.
  std::optional<uint32_t> flags(std::string_view text_or_sha1, By by) const;
  void flush();

  size_t count() const { return scripts_.size(); }
  size_t interpreter_bytes() const { return interpreter_ ? interpreter_->memory_bytes() : 0; }
  size_t cache_bytes() const;

 private:
  struct Script {
    std::string text;
    uint32_t flags;
    int function;  // Its reference in Lua's registry.
  };
  Interpreter& interpreter();

  Server& server_;
  Interrupt& interrupt_;
  std::unique_ptr<Interpreter> interpreter_;  // Made by the first script.
  std::map<std::string, Script, std::less<>> scripts_;
  size_t text_bytes_ = 0;
};

}  // namespace server
