#include "server/redis_follower.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cinttypes>

#include "engine/fields.h"
#include "server/client.h"
#include "server/command_keys.h"
#include "server/log.h"
#include "server/nested_call.h"
#include "server/scripts/scripting.h"
#include "server/server.h"
#include "server/units.h"

namespace server {
namespace {

constexpr size_t kLineMax = 64 << 10;
constexpr size_t kFeedBytes = 64 << 10;
constexpr size_t kMarkBytes = 40;
constexpr size_t kGroupCalls = 128;
constexpr size_t kGroupBytes = 256 << 10;
constexpr uint64_t kRetryFirstUs = 500'000, kRetryMaxUs = 8'000'000;
constexpr uint64_t kAckPeriodUs = 1'000'000;
constexpr uint8_t kPlaceFormat = 1;
constexpr int64_t kBeforeAllExpiry = 0;  // The clock of commands: by it no key has expired.

std::string request(std::initializer_list<std::string_view> words) {
  std::string text = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string_view word : words)
    text += "$" + std::to_string(word.size()) + "\r\n" + std::string(word) + "\r\n";
  return text;
}

// Next word of a line.
std::string_view take_word(std::string_view* line) {
  while (line->starts_with(' ')) line->remove_prefix(1);
  const std::string_view word = line->substr(0, line->find(' '));
  line->remove_prefix(word.size());
  return word;
}

// Today's Redis sends points in time. What counts from now, or notes when it happened, has to know now.
bool is_timed(std::string_view name, std::span<const std::string_view> args) {
  for (const std::string_view timed :
       {"expire", "pexpire", "setex", "psetex", "hexpire", "hpexpire", "xclaim", "xautoclaim", "xreadgroup",
        "xgroup|createconsumer", "eval", "evalsha", "fcall", "xadd"})
    if (name == timed) return true;
  const bool relative =
      name == "set" || name == "getex" || name == "hsetex" || name == "msetex" || name == "hgetex";
  if (name == "restore") {
    return std::none_of(args.begin(), args.end(),
                        [](std::string_view arg) { return equals_ignoring_case(arg, "absttl"); });
  }
  return relative && std::any_of(args.begin() + 1, args.end(), [](std::string_view arg) {
           return equals_ignoring_case(arg, "ex") || equals_ignoring_case(arg, "px");
         });
}

}  // namespace

RedisFollower::RedisFollower(Server& server, Host host)
    : server_(server),
      host_(std::move(host)),
      replay_(server, [this] { return host_.may_write(); }),
      in_(std::make_unique<resp::InputBuffer>()) {}

// ------------------------------------------------------------------ connections

void RedisFollower::begin() {
  read_place();
  retry_wait_us_ = 0;
  down_since_us_ = server_.env().clock.monotonic_us();
  log_notice("MASTER <-> REPLICA: the primary is a Redis%s",
             place_.id.empty() ? "" : ": to go on where its stream was left");
  connected();
}

void RedisFollower::stop() {
  replay_.cancel();
  state_ = State::kOff;
  loader_.reset();
  portion_.reset();
  group_.reset();
  held_.reset();
}

void RedisFollower::connected() {
  in_ = std::make_unique<resp::InputBuffer>();
  parser_ = std::make_unique<resp::RequestParser>();
  answers_ = 0;
  last_io_us_ = server_.env().clock.monotonic_us();
  state_ = State::kGreeting;
  const Settings& settings = server_.settings();
  const int port = settings.replica_announce_port != 0 ? settings.replica_announce_port : settings.port;
  std::string text = request({"PING"}) + request({"REPLCONF", "listening-port", std::to_string(port)}) +
                     request({"REPLCONF", "capa", "eof", "capa", "psync2"});
  if (!settings.replica_announce_ip.empty())
    text += request({"REPLCONF", "ip-address", settings.replica_announce_ip});
  else
    text += request({"PING"});  // So that answers are always as many.
  host_.send(text);
}

void RedisFollower::disconnected(const std::string& why) {
  if (!active()) return;
  log_notice("MASTER <-> REPLICA: %s", why.c_str());
  wait();
}

void RedisFollower::fail(const std::string& why) {
  host_.disconnect();
  disconnected(why);
}

