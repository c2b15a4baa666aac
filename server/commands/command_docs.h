// server/commands/command_docs.h: the replies of COMMAND and its subcommands, made from the command table.
//
// Field by field what Redis 7.0 replies, in RESP2 and RESP3; only the sentences (summary, complexity,
// history, notes) are ours. Only what is served is told of.
//
// Threads: any that may read the table.
#pragma once

#include <span>
#include <string_view>

#include "resp/reply_writer.h"
#include "server/command_table.h"

namespace server {

using CommandArgs = std::span<const std::string_view>;

void command_info_of_all(const CommandTable& table, resp::ReplyWriter& reply);  // COMMAND
void command_count(const CommandTable& table, resp::ReplyWriter& reply);
void command_list(const CommandTable& table, CommandArgs args, resp::ReplyWriter& reply);
void command_info(const CommandTable& table, CommandArgs args, resp::ReplyWriter& reply);
void command_docs(const CommandTable& table, CommandArgs args, resp::ReplyWriter& reply);
enum class KeyDetail : unsigned char { kNames, kNamesAndFlags };  // GETKEYS, GETKEYSANDFLAGS
void command_getkeys(const CommandTable& table, CommandArgs args, KeyDetail detail, resp::ReplyWriter& reply);

// The reply to CONTAINER HELP, for any container: its subcommands with their synopses and summaries.
void container_help(const CommandTable& table, std::string_view container, resp::ReplyWriter& reply);

}  // namespace server
