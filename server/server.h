// server/server.h: owns everything behind the sockets and runs the turns of the reactor.
//
// One turn of the loop: timers; sockets and results of workers, whose commands are executed as they come;
// then, before the loop waits again, end_turn(): the turn's log frame is closed once for all, and replies
// leave as far as the commit point allows.
//
// Threads: the reactor.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "server/batch_runner.h"
#include "server/blocking.h"
#include "server/clients.h"
#include "server/databases.h"
#include "server/dispatch.h"
#include "server/expiry_census.h"
#include "server/expiry_cron.h"
#include "server/key_watch.h"
#include "server/latency_monitor.h"
#include "server/listener.h"
#include "server/scan_cursors.h"
#include "server/settings.h"
#include "server/shutdown.h"
#include "server/slowlog.h"
#include "server/stats.h"

namespace server {

class Acl;
class Config;
class DrawnMembers;
class LongWrites;
class PubSub;
class Tracking;
struct Scripting;
class Replication;

// Whose commands wait, and until when.
struct Pause {
  int64_t until_ms = 0;        // CLIENT PAUSE; 0: none.
  bool all = false;            // Its scope; false: only commands that may write.
  bool failing_over = false;   // Writers wait until it is known who the primary is.
  bool shutting_down = false;  // Writers wait while replicas catch up.
  bool any() const { return until_ms != 0 || failing_over || shutting_down; }
};

class Server final : public ClientOwner, public ListenerOwner {
 public:
  Server(uv_loop_t* loop, engine::Env& env, engine::Engine& engine, Config& config);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Opens the databases and the doors. Errors: no door could be opened; a damaged database record.
  engine::Status start();
  // Stops accepting, executes nothing more, syncs the log, sends what may be sent, closes all, stops the
  // engine and calls `done`.
  void stop(std::function<void(engine::Status)> done);
  bool stopping() const { return stopping_; }
  bool log_was_closed = true;  // What main found at recovery; before start().
  // The end of a shutdown's waiting; main says what it does.
  std::function<void()> on_shutdown;

  // ---- the parts
  engine::Env& env() { return env_; }
  engine::Engine& engine() { return engine_; }
  Config& config() { return config_; }
  const Settings& settings() const;
  CommandTable& table() { return table_; }
  Acl& acl() { return *acl_; }
  Clients& clients() { return clients_; }
  Databases& databases() { return databases_; }
  Dispatcher& dispatcher() { return dispatcher_; }
  Blocking& blocking() { return blocking_; }
  PubSub& pubsub() { return *pubsub_; }
  KeyWatch& key_watch() { return key_watch_; }
  Tracking& tracking() { return *tracking_; }
  Replication& replication() { return *replication_; }
  Stats& stats() { return stats_; }
  Slowlog& slowlog() { return slowlog_; }
  LatencyMonitor& latency() { return latency_; }
  ExpiryCensus& expiry_census() { return expiry_census_; }
  Listeners& listeners() { return listeners_; }
  BatchRunner& batches() { return batches_; }
  LongWrites& long_writes() { return *long_writes_; }
  Shutdown& shutdown() { return shutdown_; }
  ScanCursors& scan_cursors() { return scan_cursors_; }  // Threads: any.
  Scripting& scripting() { return *scripting_; }
  DrawnMembers& drawn_members() { return *drawn_members_; }

  // ---- what the dispatcher asks and says
  const CommitPoint& commit() const { return commit_; }
  engine::Lsn frame() const { return frame_; }  // Where this turn's log frame begins.
  Durability default_durability() const;
  void output_added(Client& client);           // Is sent at the end of the turn.
  void work_left(Client& client);              // process() is called again, after the others' turn.
  void sync_wanted() { sync_wanted_ = true; }  // Somebody waits for a sync.
  // The one place where a batch becomes the newest writes. `writer`: the client, 0: nobody.
  engine::Lsn apply(engine::Batch& batch, uint64_t writer = 0);
  // The same for a record of the primary's log. True: it says something of the store itself, too.
  bool apply_foreign(const engine::Batch& record);
  void progressed() { progressed_ = true; }  // The commit point may have moved.
  void wake_at(uint64_t due_us);             // A turn is wanted then, whatever happens.
  void retry_parked();                       // Soon.
  // While the store is being exchanged nothing runs.
  void hold_still(bool held);
  bool still() const { return still_; }
  engine::Status store_exchanged();  // Reads anew what is known of it. Errors: a damaged record.
  // A message that another server's client published.
  void publish_here(std::string_view channel, std::string_view text, bool sharded);
  // The same of a keyspace event.
  void notify_here(uint32_t event_class, std::string_view name, uint32_t database, std::string_view key,
                   engine::Lsn lsn);
  // An expired key has been reclaimed, or fields of a hash (and with the last of them the hash): called once
  // for each, when the deletion has been applied.
  void key_expired(uint32_t database, std::string_view user_key);
  void fields_expired(uint32_t database, std::string_view user_key, bool all);