void RedisFollower::wait() {
  const uint64_t now_us = server_.env().clock.monotonic_us();
  if (link_up()) {
    down_since_us_ = now_us;
    retry_wait_us_ = 0;
  }
  replay_.cancel();
  loader_.reset();
  portion_.reset();
  group_.reset();
  held_.reset();
  unsettled_.clear();
  state_ = State::kWaiting;
  retry_wait_us_ = retry_wait_us_ == 0 ? kRetryFirstUs : std::min(2 * retry_wait_us_, kRetryMaxUs);
  retry_at_us_ = now_us + retry_wait_us_;
}

void RedisFollower::tick() {
  if (!active()) return;
  const uint64_t now_us = server_.env().clock.monotonic_us();
  if (state_ == State::kWaiting) {
    if (now_us < retry_at_us_) return;
    state_ = State::kConnecting;
    last_io_us_ = now_us;
    return host_.connect();
  }
  replay_.retry();
  process();
  if (!active() || state_ == State::kWaiting) return;
  const uint64_t patience_us = static_cast<uint64_t>(server_.settings().repl_timeout_seconds) * 1'000'000;
  if (now_us - last_io_us_ > patience_us && wants_input()) return fail("the primary is silent");
  if (now_us - last_ack_us_ < kAckPeriodUs) return;
  if (link_up()) return ack();
  last_ack_us_ = now_us;
  if (in_sync()) host_.send("\n");  // As a Redis that loads says that it is there.
}

void RedisFollower::received(std::string_view bytes) {
  last_io_us_ = server_.env().clock.monotonic_us();
  in_->append(bytes);
  process();
}

void RedisFollower::progressed() {
  if (!active()) return;
  replay_.retry();
  process();
  settle();
}

void RedisFollower::process() {
  if (processing_) return;
  processing_ = true;
  while (!replay_.busy() && step()) {
  }
  processing_ = false;
}

// False: there is nothing to do until more has come.
bool RedisFollower::step() {
  switch (state_) {
    case State::kOff:
    case State::kWaiting:
    case State::kConnecting: return false;
    case State::kGreeting: return on_greeting();
    case State::kPromised: return on_promise();
    case State::kLoading: return load_more();
    case State::kTail: return on_tail();
    case State::kStreaming: return gather();
  }
  return false;
}

bool RedisFollower::take_line(std::string* line) {
  const std::string_view bytes = in_->unread();
  const size_t end = bytes.find('\n');
  if (end == std::string_view::npos) {
    if (bytes.size() > kLineMax) fail("its answer is no line");
    return false;
  }
  *line = bytes.substr(0, end);
  if (line->ends_with('\r')) line->pop_back();
  in_->consume(end + 1);
  return true;
}

bool RedisFollower::on_greeting() {
  std::string line;
  if (!take_line(&line)) return false;
  if (line.empty()) return true;  // It is still there, and prepares something.
  constexpr int kPing = 0, kPsync = 4;
  const int answer = answers_++;
  if (answer == kPing && line.starts_with('-')) {
    fail("it answers: " + line.substr(1));
    return false;
  }
  // A Redis that still has something to say refuses PSYNC: it comes when all else is answered.
  if (answer == kPsync - 1) {
    host_.send(place_.id.empty() ? request({"PSYNC", "?", "-1"})
                                 : request({"PSYNC", place_.id, std::to_string(place_.offset + 1)}));
  }
  if (answer != kPsync) return true;  // An older one may not know all options.
  std::string_view rest = line;
  const std::string_view word = take_word(&rest);
  if (word == "+CONTINUE") {
    if (const std::string_view id = take_word(&rest); !id.empty()) place_.id = id;
    log_notice("MASTER <-> REPLICA sync: Successful partial resynchronization, from offset %" PRIu64,
               place_.offset + 1);
    unsettled_.emplace_back(server_.engine().end(), place_.offset);
    begin_stream();
    return true;
  }
  const std::string_view id = take_word(&rest), offset = take_word(&rest);
  const auto number = parse_integer(offset);
  if (word != "+FULLRESYNC" || id.empty() || !number || *number < 0) {
    fail("it answers: " + line);
    return false;
  }
  promised_ = {std::string(id), static_cast<uint64_t>(*number), 0};
  log_notice("MASTER <-> REPLICA: a full copy is to come, as of offset %" PRIu64, promised_.offset);
  state_ = State::kPromised;
  transfer_bytes_ = 0;
  return true;
}

