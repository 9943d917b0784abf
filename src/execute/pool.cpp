#include <cassert>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <pthread.h>
#include <signal.h>
#include <system_error>

#include "perturb/execute/executor.h"

namespace perturb {

namespace {

/// Deep networks recurse when autograd frees their graph, and `ulimit -s` is not ours to trust.
constexpr std::size_t kStackBytes = std::size_t{64} << 20;

class Pool final : public Executor {
 public:
  Pool(Carry carry, std::size_t workers) : carry_(std::move(carry)) {
    assert(workers > 0);
    threads_.reserve(workers);
    for (std::size_t i = 0; i < workers; ++i) add_thread();
  }

  ~Pool() override {
    stop();
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    work_.notify_all();
    for (const pthread_t thread : threads_) pthread_join(thread, nullptr);
  }

  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  std::size_t room() const override {
    const std::lock_guard lock(mutex_);
    // A worker is free again once its record has been collected: whoever decides what comes
    // next (fail-fast, an order that matters) has then seen how the last trial ended.
    const std::size_t busy = waiting_.size() + running_.size() + over_;
    return busy < threads_.size() ? threads_.size() - busy : 0;
  }

  void start(Job job) override {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::make_shared<Started>(std::move(job)));
    }
    work_.notify_one();
  }

  bool wait(int milliseconds, Event& event) override {
    std::unique_lock lock(mutex_);
    if (!result_.wait_for(lock, std::chrono::milliseconds(milliseconds),
                          [this] { return !events_.empty(); }))
      return false;
    event = std::move(events_.front());
    events_.pop_front();
    if (event.over) --over_;
    return true;
  }

  std::vector<Running> running() const override {
    const std::lock_guard lock(mutex_);
    std::vector<Running> all;
    all.reserve(running_.size());
    for (const auto& started : running_)
      all.push_back({started->job.number, {started, &started->progress}});
    return all;
  }

  void stop() override {
    const std::lock_guard lock(mutex_);
    for (const auto& started : running_) started->progress.stop.store(true);
    for (const auto& started : waiting_) started->progress.stop.store(true);
  }

 private:
  struct Started {
    explicit Started(Job&& started) : job(std::move(started)) {}
    const Job job;
    Progress progress;
  };

  void add_thread() {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kStackBytes);
    // Signals are for the thread that decides; a worker that took one would only be
    // interrupted in a system call.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread{};
    const int error = pthread_create(
        &thread, &attributes,
        [](void* self) -> void* {
          static_cast<Pool*>(self)->work();
          return nullptr;
        },
        this);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_attr_destroy(&attributes);
    if (error != 0) {
      // Fewer workers do the same work, later; none at all do nothing.
      if (!threads_.empty()) return;
      throw std::system_error(error, std::generic_category(), "cannot start a thread");
    }
    threads_.push_back(thread);
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      work_.wait(lock, [this] { return closed_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      const auto started = waiting_.front();
      waiting_.pop_front();
      running_.push_back(started);
      lock.unlock();
      Record record = carry_(started->job.assignment, started->progress, [&](Record&& so_far) {
        const std::lock_guard reporting(mutex_);
        events_.push_back({started->job.number, std::move(so_far), false});
        result_.notify_one();
      });
      lock.lock();
      std::erase(running_, started);
      events_.push_back({started->job.number, std::move(record), true});
      ++over_;
      result_.notify_one();
    }
  }

  const Carry carry_;
  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable result_;
  std::deque<std::shared_ptr<Started>> waiting_;
  std::vector<std::shared_ptr<Started>> running_;
  std::deque<Event> events_;
  std::size_t over_ = 0;  // of the events, those that end a stage
  bool closed_ = false;
  std::vector<pthread_t> threads_;
};

}  // namespace

std::unique_ptr<Executor> pool(Carry carry, std::size_t workers) {
  return std::make_unique<Pool>(std::move(carry), workers);
}

}  // namespace perturb