  // ---- what others hear (deliver.cc)
  // The effects of a command that has been applied and answered: sends them and clears them. What they tell
  // is settled once `lsn` is.
  void deliver(Effects& effects, engine::Lsn lsn);
  // The classes that anybody could hear of, here or at a replica.
  uint32_t wanted_events() const;
  // A whole push, to stand between replies; it leaves when what was written up to `lsn` is as safe as the
  // client's replies are. Requires: no handler of this client is running.
  void push(Client& client, std::string_view bytes, engine::Lsn lsn);
  int64_t wall_ms() const { return env_.clock.wall_ms(); }

  // ---- effects of commands
  Pause pause;
  bool active_expire = true;  // Whether expired keys are reclaimed before anybody asks for them.
  bool cron_paused = false;   // DEBUG PAUSE-CRON.
  void end_pause();           // CLIENT PAUSE's.
  // Keys that commands met expired and still there: given to expiry_cron_. May be empty.
  std::function<void(const std::vector<View::Expired>&)> on_expired_met;
  std::vector<Client*>& monitors() { return monitors_; }
  // Flushes all to tables; LASTSAVE moves when it went well.
  void save(std::function<void(const engine::Status&)> done);
  bool save_running() const { return saves_running_ > 0; }

  // ---- facts for INFO
  int64_t started_ms() const { return started_ms_; }
  const std::string& run_id() const { return run_id_; }
  uint64_t changes_since_save() const { return changes_ - changes_saved_; }
  int64_t last_save_ms() const { return last_save_ms_; }
  bool last_save_ok() const { return last_save_ok_; }
  int64_t last_save_seconds() const { return last_save_seconds_; }  // How long it took; -1: none yet.
  uint64_t saves() const { return saves_; }
  uint64_t startup_memory() const { return startup_memory_; }
  uint64_t peak_memory() const { return peak_memory_; }
  void note_memory();
  // Forgets what the client has queued and what it watches: DISCARD.
  void end_transaction(Client& client);

  // ---- ClientOwner, ListenerOwner
  void on_input(Client& client, size_t bytes) override;
  void on_writable(Client& client) override;
  void on_gone(Client& client) override;
  void on_connection(int fd, bool unix_socket) override;
  void destroy_if_possible(Client& client);

 private:
  void end_turn();
  void send(Client& client);
  void send_held();
  void run_ready();
  engine::Lsn apply_unasked(engine::Batch& batch);  // Of no client's command, but some may wait for its keys.
  void cron();
  void check_client(Client& client, int64_t now_ms, uint64_t now_us);
  void notify(uint32_t event_class, std::string_view name, uint32_t database, std::string_view key,
              engine::Lsn lsn);
  bool over_output_limit(Client& client, uint64_t now_us);
  void watch_settings();
  void watch_deadlines();
  void advance_stop();

  uv_loop_t* const loop_;
  engine::Env& env_;
  engine::Engine& engine_;
  Config& config_;
  CommandTable table_;
  std::unique_ptr<Acl> acl_;
  Stats stats_;
  Slowlog slowlog_;
  LatencyMonitor latency_;
  ExpiryCensus expiry_census_;
  Databases databases_;
  Clients clients_;
  Listeners listeners_;
  Blocking blocking_;
  const std::unique_ptr<PubSub> pubsub_;
  KeyWatch key_watch_;
  const std::unique_ptr<Tracking> tracking_;
  Dispatcher dispatcher_;
  BatchRunner batches_;
  std::unique_ptr<LongWrites> long_writes_;
  ExpiryCron expiry_cron_;
  ScanCursors scan_cursors_;
  const std::unique_ptr<DrawnMembers> drawn_members_;
  std::unique_ptr<Scripting> scripting_;
  const std::unique_ptr<Replication> replication_;
  Shutdown shutdown_{*this};

  uv_prepare_t before_wait_{};
  uv_timer_t cron_timer_{};
  uv_timer_t delay_timer_{};  // For replies that are held back to slow their writer down.
  uint64_t wake_us_ = 0;      // When it fires; 0: it does not run.
  uv_timer_t block_timer_{};  // For commands that wait for a key, but not for ever.
  uint64_t block_wake_us_ = 0;

  CommitPoint commit_;
  engine::Lsn frame_ = 0;
  bool progressed_ = false;
  bool sync_wanted_ = false;
  std::vector<Client*> dirty_, dirty_now_;
  std::vector<Client*> held_, held_now_;
  std::vector<Client*> ready_, ready_now_;
  std::vector<Client*> monitors_;

  bool still_ = false;
  bool stopping_ = false;
  bool engine_stopping_ = false;
  uint64_t stop_deadline_us_ = 0;
  std::function<void(engine::Status)> stopped_;

  int64_t started_ms_ = 0;
  std::string run_id_;
  uint64_t changes_ = 0, changes_saved_ = 0;
  int64_t last_save_ms_ = 0;
  bool last_save_ok_ = true;
  int64_t last_save_seconds_ = -1;
  uint64_t saves_ = 0;
  uint64_t startup_memory_ = 0;
  unsigned saves_running_ = 0;
  uint64_t peak_memory_ = 0;
  uint64_t cron_runs_ = 0;
};

}  // namespace server
