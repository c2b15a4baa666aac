// server/scripts/functions.h: the libraries of functions that there are.
//
// A library is data: its record ('F' name -> source) is written by the batch of the command that loads or
// deletes it, is as durable as any other write, and reaches replicas with the log. What is in memory follows
// the records: it changes when a batch that writes them has been applied, whoever made it. Inside a
// transaction it changes at once, so that what comes behind in it sees that, and back if the run is taken
// back.
//
// Function names are told apart without regard to case, library names with it, as in Redis.
//
// Threads: the reactor.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/batch.h"
#include "engine/engine.h"
#include "server/scripts/library.h"
#include "server/scripts/script_run.h"

namespace server {

class Functions {
 public:
  Functions(Server& server, Interrupt& interrupt);
  ~Functions();

  // Loads what the records say, instead of what there is. Blocking: for the start. A library that does not
  // load (a newer version's, say) is named in the log and passed over. Errors: the disk.
  engine::Status open();
  // A batch has been applied that may write records of libraries.
  void refresh(const engine::Batch& batch);

  // The flags of a function; nothing: there is none.
  std::optional<uint32_t> flags(std::string_view function) const;
  // FCALL, FCALL_RO.
  void call(CommandContext& c, bool by_read_only_command);

  // ---- changes, in the command's batch. The error is a text without its code; empty: done.
  std::string load(CommandContext& c, std::string_view source, bool replace, std::string* name);
  std::string erase(CommandContext& c, std::string_view name);
  void flush(CommandContext& c);
  void flush(View& view) const;
  // As it is: what does not load is passed over when the batch has been applied.
  static void store(View& view, std::string_view source);
  // What there was at that moment. Blocking. Errors: the disk. Threads: any.
  static engine::Result<std::vector<std::string>> sources(const engine::Snapshot& snapshot);
  enum class Restore : unsigned char { kAppend, kReplace, kFlush };
  std::string restore(CommandContext& c, const std::vector<std::string>& sources, Restore policy);

  using Libraries = std::map<std::string, Library, std::less<>>;
  const Libraries& libraries() const { return libraries_; }
  size_t function_count() const { return by_name_.size(); }
  size_t interpreter_bytes() const { return interpreter_ ? interpreter_->memory_bytes() : 0; }
  size_t source_bytes() const;

 private:
  struct Place {
    const Library* library;
    const LibraryFunction* function;
  };
  Interpreter& interpreter();
  // Loads it for a moment, to know what it registers.
  std::string examine(std::string_view source, uint64_t timeout_us, Library* library);
  void install(std::string_view source);
  void remove(std::string_view name);
  // Writes a library's record, or with no source erases it.
  void change(CommandContext& c, const std::string& name, std::optional<std::string_view> source);

  Server& server_;
  Interrupt& interrupt_;
  std::unique_ptr<Interpreter> interpreter_;  // Made by the first library.
  Libraries libraries_;
  std::set<std::string, std::less<>> ahead_;  // Changed by a transaction whose batch is to be applied yet.
  std::map<std::string, Place, std::less<>> by_name_;  // In lower case.
};

}  // namespace server
