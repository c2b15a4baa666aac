#include "engine/log_groups.h"

#include <algorithm>
#include <utility>

namespace engine {
namespace {

constexpr size_t kSpareMax = 2;  // One waits, one is on its way.

}  // namespace

void LogWrite::seal() { seal_frame(bytes, segment->id, first, synced); }

Status LogWrite::run() {
  seal();
  return segment->file->write(offset, bytes);
}

LogGroups::Placed LogGroups::hand_over(std::vector<LogWrite>& writes, Lsn end) {
  Placed placed;
  const std::lock_guard lock(mutex_);
  for (LogWrite& write : writes) {
    LogSegment& segment = *write.segment;
    if (!waiting_.empty() && waiting_.back().segment == write.segment) {
      LogWrite& frame = waiting_.back();
      const uint64_t before = segment.offset;
      frame.bytes.append(write.bytes, kFrameHeaderBytes);
      segment.offset = round_up(frame.offset + frame.bytes.size(), kFrameAlignment);
      placed.bytes += segment.offset - before;
    } else {
      write.offset = round_up(segment.offset, kLogPageBytes);  // G3: the group before may be under way.
      segment.offset = round_up(write.offset + write.bytes.size(), kFrameAlignment);
      placed.bytes += segment.offset - write.offset;
      ++placed.frames;
      LogWrite& frame = waiting_.emplace_back(std::move(write));
      write.bytes.clear();
      if (!spare_.empty()) {
        write.bytes = std::move(spare_.back());
        spare_.pop_back();
      }
      write.segment = frame.segment;
    }
    INVARIANT(segment.offset <= segment.bytes);  // L4.
  }
  waiting_end_ = end;
  placed.submit = !std::exchange(submitted_, true);
  return placed;
}

bool LogGroups::claim() {
  const std::lock_guard lock(mutex_);
  return !waiting_.empty() && outcome_.status.ok() && !std::exchange(submitted_, true);
}

LogGroups::Outcome LogGroups::collect() {
  const std::lock_guard lock(mutex_);
  news_.store(false, std::memory_order_relaxed);
  Outcome outcome = outcome_;
  outcome_.syncs = outcome_.sync_us = outcome_.sync_us_max = 0;
  return outcome;
}

bool LogGroups::take() {
  const std::lock_guard lock(mutex_);
  if (waiting_.empty() || !outcome_.status.ok()) {
    submitted_ = false;
    return false;
  }
  group_.swap(waiting_);
  group_end_ = waiting_end_;
  durable_ = outcome_.durable;
  return true;
}

void LogGroups::write(const Clock& clock) {
  for (LogWrite& write : group_) {
    write.synced = std::max(write.synced, durable_);
    write.seal();
  }
  const uint64_t begun = clock.monotonic_us();
  for (LogWrite& write : group_) {
    status_ = write.segment->file->write_synced(write.offset, write.bytes);
    if (!status_.ok()) return;
  }
  sync_us_ = clock.monotonic_us() - begun;
}

bool LogGroups::publish() {
  const std::lock_guard lock(mutex_);
  for (LogWrite& write : group_) {
    write.bytes.clear();
    if (spare_.size() < kSpareMax) spare_.push_back(std::move(write.bytes));
  }
  group_.clear();
  outcome_.status = status_;
  if (status_.ok()) {
    outcome_.durable = group_end_;
    ++outcome_.syncs;
    outcome_.sync_us += sync_us_;
    outcome_.sync_us_max = std::max(outcome_.sync_us_max, sync_us_);
  }
  return !news_.exchange(true, std::memory_order_release);
}

void LogGroups::leave() {
  const std::lock_guard lock(mutex_);
  submitted_ = false;
}

}  // namespace engine
