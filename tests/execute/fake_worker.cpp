// A worker for isolated_test.cpp that trains nothing: it behaves as the label of the assignment's
// metric says. Where its owner has to know the process, the first record has its number as
// `trained`.
//
// usage: fake_worker [MODE] RECORDS
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "perturb/core/error.h"
#include "perturb/execute/worker.h"

namespace {

using namespace perturb;

using Report = std::function<void(Record&&)>;

Record record_of(const Assignment& assignment, Outcome outcome) {
  return {.trial = assignment.trial.id, .outcome = outcome, .trained = ::getpid()};
}

/// As many records as there are steps, with their number as `step`, and one more.
Record report_steps(const Assignment& assignment, const Report& report) {
  Record record = record_of(assignment, Outcome::Done);
  for (Step i = 0; i < assignment.end; ++i) {
    record.step = i;
    report(Record(record));
  }
  record.step = assignment.end;
  return record;
}

[[noreturn]] void hang(const Assignment& assignment, Progress& progress, const Report& report) {
  report(record_of(assignment, Outcome::Done));
  progress.loss.store(0.5);
  progress.step.store(17);
  for (;;) ::pause();
}

Record obey(const Assignment& assignment, Progress& progress, const Report& report) {
  report(record_of(assignment, Outcome::Done));
  while (!progress.stop.load()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return record_of(assignment, Outcome::Interrupted);
}

[[noreturn]] void die(int signal) {
  // A sanitizer would make an exit status of it.
  ::signal(signal, SIG_DFL);
  ::raise(signal);
  std::abort();
}

Record grow(const Assignment& assignment) {
  std::vector<std::unique_ptr<char[]>> all;
  for (int i = 0; i < 64; ++i) all.push_back(std::make_unique_for_overwrite<char[]>(64 << 20));
  return record_of(assignment, Outcome::Failed);
}

/// Says in its message what it has from its owner and should not have. `end` is a descriptor that
/// its owner has open.
Record inherit(const Assignment& assignment) {
  Record record = record_of(assignment, Outcome::Done);
  if (::fcntl(static_cast<int>(assignment.end), F_GETFD) >= 0) record.message += " a descriptor";
  sigset_t blocked;
  ::sigprocmask(SIG_SETMASK, nullptr, &blocked);
  if (::sigismember(&blocked, SIGUSR1)) record.message += " a blocked signal";
  struct sigaction action{};
  ::sigaction(SIGUSR2, nullptr, &action);
  if (action.sa_handler == SIG_IGN) record.message += " an ignored signal";
  if (::getpgrp() != ::getpid()) record.message += " a process group";
  return record;
}

Record behave(const Assignment& assignment, Progress& progress, const Report& report) {
  const std::string& how = assignment.metrics.at(0).label;
  if (how == "report") return report_steps(assignment, report);
  if (how == "hang") hang(assignment, progress, report);
  if (how == "obey") return obey(assignment, progress, report);
  if (how == "grow") return grow(assignment);
  if (how == "inherit") return inherit(assignment);
  if (how == "chatter") {
    std::puts("over\nrecord\nstep 99 1\nwhat a library prints");
    std::fflush(stdout);
    return report_steps(assignment, report);
  }
  // The others end the process, having reported and complained.
  report_steps(assignment, report);
  std::fputs("the last but one\n\n\tthe \x1b[31mlast\x1b[0m words  \n\n", stderr);
  if (how == "segfault") die(SIGSEGV);
  if (how == "abort") std::abort();
  if (how == "killed") die(SIGKILL);
  std::_Exit(how == "exit 0" ? 0 : 3);
}

/// Other ways of not being a worker.
int misbehave(const std::string& mode, const std::filesystem::path& records) {
  std::string line;
  Progress progress;
  if (mode == "deaf") {
    for (;;) ::pause();
  }
  if (mode == "absent") return 0;
  while (std::getline(std::cin, line)) {
    // Leaves all its records and ends before it can say so.
    if (mode == "mute") {
      work_on({.assignment = line, .records = records}, behave, progress);
      std::abort();
    }
    if (mode == "liar") std::cout << "step 5 nan\nover\n" << std::flush;
    if (mode == "babbler") {
      std::cout << std::string(100'000, 'x') << "\nstep\nstep x y\nstep 7\n"
                << "step 99999999999999999999 1\n\n"
                << std::flush;
      work_on({.assignment = line, .records = records}, behave, progress);
      std::cout << "over\n" << std::flush;
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::filesystem::path records = argv[argc - 1];
  if (argc > 2) return misbehave(argv[1], records);
  serve_stages(records, behave);
  return 0;
} catch (const Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return static_cast<int>(error.code());
}
