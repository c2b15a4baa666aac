#include "server/scripts/scripts.h"

#include <algorithm>

#include "server/engine_settings.h"
#include "server/errors.h"
#include "server/scripts/redis_api.h"
#include "server/scripts/sandbox.h"
#include "server/scripts/script_flags.h"
#include "server/scripts/sha1.h"
#include "server/server.h"
#include "server/units.h"

namespace server {
namespace {

constexpr std::string_view kNoScriptError = "NOSCRIPT No matching script. Please use EVAL.";
constexpr size_t kSha1Digits = 40;

}  // namespace

size_t script_memory_max(const Settings& settings) {
  constexpr uint64_t kMin = uint64_t{64} << 20, kMax = uint64_t{1} << 30;
  return static_cast<size_t>(std::clamp(memory_limit(settings) / 2, kMin, kMax));
}

Scripts::Scripts(Server& server, Interrupt& interrupt) : server_(server), interrupt_(interrupt) {}
Scripts::~Scripts() = default;

Interpreter& Scripts::interpreter() {
  if (!interpreter_) {
    interpreter_ = std::make_unique<Interpreter>(script_memory_max(server_.settings()));
    const std::string error = interpreter_->protect([](lua_State* lua) { build_sandbox(lua, add_eval_api); });
    INVARIANT(error.empty());
  }
  return *interpreter_;
}

std::string Scripts::load(std::string_view text, std::string* sha1) {
  *sha1 = sha1_hex(text);
  if (scripts_.contains(*sha1)) return {};
  const ScriptHead head = read_script_head(text);
  if (!head.error.empty()) return "ERR " + head.error;
  std::string problem;
  int function = LUA_NOREF;
  const std::string failure = interpreter().protect([&](lua_State* lua) {
    if (load_source(lua, text.substr(head.bytes), "@user_script") != 0)
      problem = text_at(lua, -1);
    else
      function = luaL_ref(lua, LUA_REGISTRYINDEX);
  });
  if (problem.empty()) problem = failure;
  if (!problem.empty()) return "ERR Error compiling script (new function): " + problem;
  scripts_.emplace(*sha1, Script{std::string(text), head.flags, function});
  text_bytes_ += text.size();
  return {};
}

bool Scripts::known(std::string_view sha1) const { return scripts_.contains(lower(sha1)); }

std::optional<uint32_t> Scripts::flags(std::string_view text_or_sha1, By by) const {
  if (by == By::kSha1) {
    const auto script = scripts_.find(lower(text_or_sha1));
    return script == scripts_.end() ? std::nullopt : std::optional(script->second.flags);
  }
  const ScriptHead head = read_script_head(text_or_sha1);
  return head.error.empty() ? std::optional(head.flags) : std::nullopt;
}

void Scripts::flush() {
  scripts_.clear();
  text_bytes_ = 0;
  interpreter_.reset();
}

size_t Scripts::cache_bytes() const {
  constexpr size_t kNodeBytes = 48;
  return text_bytes_ + scripts_.size() * (sizeof(Script) + kSha1Digits + sizeof(std::string) + kNodeBytes);
}

void Scripts::eval(CommandContext& c, By by, bool by_read_only_command) {
  if (by == By::kSha1 && c.args[1].size() != kSha1Digits) return c.reply.error(kNoScriptError);
  const auto keys = parse_integer(c.args[2]);
  if (!keys) return c.reply.error(kNotAnInteger);
  const auto rest = c.args.subspan(3);
  if (*keys > static_cast<int64_t>(rest.size()))
    return c.reply.error("ERR Number of keys can't be greater than number of args");
  if (*keys < 0) return c.reply.error("ERR Number of keys can't be negative");

  std::string sha1;
  if (by == By::kSha1) {
    sha1 = lower(c.args[1]);
    if (!scripts_.contains(sha1)) return c.reply.error(kNoScriptError);
  } else if (const std::string error = load(c.args[1], &sha1); !error.empty()) {
    return c.reply.error(error);
  }
  const Script& script = scripts_.find(sha1)->second;
  ScriptCall call;
  call.name = sha1;
  call.flags = script.flags;
  call.by_read_only_command = by_read_only_command;
  call.keys = rest.first(static_cast<size_t>(*keys));
  call.args = rest.subspan(static_cast<size_t>(*keys));
  call.push_function = [&script](lua_State* lua) { lua_rawgeti(lua, LUA_REGISTRYINDEX, script.function); };
  run_script(interpreter(), interrupt_, c, call);
}

}  // namespace server
