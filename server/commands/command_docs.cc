#include "server/commands/command_docs.h"

#include <string>

#include "engine/status.h"
#include "server/command_keys.h"
#include "server/command_syntax.h"
#include "server/glob.h"
#include "server/units.h"

namespace server {

namespace {

using resp::ReplyWriter;

// ---- names of bits

struct BitName {
  uint32_t bit;
  std::string_view name;
};

constexpr BitName kCommandFlagNames[] = {
    {cmd::kWrite, "write"},
    {cmd::kReadonly, "readonly"},
    {cmd::kDenyOom, "denyoom"},
    {cmd::kAdmin, "admin"},
    {cmd::kPubsub, "pubsub"},
    {cmd::kNoScript, "noscript"},
    {cmd::kBlocking, "blocking"},
    {cmd::kLoading, "loading"},
    {cmd::kStale, "stale"},
    {cmd::kSkipMonitor, "skip_monitor"},
    {cmd::kSkipSlowlog, "skip_slowlog"},
    {cmd::kAsking, "asking"},
    {cmd::kFast, "fast"},
    {cmd::kNoAuth, "no_auth"},
    {cmd::kNoMandatoryKeys, "no_mandatory_keys"},
    {cmd::kNoAsyncLoading, "no_async_loading"},
    {cmd::kNoMulti, "no_multi"},
    {cmd::kMovableKeys, "movablekeys"},
    {cmd::kAllowBusy, "allow_busy"},
};
constexpr BitName kKeyFlagNames[] = {
    {key::kRo, "RO"},
    {key::kRw, "RW"},
    {key::kOw, "OW"},
    {key::kRm, "RM"},
    {key::kAccess, "access"},
    {key::kUpdate, "update"},
    {key::kInsert, "insert"},
    {key::kDelete, "delete"},
    {key::kNotKey, "not_key"},
    {key::kIncomplete, "incomplete"},
    {key::kVariableFlags, "variable_flags"},
};
constexpr BitName kDocFlagNames[] = {{doc::kDeprecated, "deprecated"}, {doc::kSyscmd, "syscmd"}};
constexpr std::string_view kGroupNames[] = {
    "generic", "string",       "list",       "set",    "sorted-set", "hash",
    "pubsub",  "transactions", "connection", "server", "scripting",  "hyperloglog",
    "cluster", "sentinel",     "geo",        "stream", "bitmap"};

void write_flags(uint32_t flags, std::span<const BitName> names, ReplyWriter& reply) {
  size_t count = 0;
  for (const BitName& name : names) count += (flags & name.bit) != 0;
  reply.set(count);
  for (const BitName& name : names) {
    if (flags & name.bit) reply.simple(name.name);
  }
}

// ---- COMMAND INFO

void write_categories(uint32_t categories, ReplyWriter& reply) {
  size_t count = 0;
  for (int i = 0; i < acl::kCategoryCount; ++i) count += categories >> i & 1;
  reply.set(count);
  for (int i = 0; i < acl::kCategoryCount; ++i) {
    if (categories & 1u << i) reply.simple(std::string("@").append(category_name(1u << i)));
  }
}

// Calls part(view) for each of the parts of `text` between separators; null is no part. Returns how many.
template <typename Part>
size_t for_each_part(const char* text, char separator, Part part) {
  size_t count = 0;
  for (std::string_view rest = text == nullptr ? "" : text; !rest.empty(); ++count) {
    const size_t end = rest.find(separator);
    part(rest.substr(0, end));
    rest = end == std::string_view::npos ? "" : rest.substr(end + 1);
  }
  return count;
}
size_t count_parts(const char* text, char separator) {
  return for_each_part(text, separator, [](std::string_view) {});
}

// One of the two halves of a key spec: {type, spec: {field: value ...}}.
struct Field {
  std::string_view name;
  int64_t value;
};
void write_key_search(std::string_view half, std::string_view type, std::span<const Field> fields,
                      ReplyWriter& reply) {
  reply.bulk(half);
  reply.map(2);
  reply.bulk("type");
  reply.bulk(type);
  reply.bulk("spec");
  reply.map(fields.size());
  for (const Field& field : fields) {
    reply.bulk(field.name);
    reply.integer(field.value);
  }
}

void write_key_spec(const KeySpec& spec, ReplyWriter& reply) {
  reply.map(spec.notes != nullptr ? 4 : 3);
  if (spec.notes != nullptr) {
    reply.bulk("notes");
    reply.bulk(spec.notes);
  }
  reply.bulk("flags");
  write_flags(spec.flags, kKeyFlagNames, reply);

  if (spec.begin == Begin::kIndex) {
    const Field fields[] = {{"index", spec.index}};
    write_key_search("begin_search", "index", fields, reply);
  } else if (spec.begin == Begin::kKeyword) {
    reply.bulk("begin_search");
    reply.map(2);
    reply.bulk("type");
    reply.bulk("keyword");
    reply.bulk("spec");
    reply.map(2);
    reply.bulk("keyword");
    reply.bulk(spec.keyword);
    reply.bulk("startfrom");
    reply.integer(spec.index);
  } else {
    write_key_search("begin_search", "unknown", {}, reply);
  }

  if (spec.find == Find::kRange) {
    const Field fields[] = {{"lastkey", spec.last}, {"keystep", spec.step}, {"limit", spec.limit}};
    write_key_search("find_keys", "range", fields, reply);
  } else if (spec.find == Find::kKeyNum) {
    const Field fields[] = {
        {"keynumidx", spec.number_at}, {"firstkey", spec.first_at}, {"keystep", spec.step}};
    write_key_search("find_keys", "keynum", fields, reply);
  } else {
    write_key_search("find_keys", "unknown", {}, reply);
  }
}

size_t served_subcommands(const CommandTable& table, const Command& container) {
  size_t count = 0;
  for (const Command& sub : table.subcommands(container)) count += sub.served;
  return count;
}

void write_info(const CommandTable& table, const Command& command, ReplyWriter& reply) {
  reply.array(10);
  reply.bulk(command.name);
  reply.integer(command.spec->arity);
  write_flags(command.flags, kCommandFlagNames, reply);
  reply.integer(command.first_key);
  reply.integer(command.last_key);
  reply.integer(command.key_step);
  write_categories(command.categories, reply);
  reply.set(count_parts(command.spec->tips, ' '));
  for_each_part(command.spec->tips, ' ', [&](std::string_view tip) { reply.bulk(tip); });

  size_t spec_count = 0;
  for (const KeySpec& spec : command.spec->keys) spec_count += spec.begin != Begin::kNone;
  reply.set(spec_count);
  for (size_t i = 0; i < spec_count; ++i) write_key_spec(command.spec->keys[i], reply);

  const size_t sub_count = served_subcommands(table, command);
  if (sub_count == 0) return reply.set(0);  // As Redis does: a set when there are none, else an array.
  reply.array(sub_count);
  for (const Command& sub : table.subcommands(command)) {
    if (sub.served) write_info(table, sub, reply);
  }
}

// ---- COMMAND DOCS

void write_arguments(const std::vector<Argument>& arguments, ReplyWriter& reply) {
  reply.array(arguments.size());
  for (const Argument& argument : arguments) {
    const bool flagged = argument.optional || argument.multiple;
    const bool nested = !argument.arguments.empty();
    reply.map(2 + (argument.key_spec >= 0) + argument.token.has_value() + !argument.since.empty() +
              !argument.deprecated_since.empty() + flagged + nested);
    const auto text = [&](std::string_view name, std::string_view value) {
      if (value.empty()) return;
      reply.bulk(name);
      reply.bulk(value);
    };
    text("name", argument.name);
    text("type", type_name(argument.type));
    if (argument.key_spec >= 0) {
      reply.bulk("key_spec_index");
      reply.integer(argument.key_spec);
    }
    if (argument.token) {
      reply.bulk("token");
      reply.bulk(*argument.token);
    }
    text("since", argument.since);
    text("deprecated_since", argument.deprecated_since);
    if (flagged) {
      reply.bulk("flags");
      reply.set(0u + argument.optional + argument.multiple + argument.multiple_token);
      if (argument.optional) reply.simple("optional");
      if (argument.multiple) reply.simple("multiple");
      if (argument.multiple_token) reply.simple("multiple_token");
    }
    if (nested) {
      reply.bulk("arguments");
      write_arguments(argument.arguments, reply);
    }
  }
}

std::vector<Argument> arguments_of(const CommandSpec& spec) {
  if (spec.arguments == nullptr) return {};
  auto arguments = read_synopsis(spec.arguments);
  INVARIANT(arguments.has_value());  // A row is wrong; a test reads them all.
  return *std::move(arguments);
}

void write_docs(const CommandTable& table, const Command& command, ReplyWriter& reply) {
  const CommandSpec& spec = *command.spec;
  const size_t sub_count = served_subcommands(table, command);
  reply.map(3 + (spec.complexity != nullptr) + (spec.doc_flags != 0) + (spec.deprecated_since != nullptr) +
            (spec.replaced_by != nullptr) + (spec.history != nullptr) + (spec.arguments != nullptr) +
            (sub_count != 0));
  const auto text = [&](std::string_view name, const char* value) {
    if (value == nullptr) return;
    reply.bulk(name);
    reply.bulk(value);
  };
  text("summary", spec.summary);
  text("since", spec.since);
  reply.bulk("group");
  reply.bulk(kGroupNames[static_cast<int>(spec.group)]);
  text("complexity", spec.complexity);
  if (spec.doc_flags != 0) {
    reply.bulk("doc_flags");
    write_flags(spec.doc_flags, kDocFlagNames, reply);
  }
  text("deprecated_since", spec.deprecated_since);
  text("replaced_by", spec.replaced_by);
  if (spec.history != nullptr) {
    reply.bulk("history");
    reply.set(count_parts(spec.history, '\n'));
    for_each_part(spec.history, '\n', [&](std::string_view line) {
      const size_t blank = line.find(' ');
      reply.array(2);
      reply.bulk(line.substr(0, blank));
      reply.bulk(line.substr(blank + 1));
    });
  }
  if (spec.arguments != nullptr) {
    reply.bulk("arguments");
    write_arguments(arguments_of(spec), reply);
  }
  if (sub_count != 0) {
    reply.bulk("subcommands");
    reply.map(sub_count);
    for (const Command& sub : table.subcommands(command)) {
      if (!sub.served) continue;
      reply.bulk(sub.name);
      write_docs(table, sub, reply);
    }
  }
}

// ---- walking the table

bool is_listed(const Command& command) { return command.served && !command.is_subcommand(); }

size_t count_listed(const CommandTable& table) {
  size_t count = 0;
  for (const Command& command : table.commands()) count += is_listed(command);
  return count;
}

const Command* served(const CommandTable& table, std::string_view full_name) {
  const Command* command = table.lookup(full_name);
  return command != nullptr && command->served ? command : nullptr;
}

}  // namespace

void command_info_of_all(const CommandTable& table, ReplyWriter& reply) {
  reply.array(count_listed(table));
  for (const Command& command : table.commands()) {
    if (is_listed(command)) write_info(table, command, reply);
  }
}

void command_count(const CommandTable& table, ReplyWriter& reply) {
  reply.integer(static_cast<int64_t>(count_listed(table)));
}

void command_list(const CommandTable& table, CommandArgs args, ReplyWriter& reply) {
  enum class Filter { kNone, kModule, kCategory, kPattern } filter = Filter::kNone;
  if (args.size() > 2) {
    if (args.size() != 5 || !equals_ignoring_case(args[2], "filterby"))
      return reply.error("ERR syntax error");
    if (equals_ignoring_case(args[3], "module")) {
      filter = Filter::kModule;
    } else if (equals_ignoring_case(args[3], "aclcat")) {
      filter = Filter::kCategory;
    } else if (equals_ignoring_case(args[3], "pattern")) {
      filter = Filter::kPattern;
    } else {
      return reply.error("ERR syntax error");
    }
  }
  const uint32_t category = filter == Filter::kCategory ? category_of(args[4]) : 0;
  const auto passes = [&](const Command& command) {
    switch (filter) {
      case Filter::kNone: return true;
      case Filter::kModule: return false;  // No command comes from a module.
      case Filter::kCategory: return (command.categories & category) != 0;
      case Filter::kPattern: return glob_match(args[4], command.name, GlobCase::kIgnore);
    }
    return false;
  };
  const auto list = reply.open_array();
  size_t count = 0;
  for (const Command& command : table.commands()) {
    if (!command.served || !passes(command)) continue;
    reply.bulk(command.name);
    ++count;
  }
  reply.close(list, count);
}

void command_info(const CommandTable& table, CommandArgs args, ReplyWriter& reply) {
  if (args.size() == 2) return command_info_of_all(table, reply);
  reply.array(args.size() - 2);
  for (std::string_view name : args.subspan(2)) {
    if (const Command* command = served(table, name)) {
      write_info(table, *command, reply);
    } else {
      reply.null();
    }
  }
}

void command_docs(const CommandTable& table, CommandArgs args, ReplyWriter& reply) {
  const auto write = [&](const Command& command) {
    reply.bulk(command.name);
    write_docs(table, command, reply);
  };
  if (args.size() == 2) {
    reply.map(count_listed(table));
    for (const Command& command : table.commands()) {
      if (is_listed(command)) write(command);
    }
    return;
  }
  const auto docs = reply.open_map();
  size_t count = 0;
  for (std::string_view name : args.subspan(2)) {
    if (const Command* command = served(table, name)) {
      write(*command);
      ++count;
    }
  }
  reply.close(docs, count);
}

void command_getkeys(const CommandTable& table, CommandArgs args, KeyDetail detail, ReplyWriter& reply) {
  const CommandArgs line = args.subspan(2);
  const Command* command = table.find(line);
  if (command == nullptr) return reply.error("ERR Invalid command specified");
  if (!may_have_keys(*command)) return reply.error("ERR The command has no key arguments");
  if (!command->accepts(line.size())) {
    return reply.error("ERR Invalid number of arguments specified for command");
  }
  std::vector<KeyAt> keys;
  keys_of(*command, line, &keys);
  if (keys.empty() && !(command->flags & cmd::kNoMandatoryKeys)) {
    return reply.error("ERR Invalid arguments specified for command");
  }
  reply.array(keys.size());
  for (const KeyAt& at : keys) {
    if (detail == KeyDetail::kNamesAndFlags) reply.array(2);
    reply.bulk(line[at.position]);
    if (detail == KeyDetail::kNamesAndFlags) write_flags(at.flags, kKeyFlagNames, reply);
  }
}

void container_help(const CommandTable& table, std::string_view container, ReplyWriter& reply) {
  const Command* command = table.lookup(container);
  INVARIANT(command != nullptr && command->subcommand_count > 0);
  const auto upper = [](std::string_view text) {
    std::string name(text);
    for (char& c : name) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    return name;
  };
  const auto lines = reply.open_array();
  size_t count = 0;
  const auto write = [&](const std::string& usage, std::string_view text) {
    reply.simple(usage);
    reply.simple(std::string("    ").append(text));
    count += 2;
  };
  reply.simple(upper(command->name) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  ++count;
  if (command->handler != nullptr) write("(no subcommand)", command->spec->summary);
  for (const Command& sub : table.subcommands(*command)) {
    if (!sub.served) continue;
    std::string usage = upper(sub.name.substr(command->name.size() + 1));
    const std::string synopsis = synopsis_text(arguments_of(*sub.spec));
    if (!synopsis.empty()) usage.append(" ").append(synopsis);
    write(usage, sub.spec->summary);
  }
  reply.close(lines, count);
}

}  // namespace server
