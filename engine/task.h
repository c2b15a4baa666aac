// engine/task.h: a piece of work to be run once, on whatever thread it is handed to.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace engine {

// A move-only callable of no arguments, so that it can own unique_ptrs (std::function cannot).
class Task {
 public:
  Task() = default;
  template <typename F>
  requires(!std::is_same_v<std::decay_t<F>, Task>) Task(F&& f)
      : body_(std::make_unique<Body<std::decay_t<F>>>(std::forward<F>(f))) {
  }  // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return body_ != nullptr; }
  void operator()() { body_->run(); }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual void run() = 0;
  };
  template <typename F>
  struct Body final : Base {
    explicit Body(F f) : f_(std::move(f)) {}
    void run() override { f_(); }
    F f_;
  };
  std::unique_ptr<Base> body_;
};

}  // namespace engine