// ------------------------------------------------------------------ a full copy

bool RedisFollower::on_promise() {
  std::string line;
  if (!take_line(&line)) return false;
  if (line.empty()) return true;
  mark_.clear();
  transfer_bytes_ = transfer_left_ = 0;
  if (line.starts_with("$EOF:") && line.size() == 5 + kMarkBytes) {
    mark_ = line.substr(5);
    transfer_left_ = UINT64_MAX;
  } else {
    const auto bytes = line.starts_with('$') ? parse_integer(std::string_view(line).substr(1)) : std::nullopt;
    if (!bytes || *bytes < 0) {
      fail("instead of a copy it sends: " + line);
      return false;
    }
    transfer_bytes_ = transfer_left_ = static_cast<uint64_t>(*bytes);
  }
  loader_ = std::make_unique<rdb::Loader>(server_.settings().proto_max_bulk_len, kBeforeAllExpiry);
  fed_ = 0;
  state_ = State::kLoading;
  empty_all();
  return true;
}

void RedisFollower::empty_all() {
  place_ = {};
  replay_.run(
      server_.wall_ms(),
      [this](Replay::Scene& scene) {
        Databases& databases = server_.databases();
        for (uint32_t number = 0; number < databases.count(); ++number) databases.empty(scene.view, number);
        server_.scripting().functions.flush(scene.view);
        scene.view.erase(kPlaceKey);
      },
      [this](const engine::Status& status, engine::Lsn) {
        if (!status.ok()) return fail(status.message());
        process();
      });
}

bool RedisFollower::load_more() {
  portion_ = std::make_shared<rdb::Portion>();
  switch (loader_->next(portion_.get())) {
    case rdb::Step::kItem: load_portion(); return true;
    case rdb::Step::kDamaged: fail(loader_->damage().message()); return false;
    case rdb::Step::kMore: {
      in_->consume(std::exchange(fed_, 0));
      if (in_->empty()) return false;
      fed_ = static_cast<size_t>(std::min<uint64_t>({in_->size(), kFeedBytes, transfer_left_}));
      if (fed_ == 0) {
        loader_->end();  // It says what is missing.
        return true;
      }
      if (mark_.empty()) transfer_left_ -= fed_;
      loader_->feed(in_->unread().substr(0, fed_));
      return true;
    }
    case rdb::Step::kEnd:
      in_->consume(fed_ - loader_->unread());
      if (mark_.empty()) transfer_left_ += loader_->unread();
      fed_ = 0;
      state_ = State::kTail;
      return true;
  }
  return false;
}

void RedisFollower::load_portion() {
  replay_.run(
      kBeforeAllExpiry,
      [this, portion = portion_, seed = server_.env().entropy.next()](Replay::Scene& scene) {
        std::vector<ObjectId> objects;
        for (uint32_t i = 0; i < server_.databases().count(); ++i)
          objects.push_back(server_.databases().object(i));
        for (const std::string& source : portion->functions)
          server_.scripting().functions.store(scene.view, source);
        rdb::write(scene.view, *portion, objects, rdb::StoreLimits(server_.settings()), seed);
      },
      [this](const engine::Status& status, engine::Lsn) {
        if (!status.ok()) return fail(status.message());
        process();
      });
}

// What stands behind the file: its mark, or nothing.
bool RedisFollower::on_tail() {
  const uint64_t bytes = mark_.empty() ? transfer_left_ : kMarkBytes;
  if (in_->size() < std::min<uint64_t>(bytes, kMarkBytes)) return false;
  if (mark_.empty() ? bytes != 0 : in_->unread().substr(0, kMarkBytes) != mark_) {
    fail("the copy does not end where it should");
    return false;
  }
  in_->consume(bytes);
  finish_load();
  return true;
}

