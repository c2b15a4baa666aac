#include "engine/sim.h"

#include <algorithm>

namespace engine {

uint64_t SimEntropy::next() {
  uint64_t z = (state_ += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

void SimExecutor::submit(Lane lane, Task work, Task done) {
  works_.push_back({lane, std::move(work), std::move(done)});
}

void SimExecutor::post(Task task) { posted_.push_back(std::move(task)); }

void SimExecutor::report(Task task) { reports_.push_back(std::move(task)); }

void SimExecutor::work_at(size_t index) {
  Job job = std::move(works_[index]);
  works_.erase(works_.begin() + static_cast<std::ptrdiff_t>(index));
  job.work();
  job.work = Task();
  dones_.push_back(std::move(job));
}

void SimExecutor::done_at(size_t index) {
  while (run_report()) {  // Those of this job come first.
  }
  Job job = std::move(dones_[index]);
  dones_.erase(dones_.begin() + static_cast<std::ptrdiff_t>(index));
  job.done();
}

bool SimExecutor::begin(PageRead& read) {
  if (!page_reads_) return false;
  reads_.push_back(&read);
  return true;
}

void SimExecutor::read_at(size_t index) {
  constexpr uint64_t kOneFailsOf = 16;
  PageRead& read = *reads_[index];
  reads_.erase(reads_.begin() + static_cast<std::ptrdiff_t>(index));
  Result<size_t> got = read.file->read(read.offset, read.out);
  read.ended(got.ok() && entropy_.below(kOneFailsOf) != 0 ? static_cast<int64_t>(*got) : -1);
}

bool SimExecutor::run_first(std::deque<Task>& tasks) {
  if (tasks.empty()) return false;
  Task task = std::move(tasks.front());
  tasks.pop_front();
  task();
  return true;
}

bool SimExecutor::run_posted() { return run_first(posted_); }
bool SimExecutor::run_report() { return run_first(reports_); }

bool SimExecutor::run_one() {
  const size_t posted = posted_.empty() ? 0 : 1;
  const size_t choices = works_.size() + dones_.size() + reads_.size() + posted + (reports_.empty() ? 0 : 1);
  if (choices == 0) return false;
  size_t choice = static_cast<size_t>(entropy_.below(choices));
  if (choice < works_.size()) {
    work_at(choice);
  } else if ((choice -= works_.size()) < dones_.size()) {
    done_at(choice);
  } else if ((choice -= dones_.size()) < reads_.size()) {
    read_at(choice);
  } else if (choice - reads_.size() < posted) {
    run_posted();
  } else {
    run_report();
  }
  return true;
}

void SimExecutor::run_all() {
  while (run_one()) {
  }
}

bool SimExecutor::run_work(Lane lane) {
  for (size_t i = 0; i < works_.size(); ++i) {
    if (works_[i].lane == lane) return work_at(i), true;
  }
  return false;
}

bool SimExecutor::run_done(Lane lane) {
  for (size_t i = 0; i < dones_.size(); ++i) {
    if (dones_[i].lane == lane) return done_at(i), true;
  }
  return false;
}

size_t SimExecutor::waiting_works(Lane lane) const {
  return static_cast<size_t>(
      std::count_if(works_.begin(), works_.end(), [lane](const Job& job) { return job.lane == lane; }));
}

}  // namespace engine
