// server/commands/client_tracking.cc: CLIENT TRACKING, CACHING, GETREDIR, TRACKINGINFO.
#include <string>
#include <vector>

#include "server/bindings.h"
#include "server/command.h"
#include "server/errors.h"
#include "server/server.h"
#include "server/tracking.h"
#include "server/units.h"

namespace server {
namespace {

using Prefixes = std::vector<std::string_view>;

// CLIENT TRACKING ON|OFF [REDIRECT id] [BCAST] [PREFIX prefix ...] [OPTIN] [OPTOUT] [NOLOOP]
// False: the error is written.
bool parse_tracking(CommandContext& c, TrackingMode* mode, Prefixes* prefixes) {
  const auto fail = [&](std::string_view error) { return c.reply.error(error), false; };
  for (size_t i = 3; i < c.args.size(); ++i) {
    const bool more = i + 1 < c.args.size();
    const std::string_view word = c.args[i];
    if (equals_ignoring_case(word, "redirect") && more) {
      if (mode->redirect != 0) return fail("ERR A client can only redirect to a single other client");
      const auto id = parse_integer(c.args[++i]);
      if (!id) return fail(kNotAnInteger);
      if (c.server.clients().find(static_cast<uint64_t>(*id)) == nullptr)
        return fail("ERR The client ID you want redirect to does not exist");
      mode->redirect = static_cast<uint64_t>(*id);
    } else if (equals_ignoring_case(word, "bcast")) {
      mode->broadcast = true;
    } else if (equals_ignoring_case(word, "optin")) {
      mode->opt_in = true;
    } else if (equals_ignoring_case(word, "optout")) {
      mode->opt_out = true;
    } else if (equals_ignoring_case(word, "noloop")) {
      mode->no_loop = true;
    } else if (equals_ignoring_case(word, "prefix") && more) {
      prefixes->push_back(c.args[++i]);
    } else {
      return fail(kSyntaxError);
    }
  }
  return true;
}

// One key, one push: no prefix of a client is the beginning of another one.
bool prefixes_part(CommandContext& c, const Prefixes& prefixes) {
  const auto overlap = [](std::string_view a, std::string_view b) {
    return a.starts_with(b) || b.starts_with(a);
  };
  const auto fail = [&](std::string_view prefix, const char* what, std::string_view other) {
    c.reply.error("ERR Prefix '" + std::string(prefix) + "' overlaps with " + what + " prefix '" +
                  std::string(other) + "'. Prefixes for a single client must not overlap.");
    return false;
  };
  for (size_t i = 0; i < prefixes.size(); ++i) {
    for (const std::string& present : c.server.tracking().prefixes(c.client))
      if (overlap(prefixes[i], present)) return fail(prefixes[i], "an existing", present);
    for (size_t j = i + 1; j < prefixes.size(); ++j)
      if (overlap(prefixes[i], prefixes[j])) return fail(prefixes[i], "another provided", prefixes[j]);
  }
  return true;
}

bool modes_agree(CommandContext& c, const TrackingMode& mode, const Prefixes& prefixes) {
  const auto fail = [&](std::string_view error) { return c.reply.error(error), false; };
  const TrackingMode& now = c.client.session.tracking;
  if (!mode.broadcast && !prefixes.empty())
    return fail("ERR PREFIX option requires BCAST mode to be enabled");
  if (now.on && now.broadcast != mode.broadcast) {
    return fail(
        "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then "
        "re-enabling it with a different mode.");
  }
  if (mode.broadcast && (mode.opt_in || mode.opt_out))
    return fail("ERR OPTIN and OPTOUT are not compatible with BCAST");
  if (mode.opt_in && mode.opt_out) return fail("ERR You can't specify both OPTIN mode and OPTOUT mode");
  if ((mode.opt_in && now.opt_out) || (mode.opt_out && now.opt_in)) {
    return fail(
        "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then "
        "re-enabling it with a different mode.");
  }
  return !mode.broadcast || prefixes_part(c, prefixes);
}

void client_tracking(CommandContext& c) {
  TrackingMode mode;
  Prefixes prefixes;
  if (!parse_tracking(c, &mode, &prefixes)) return;
  if (equals_ignoring_case(c.args[2], "on")) {
    mode.on = true;
    if (!modes_agree(c, mode, prefixes)) return;
    c.server.tracking().enable(c.client, mode, prefixes);
  } else if (equals_ignoring_case(c.args[2], "off")) {
    c.server.tracking().disable(c.client);
  } else {
    return c.reply.error(kSyntaxError);
  }
  c.reply.ok();
}

void client_caching(CommandContext& c) {
  TrackingMode& mode = c.client.session.tracking;
  if (!mode.on) {
    return c.reply.error(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode "
        "enabled");
  }
  if (equals_ignoring_case(c.args[2], "yes")) {
    if (!mode.opt_in)
      return c.reply.error("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
  } else if (equals_ignoring_case(c.args[2], "no")) {
    if (!mode.opt_out)
      return c.reply.error("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
  } else {
    return c.reply.error(kSyntaxError);
  }
  mode.caching = true;
  c.reply.ok();
}

// -1: it does not track, 0: it is told itself.
int64_t redirect_of(const TrackingMode& mode) { return mode.on ? static_cast<int64_t>(mode.redirect) : -1; }

void client_getredir(CommandContext& c) { c.reply.integer(redirect_of(c.client.session.tracking)); }

void client_trackinginfo(CommandContext& c) {
  const TrackingMode& mode = c.client.session.tracking;
  std::vector<const char*> flags = {mode.on ? "on" : "off"};
  if (mode.broadcast) flags.push_back("bcast");
  if (mode.opt_in) flags.push_back("optin");
  if (mode.opt_in && mode.caching) flags.push_back("caching-yes");
  if (mode.opt_out) flags.push_back("optout");
  if (mode.opt_out && mode.caching) flags.push_back("caching-no");
  if (mode.no_loop) flags.push_back("noloop");
  if (mode.redirect_broken) flags.push_back("broken_redirect");
  c.reply.map(3);
  c.reply.bulk("flags");
  c.reply.set(flags.size());
  for (const char* flag : flags) c.reply.bulk(flag);
  c.reply.bulk("redirect");
  c.reply.integer(redirect_of(mode));
  c.reply.bulk("prefixes");
  const auto& prefixes = c.server.tracking().prefixes(c.client);
  c.reply.array(prefixes.size());
  for (const std::string& prefix : prefixes) c.reply.bulk(std::string_view(prefix));
}

constexpr Binding kBindings[] = {{"client|tracking", &client_tracking},
                                 {"client|caching", &client_caching},
                                 {"client|getredir", &client_getredir},
                                 {"client|trackinginfo", &client_trackinginfo}};

}  // namespace

void bind_client_tracking_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