void RedisFollower::finish_load() {
  replay_.run(
      server_.wall_ms(), [this](Replay::Scene& scene) { put_place(scene.view, promised_); },
      [this](const engine::Status& status, engine::Lsn lsn) {
        if (!status.ok()) return fail(status.message());
        log_notice("MASTER <-> REPLICA sync: Finished with success: %" PRIu64 " keys, %" PRIu64 " bytes",
                   loader_->keys(), loader_->offset());
        loader_.reset();
        portion_.reset();
        place_ = promised_;
        unsettled_.emplace_back(lsn, place_.offset);
        begin_stream();
        process();
      });
}

// ------------------------------------------------------------------ the stream

void RedisFollower::begin_stream() {
  state_ = State::kStreaming;
  stream_offset_ = place_.offset;
  stream_position_ = in_->position();
  in_transaction_ = false;
  settled_.reset();
  settle();
}

// Makes a group of what has come, and runs it.
bool RedisFollower::gather() {
  if (!group_) {
    group_ = std::make_shared<Group>();
    group_->end = place_.offset;
    group_->seed = server_.env().entropy.next();
  }
  bool full = false;
  if (held_) {
    group_->timed = held_->timed;
    group_->end = held_->end;
    group_->bytes = held_->bytes.size();
    group_->calls.push_back(std::move(*held_));
    held_.reset();
  }
  while (!full && take_command(&full)) {
  }
  if (state_ != State::kStreaming || in_transaction_) return false;
  if (group_->end == place_.offset) return false;
  run_group();
  return true;
}

// False: no more has come, or something is wrong.
bool RedisFollower::take_command(bool* full) {
  const resp::RequestLimits limits{resp::kBulkBytesMax, true};
  switch (parser_->next(*in_, limits)) {
    case resp::RequestParser::Outcome::kNeedMore: return false;
    case resp::RequestParser::Outcome::kError:
      fail("its stream is damaged: " + std::string(parser_->error()));
      return false;
    case resp::RequestParser::Outcome::kMessage: break;
  }
  const auto args = parser_->args();
  const uint64_t end = stream_offset_ + (in_->position() + parser_->raw(*in_).size() - stream_position_);
  const auto is = [&](std::string_view name) { return equals_ignoring_case(args[0], name); };
  const auto passed = [&] {
    if (!held_) group_->end = end;
    return true;
  };
  if (is("multi") || is("exec")) {
    in_transaction_ = is("multi");
    *full = !in_transaction_ && group_->bytes >= kGroupBytes;
    return passed();
  }
  if (is("ping")) return passed();
  if (is("replconf")) {
    ack_wanted_ |= args.size() > 1 && equals_ignoring_case(args[1], "getack");
    return passed();
  }
  const Command* command = server_.table().find(args);
  if (command == nullptr || !command->accepts(args.size())) {
    log_warning("MASTER <-> REPLICA: the primary's command '%s' is unknown here and is left out",
                std::string(args[0]).c_str());
    return passed();
  }
  if (has_lasting_effect(*command)) return passed();
  Call call{command, {}, {}, end, is_timed(command->name, args)};
  for (const std::string_view arg : args) {
    call.bytes += arg;
    call.ends.push_back(static_cast<uint32_t>(call.bytes.size()));
  }
  // What libraries there are is known once the batch is applied; and a batch has one clock.
  const bool alone = command->name.starts_with("function|");
  if (!in_transaction_ && !group_->calls.empty() && (alone || call.timed != group_->timed)) {
    held_ = std::move(call);
    *full = true;
    return true;
  }
  group_->timed |= call.timed;
  group_->bytes += call.bytes.size();
  group_->calls.push_back(std::move(call));
  *full = !in_transaction_ && (alone || group_->calls.size() >= kGroupCalls || group_->bytes >= kGroupBytes);
  return passed();
}

void RedisFollower::run_group() {
  const auto group = std::move(group_);
  group_.reset();
  const auto place = std::make_shared<Place>(place_);
  const auto done = [this, place](const engine::Status& status, engine::Lsn lsn) {
    if (!status.ok()) return fail(status.message());
    place_ = *place;
    unsettled_.emplace_back(lsn, place_.offset);
    settle();
    process();
  };
  place->offset = group->end;
  if (group->calls.empty()) return done({}, server_.engine().end());
  replay_.run(
      group->timed ? server_.wall_ms() : kBeforeAllExpiry,
      [this, group, place](Replay::Scene& scene) { execute(*group, scene, place.get()); }, done);
}

