// engine/table_read_back.h: reads a table that was just written, whole, before anybody relies on it.
//
// A disk that loses or garbles a write says nothing. The inputs of a merge are removed once its output is
// installed, so this is the last moment at which such a loss costs nothing. One sequential read past the page
// cache, in slices, hashed at some 10 GB/s.
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/env.h"
#include "engine/table.h"

namespace engine {

class TableReadBack {
 public:
  TableReadBack(FileSystem& files, std::string path, const TableMeta& meta);
  ~TableReadBack();

  // Reads about `bytes` more, blocking; true when all was read and is what was written.
  // Errors: kIoError naming the file, also for bytes that differ: the writer is to write them again.
  Result<bool> step(uint64_t bytes);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace engine
