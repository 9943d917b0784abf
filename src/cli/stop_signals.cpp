#include "cli/stop_signals.h"

#include <unistd.h>

namespace perturb {

namespace {

// Handlers reach nothing but globals; both are lock-free and so safe in one.
std::atomic<bool> stop_asked{false};
std::atomic<int> first_signal{0};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

extern "C" void on_stop_signal(int signal) {
  if (stop_asked.exchange(true)) _exit(128 + signal);
  first_signal.store(signal);
}

}  // namespace

StopSignals::StopSignals() {
  stop_asked.store(false);
  first_signal.store(0);
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