void RedisFollower::execute(const Group& group, Replay::Scene& scene, Place* place) {
  Client* client = host_.client();
  if (client == nullptr) throw StorageError{{engine::Code::kInvalid, "the connection is closed"}};
  std::vector<std::string_view> args;
  const auto arguments = [&args](const Call& call) {
    args.clear();
    uint32_t begin = 0;
    for (const uint32_t end : call.ends) {
      args.push_back(std::string_view(call.bytes).substr(begin, end - begin));
      begin = end;
    }
    return std::span<const std::string_view>(args);
  };
  if (scene.reads.fetches() > 0) {  // It has begun anew: all headers in one round.
    std::vector<std::string_view> keys;
    std::vector<KeyAt> places;
    for (const Call& call : group.calls) {
      if (call.command->name == "select") break;
      const auto words = arguments(call);
      keys_of(*call.command, words, &places);
      for (const KeyAt& at : places)
        if (!(at.flags & (key::kNotKey | key::kOw))) keys.push_back(words[at.position]);
    }
    scene.view.prefetch_headers(server_.databases().object(place_.database), keys);
  }
  resp::OutputBuffer output;
  resp::ReplyWriter reply(output);
  CommandContext context{{}, scene.view, reply, *client, server_};
  context.nested = true;
  context.database_number = place_.database;
  context.database = server_.databases().object(place_.database);
  context.random_seed = group.seed;
  context.bulk_max = server_.settings().proto_max_bulk_len;
  context.reads = &scene.reads;
  context.effects = &scene.effects;
  for (const Call& call : group.calls) {
    const uint64_t mark = reply.mark();
    nested_call(context, *call.command, arguments(call), reply);
    std::array<char, 128> beginning;
    const size_t shown = output.copy(mark, beginning);
    if (shown > 0 && beginning[0] == '-') {
      const std::string_view line(beginning.data() + 1, shown - 1);
      const std::string error(line.substr(0, line.find('\r')));
      // What follows would go to the database before, over keys of the same names.
      if (call.command->name == "select") throw StorageError{{engine::Code::kInvalid, "SELECT: " + error}};
      log_warning("MASTER <-> REPLICA: '%s' of the primary fails here: %s",
                  std::string(call.command->name).c_str(), error.c_str());
    }
    reply.rollback(mark);
  }
  place->database = context.database_number;
  put_place(scene.view, *place);
}

// ------------------------------------------------------------------ the place

void RedisFollower::put_place(View& view, const Place& place) const {
  view.put(kPlaceKey, engine::FieldWriter()
                          .tag(kPlaceFormat)
                          .text(host_.epoch())
                          .text(place.id)
                          .number(place.offset)
                          .number(place.database)
                          .take());
}

void RedisFollower::read_place() {
  place_ = {};
  const auto reader = server_.engine().snapshot()->reader();
  const engine::Lookup found = reader->get(kPlaceKey);
  if (found.state != engine::Lookup::State::kFound) return;
  engine::FieldReader in(found.value);
  if (in.tag() != kPlaceFormat || in.text() != host_.epoch()) return;
  Place place;
  place.id = in.text();
  place.offset = in.number();
  place.database = static_cast<uint32_t>(in.number());
  if (in.ok() && in.done() && place.database < server_.databases().count()) place_ = place;
}

uint64_t RedisFollower::unapplied() const {
  if (!link_up()) return 0;
  return stream_offset_ + (in_->position() + in_->size() - stream_position_) - place_.offset;
}

// ------------------------------------------------------------------ acknowledgements

// V3
void RedisFollower::settle() {
  while (!unsettled_.empty() && unsettled_.front().first <= server_.engine().written()) {
    settled_ = unsettled_.front().second;
    unsettled_.pop_front();
  }
  if (ack_wanted_ && unsettled_.empty() && link_up()) ack();
}

void RedisFollower::ack() {
  if (!settled_) return;
  ack_wanted_ = false;
  last_ack_us_ = server_.env().clock.monotonic_us();
  host_.send(request({"REPLCONF", "ACK", std::to_string(*settled_)}));
}

}  // namespace server
