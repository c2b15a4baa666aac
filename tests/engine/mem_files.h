// tests/engine/mem_files.h: files that are strings, for tests that want to look at bytes and change them.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "engine/env.h"

namespace test {

using engine::Code;
using engine::Result;
using engine::Status;

class MemFiles final : public engine::FileSystem {
 public:
  // The bytes of a file; made when absent.
  std::string& bytes(const std::string& path) {
    std::shared_ptr<std::string>& file = files_[path];
    if (file == nullptr) file = std::make_shared<std::string>();
    return *file;
  }
  uint64_t reads = 0;
  uint64_t writes = 0;
  uint64_t syncs = 0;
  uint64_t writes_until_full = UINT64_MAX;  // Then write() fails with kNoSpace.
  bool fail_reads = false;

  Result<std::unique_ptr<engine::File>> open(const std::string& path, engine::OpenMode mode,
                                             engine::Caching) override {
    const bool create = mode == engine::OpenMode::kCreate;
    if (files_.contains(path) == create) return Status(Code::kIoError, "cannot open " + path);
    bytes(path);
    return std::unique_ptr<engine::File>(std::make_unique<MemFile>(*this, path, files_[path]));
  }
  Result<bool> exists(const std::string& path) override { return files_.contains(path); }
  Result<std::vector<std::string>> list(const std::string&) override { return std::vector<std::string>(); }
  Status make_directory(const std::string&) override { return {}; }
  Status rename(const std::string& from, const std::string& to) override {
    files_[to] = files_[from];
    files_.erase(from);
    return {};
  }
  Status remove(const std::string& path) override {
    files_.erase(path);
    return {};
  }
  Status sync_directory(const std::string&) override { return {}; }
  Result<std::unique_ptr<engine::FileLock>> lock(const std::string&) override {
    return std::make_unique<engine::FileLock>();
  }
  Result<uint64_t> free_bytes(const std::string&) override { return UINT64_MAX; }

 private:
  class MemFile final : public engine::File {
   public:
    MemFile(MemFiles& owner, std::string path, std::shared_ptr<std::string> bytes)
        : owner_(owner), path_(std::move(path)), bytes_(std::move(bytes)) {}
    Result<size_t> read(uint64_t offset, std::span<char> out) const override {
      ++owner_.reads;
      if (owner_.fail_reads) return Status(Code::kIoError, "reading " + path_ + " failed");
      if (offset >= bytes_->size()) return size_t{0};
      const size_t n = std::min(out.size(), bytes_->size() - offset);
      std::memcpy(out.data(), bytes_->data() + offset, n);
      return n;
    }
    Status write(uint64_t offset, std::string_view data) override {
      if (owner_.writes_until_full == 0) return {Code::kNoSpace, path_ + ": the disk is full"};
      --owner_.writes_until_full;
      ++owner_.writes;
      if (bytes_->size() < offset + data.size()) bytes_->resize(offset + data.size());
      std::memcpy(bytes_->data() + offset, data.data(), data.size());
      return {};
    }
    Status sync() override {
      ++owner_.syncs;
      return {};
    }
    Status allocate(uint64_t, uint64_t) override { return {}; }
    Status truncate(uint64_t size) override {
      bytes_->resize(size);
      return {};
    }
    Result<uint64_t> size() const override { return bytes_->size(); }
    const std::string& path() const override { return path_; }

   private:
    MemFiles& owner_;
    std::string path_;
    std::shared_ptr<std::string> bytes_;
  };

  std::map<std::string, std::shared_ptr<std::string>> files_;
};

}  // namespace test
