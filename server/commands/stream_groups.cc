// server/commands/stream_groups.cc: XGROUP and XACK: groups, their consumers, and what they have done.
#include <string>
#include <vector>

#include "server/bindings.h"
#include "server/commands/command_docs.h"
#include "server/commands/stream_support.h"
#include "server/errors.h"
#include "server/server.h"
#include "server/units.h"

namespace server {
namespace {

constexpr size_t kSweptPerWrite = 256;  // Of what a destroyed group has left.

void syntax_error(CommandContext& c) {
  c.reply.error("ERR unknown subcommand or wrong number of arguments for '" +
                std::string(c.args[1].substr(0, 128)) + "'. Try XGROUP HELP.");
}

struct GroupOptions {
  bool make_stream = false;
  std::optional<uint64_t> read;  // Entries, if that is known.
};
// False: the error is written.
bool parse_options(CommandContext& c, bool creates, GroupOptions* options) {
  for (size_t i = 5; i < c.args.size(); ++i) {
    if (creates && equals_ignoring_case(c.args[i], "mkstream")) {
      options->make_stream = true;
    } else if (equals_ignoring_case(c.args[i], "entriesread") && i + 1 < c.args.size()) {
      const auto read = parse_integer(c.args[++i]);
      if (!read) {
        c.reply.error(kNotAnInteger);
        return false;
      }
      if (*read < -1) {
        c.reply.error("ERR value for ENTRIESREAD must be positive or -1");
        return false;
      }
      options->read.reset();
      if (*read >= 0) options->read = static_cast<uint64_t>(*read);
    } else {
      syntax_error(c);
      return false;
    }
  }
  return true;
}

// The stream that a subcommand is about. False: the error is written; also if it has to exist and does not.
bool find_key(CommandContext& c, bool required, std::optional<Stream>* stream) {
  if (!find_stream(c, c.args[2], stream)) return false;
  if (*stream || !required) return true;
  c.reply.error(
      "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the "
      "MKSTREAM option to create an empty stream automatically.");
  return false;
}

// The group; nothing: the error is written.
std::optional<StreamGroup> find_group(CommandContext& c, Stream& stream) {
  auto group = StreamGroup::find(c.view, stream, c.args[3]);
  if (!group) {
    c.reply.error("NOGROUP No such consumer group '" + std::string(c.args[3]) + "' for key name '" +
                  std::string(c.args[2]) + "'");
  }
  return group;
}

// XGROUP CREATE key group id|$ [MKSTREAM] [ENTRIESREAD entries-read]
void create(CommandContext& c) {
  GroupOptions options;
  if (!parse_options(c, true, &options)) return;
  std::optional<Stream> stream;
  if (!find_key(c, !options.make_stream, &stream)) return;
  if (c.args.size() > 8) return syntax_error(c);
  std::optional<StreamId> id = stream ? stream->facts().last : kNoStreamId;
  if (c.args[4] != "$") id = parse_stream_id(c.args[4]);
  if (!id) return c.reply.error(kBadStreamId);
  if (!stream) {
    stream.emplace(c.view, c.database, c.args[2], std::nullopt);
  } else if (StreamGroup::find(c.view, *stream, c.args[3])) {
    return c.reply.error("BUSYGROUP Consumer Group name already exists");
  }
  StreamGroup::create(c.view, *stream, c.args[3], *id, options.read).save();
  StreamGroup::sweep(c.view, *stream, kSweptPerWrite);
  stream->save();
  c.event(notify::kStream, "xgroup-create", c.args[2]);
  c.reply.ok();
}

// XGROUP SETID key group id|$ [ENTRIESREAD entries-read]
void set_id(CommandContext& c) {
  GroupOptions options;
  if (!parse_options(c, false, &options)) return;
  std::optional<Stream> stream;
  if (!find_key(c, true, &stream)) return;
  auto group = find_group(c, *stream);
  if (!group) return;
  if (c.args.size() != 5 && c.args.size() != 7) return syntax_error(c);
  std::optional<StreamId> id;
  if (c.args[4] == "$")
    id = stream->facts().last;
  else if (c.args[4] == "-")
    id = kNoStreamId;
  else if (c.args[4] == "+")
    id = kStreamIdMax;
  else
    id = parse_stream_id(c.args[4]);
  if (!id) return c.reply.error(kBadStreamId);
  group->set_last(*id, options.read);
  group->save();
  c.event(notify::kStream, "xgroup-setid", c.args[2]);
  c.reply.ok();
}

void destroy(CommandContext& c) {
  std::optional<Stream> stream;
  if (!find_key(c, true, &stream)) return;
  auto group = StreamGroup::find(c.view, *stream, c.args[3]);
  if (!group) return c.reply.integer(0);
  StreamGroup::sweep(c.view, *stream, kSweptPerWrite);
  group->destroy(*stream);
  stream->save();  // Those who wait in the group see the header written.
  c.event(notify::kStream, "xgroup-destroy", c.args[2]);
  c.reply.integer(1);
}

void create_consumer(CommandContext& c) {
  std::optional<Stream> stream;
  if (!find_key(c, true, &stream)) return;
  auto group = find_group(c, *stream);
  if (!group) return;
  if (group->consumer(c.args[4])) return c.reply.integer(0);
  obtain_consumer(c, c.args[2], *group, c.args[4]);
  group->save();
  c.reply.integer(1);
}

void delete_consumer(CommandContext& c) {
  std::optional<Stream> stream;
  if (!find_key(c, true, &stream)) return;
  auto group = find_group(c, *stream);
  if (!group) return;
  Consumer* consumer = group->consumer(c.args[4]);
  if (!consumer) return c.reply.integer(0);
  const auto pending = static_cast<int64_t>(consumer->pending);
  group->erase_consumer(consumer);
  group->save();
  c.event(notify::kStream, "xgroup-delconsumer", c.args[2]);
  c.reply.integer(pending);
}

void help(CommandContext& c) { container_help(c.server.table(), "xgroup", c.reply); }

// XACK key group id [id ...]
void xack(CommandContext& c) {
  std::optional<Stream> stream;
  if (!find_stream(c, c.args[1], &stream)) return;
  auto group = stream ? StreamGroup::find(c.view, *stream, c.args[2]) : std::nullopt;
  if (!group) return c.reply.integer(0);
  std::vector<StreamId> ids;
  for (const std::string_view text : c.args.subspan(3)) {
    const auto id = parse_stream_id(text);
    if (!id) return c.reply.error(kBadStreamId);
    ids.push_back(*id);
  }
  group->prefetch(ids);
  int64_t acknowledged = 0;
  for (const StreamId id : ids) {
    const auto pending = group->pending(id);
    if (!pending) continue;
    group->acknowledge(id, *pending);
    ++acknowledged;
  }
  group->save();
  c.reply.integer(acknowledged);
}

constexpr Binding kBindings[] = {{"xgroup|create", &create},
                                 {"xgroup|setid", &set_id},
                                 {"xgroup|destroy", &destroy},
                                 {"xgroup|createconsumer", &create_consumer},
                                 {"xgroup|delconsumer", &delete_consumer},
                                 {"xgroup|help", &help},
                                 {"xack", &xack}};

}  // namespace

void bind_stream_group_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
