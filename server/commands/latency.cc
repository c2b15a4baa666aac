// server/commands/latency.cc: LATENCY: the monitor of slow events, and the histograms of all commands.
#include <algorithm>
#include <string>
#include <vector>

#include "server/bindings.h"
#include "server/command.h"
#include "server/commands/command_docs.h"
#include "server/server.h"

namespace server {
namespace {

void no_samples(CommandContext& c) {
  c.reply.error("ERR No samples available for event '" + std::string(c.args[2]) + "'");
}

void latency_latest(CommandContext& c) {
  const auto& events = c.server.latency().events();
  c.reply.array(events.size());
  for (const auto& [name, event] : events) {
    c.reply.array(4);
    c.reply.bulk(std::string_view(name));
    c.reply.integer(event.latest().unix_seconds);
    c.reply.integer(static_cast<int64_t>(event.latest().milliseconds));
    c.reply.integer(static_cast<int64_t>(event.max_ms()));
  }
}

void latency_history(CommandContext& c) {
  const LatencyMonitor::Event* event = c.server.latency().find(c.args[2]);
  if (!event) return c.reply.array(0);
  const auto history = event->history();
  c.reply.array(history.size());
  for (const auto& sample : history) {
    c.reply.array(2);
    c.reply.integer(sample.unix_seconds);
    c.reply.integer(static_cast<int64_t>(sample.milliseconds));
  }
}

void latency_reset(CommandContext& c) {
  size_t count = 0;
  if (c.args.size() == 2) count = c.server.latency().reset();
  for (std::string_view event : c.args.subspan(2)) count += c.server.latency().reset(event);
  c.reply.integer(static_cast<int64_t>(count));
}

// Four rows of bars, one column a sample, and below how many seconds ago it was.
void latency_graph(CommandContext& c) {
  const LatencyMonitor::Event* event = c.server.latency().find(c.args[2]);
  if (!event) return no_samples(c);
  const auto history = event->history();
  uint64_t low = UINT64_MAX, high = 0;
  for (const auto& sample : history) {
    low = std::min(low, sample.milliseconds);
    high = std::max(high, sample.milliseconds);
  }
  std::string text = std::string(c.args[2]) + " - high " + std::to_string(high) + " ms, low " +
                     std::to_string(low) + " ms (all time high " + std::to_string(event->max_ms()) +
                     " ms)\n" + std::string(80, '-') + "\n";
  constexpr uint64_t kRows = 4;
  for (uint64_t row = kRows; row > 0; --row) {
    for (const auto& sample : history) {
      const uint64_t height =
          high == low ? kRows : 1 + (sample.milliseconds - low) * (kRows - 1) / (high - low);
      text += height > row ? '|' : height == row ? '#' : ' ';
    }
    text += '\n';
  }
  text += '\n';
  const int64_t now = c.server.wall_ms() / 1000;
  std::vector<std::string> ages;
  size_t longest = 0;
  for (const auto& sample : history) {
    const int64_t age = std::max<int64_t>(0, now - sample.unix_seconds);
    ages.push_back(age < 60      ? std::to_string(age) + "s"
                   : age < 3600  ? std::to_string(age / 60) + "m"
                   : age < 86400 ? std::to_string(age / 3600) + "h"
                                 : std::to_string(age / 86400) + "d");
    longest = std::max(longest, ages.back().size());
  }
  for (size_t i = 0; i < longest; ++i) {
    for (const std::string& age : ages) text += i < age.size() ? age[i] : ' ';
    text += '\n';
  }
  c.reply.verbatim("txt", text);
}

void latency_doctor(CommandContext& c) {
  const int64_t threshold = c.server.settings().latency_monitor_threshold_ms;
  std::string text;
  if (threshold == 0) {
    text =
        "Slow events are not being watched. CONFIG SET latency-monitor-threshold <milliseconds> turns it "
        "on.\n";
  } else if (c.server.latency().events().empty()) {
    text = "Nothing has taken " + std::to_string(threshold) + " ms or longer.\n";
  }
  for (const auto& [name, event] : c.server.latency().events()) {
    const auto history = event.history();
    uint64_t sum = 0;
    for (const auto& sample : history) sum += sample.milliseconds;
    text += name + ": " + std::to_string(history.size()) + " seconds with latency spikes (mean " +
            std::to_string(sum / history.size()) + " ms, worst " + std::to_string(event.max_ms()) + " ms)\n";
  }
  if (!c.server.latency().events().empty()) {
    text += "SLOWLOG GET shows which commands took long; INFO engine what the disk had to do with it.\n";
  }
  c.reply.verbatim("txt", text);
}

// Counts by powers of two from 1.024 microseconds on, each with all below it.
void reply_histogram(resp::ReplyWriter& reply, const CommandStats& stats) {
  reply.map(2);
  reply.bulk("calls");
  reply.integer(static_cast<int64_t>(stats.calls));
  reply.bulk("histogram_usec");
  const auto map = reply.open_map();
  size_t samples = 0;
  uint64_t before = 0;
  for (uint64_t level = 1024; level <= Histogram::kValueMax && before < stats.latency_ns.count();
       level *= 2) {
    const uint64_t up_to = stats.latency_ns.count_up_to(level);
    if (up_to == before) continue;
    reply.integer(static_cast<int64_t>(Histogram::highest_like(level) / 1000));
    reply.integer(static_cast<int64_t>(up_to));
    before = up_to;
    ++samples;
  }
  reply.close(map, samples);
}

void latency_histogram(CommandContext& c) {
  const CommandTable& table = c.server.table();
  const auto map = c.reply.open_map();
  size_t count = 0;
  const auto add = [&](const Command& command) {
    const CommandStats& stats = c.server.stats().by_command[command.id];
    if (stats.latency_ns.count() == 0) return;
    c.reply.bulk(command.name);
    reply_histogram(c.reply, stats);
    ++count;
  };
  if (c.args.size() == 2) {
    for (const Command& command : table.commands()) add(command);
  }
  for (std::string_view name : c.args.subspan(2)) {
    const Command* command = table.lookup(name);
    if (!command) continue;
    add(*command);
    for (const Command& subcommand : table.subcommands(*command)) add(subcommand);
  }
  c.reply.close(map, count);
}

void latency_help(CommandContext& c) { container_help(c.server.table(), "latency", c.reply); }

constexpr Binding kBindings[] = {
    {"latency|latest", &latency_latest}, {"latency|history", &latency_history},
    {"latency|reset", &latency_reset},   {"latency|graph", &latency_graph},
    {"latency|doctor", &latency_doctor}, {"latency|histogram", &latency_histogram},
    {"latency|help", &latency_help}};

}  // namespace

void bind_latency_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
