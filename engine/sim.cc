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

void SimExecutor::work_at(size_t index) {
  Job job = std::move(works_[index]);
  works_.erase(works_.begin() + static_cast<std::ptrdiff_t>(index));
  job.work();
  job.work = Task();
  dones_.push_back(std::move(job));
}

void SimExecutor::done_at(size_t index) {
  Job job = std::move(dones_[index]);
  dones_.erase(dones_.begin() + static_cast<std::ptrdiff_t>(index));
  job.done();
}

bool SimExecutor::run_posted() {
  if (posted_.empty()) return false;
  Task task = std::move(posted_.front());
  posted_.pop_front();
  task();
  return true;
}

bool SimExecutor::run_one() {
  const size_t choices = works_.size() + dones_.size() + (posted_.empty() ? 0 : 1);
  if (choices == 0) return false;
  size_t choice = static_cast<size_t>(entropy_.below(choices));
  if (choice < works_.size()) {
    work_at(choice);
  } else if ((choice -= works_.size()) < dones_.size()) {
    done_at(choice);
  } else {
    run_posted();
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
