#include "cli/stop_signals.h"

#include <ctime>
#include <unistd.h>

namespace perturb {

namespace {

/// One wish can come as two signals: `timeout`, and others, send it to a process and to its group.
constexpr std::int64_t kOneWish = 300'000'000;  // nanoseconds

// Handlers reach nothing but globals; these are lock-free and so safe in one.
std::atomic<bool> stop_asked{false};
std::atomic<int> first_signal{0};
std::atomic<std::int64_t> first_time{0};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free &&
              std::atomic<std::int64_t>::is_always_lock_free);

std::int64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

extern "C" void on_stop_signal(int signal) {
  if (stop_asked.exchange(true)) {
    if (now() - first_time.load() > kOneWish) _exit(128 + signal);
    return;
  }
  first_time.store(now());
  first_signal.store(signal);
}

}  // namespace

StopSignals::StopSignals() {
  stop_asked.store(false);
  first_signal.store(0);
  first_time.store(now());
  struct sigaction action{};
  action.sa_handler = on_stop_signal;
  action.sa_flags = SA_RESTART;  // the store must not see interrupted system calls
  sigaction(SIGINT, &action, &interrupt_before_);
  sigaction(SIGTERM, &action, &terminate_before_);
}

StopSignals::~StopSignals() {
  sigaction(SIGINT, &interrupt_before_, nullptr);
  sigaction(SIGTERM, &terminate_before_, nullptr);
}

const std::atomic<bool>& StopSignals::asked() const { return stop_asked; }

ExitCode StopSignals::code() const {
  return first_signal.load() == SIGTERM ? ExitCode::Terminated : ExitCode::Interrupted;
}

}  // namespace perturb
