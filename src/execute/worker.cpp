#include "perturb/execute/worker.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <optional>
#include <poll.h>
#include <string_view>
#include <thread>
#include <unistd.h>

#include <fmt/format.h>

#include "perturb/core/error.h"
#include "perturb/core/files.h"

namespace perturb {
namespace {

/// What a handler reaches has to be global. `stop` is never taken back: who was asked to stop works
/// on nothing more.
Progress under_way;
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_terminate(int /*signal*/) { under_way.stop.store(true); }

void stop_on_terminate() {
  struct sigaction action{};
  action.sa_handler = on_terminate;
  action.sa_flags = SA_RESTART;  // files are read and written through libraries that do not retry
  ::sigaction(SIGTERM, &action, nullptr);
}

/// Lines for the owner. Standard output itself is turned to standard error: what a library prints
/// must not be taken for one.
class Messages {
 public:
  Messages() : descriptor_(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)) {
    if (descriptor_ < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
      throw Error(ExitCode::Disk,
                  fmt::format("cannot write to standard output: {}", std::strerror(errno)));
  }
  ~Messages() {
    std::fflush(stdout);
    ::dup2(descriptor_, STDOUT_FILENO);
    ::close(descriptor_);
  }
  Messages(const Messages&) = delete;
  Messages& operator=(const Messages&) = delete;

  void say(std::string_view words) const {
    const std::string line = fmt::format("{}\n", words);
    // In one piece, since two threads speak. Nobody to hear it: then standard input has ended, too.
    while (::write(descriptor_, line.data(), line.size()) < 0 && errno == EINTR) {
    }
  }

 private:
  int descriptor_;
};

/// Tells the owner how far the stage under way is. One thread for all stages: under a limit on
/// memory, a later one might not get its stack.
class Teller {
 public:
  Teller(const Progress& progress, const Messages& messages)
      : progress_(progress), messages_(messages) {
    // Signals are for the thread that carries out.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { work(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  ~Teller() {
    set(State::Done);
    thread_.join();
  }
  Teller(const Teller&) = delete;
  Teller& operator=(const Teller&) = delete;

  void begin() { set(State::Telling); }
  /// Nothing is told once this has returned.
  void end() { set(State::Silent); }

 private:
  enum class State { Silent, Telling, Done };

  void set(State state) {
    const std::lock_guard lock(mutex_);
    state_ = state;
    changed_.notify_one();
  }

  void work() {
    constexpr std::chrono::milliseconds kPause(100);
    std::unique_lock lock(mutex_);
    std::int64_t told = 0;
    while (state_ != State::Done) {
      if (state_ == State::Silent) {
        changed_.wait(lock);
        told = 0;
        continue;
      }
      changed_.wait_for(lock, kPause);
      const auto step = progress_.step.load();
      if (state_ != State::Telling || step == told) continue;
      messages_.say(fmt::format("step {} {}", step, progress_.loss.load()));
      told = step;
    }
  }

  const Progress& progress_;
  const Messages& messages_;
  std::mutex mutex_;
  std::condition_variable changed_;
  State state_ = State::Silent;
  std::thread thread_;
};

/// The lines of standard input, until it ends or the process is told to.
class Input {
 public:
  std::optional<std::string> line() {
    for (;;) {
      if (under_way.stop.load()) return std::nullopt;
      if (const auto end = bytes_.find('\n'); end != std::string::npos) {
        std::string line = bytes_.substr(0, end);
        bytes_.erase(0, end + 1);
        return line;
      }
      // SIGTERM may have come just now, or to another thread: look again in a second.
      pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
      if (::poll(&input, 1, 1000) <= 0) continue;
      std::array<char, 4096> piece{};
      const ssize_t got = ::read(STDIN_FILENO, piece.data(), piece.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return std::nullopt;
      bytes_.append(piece.data(), static_cast<std::size_t>(got));
    }
  }

 private:
  std::string bytes_;
};

}  // namespace

void work_on(const StageFile& stage, const Carry& carry, Progress& progress) {
  constexpr std::size_t kMost = std::size_t{1} << 30;
  const Assignment assignment = assignment_from_json(read_file(stage.assignment, kMost));
  const std::string name = stage.assignment.stem().string();
  std::size_t n = 0;
  const auto leave = [&](const Record& record, std::string_view ending) {
    write_atomically(stage.records / fmt::format("{}.{}{}", name, n, ending), to_json(record));
    ++n;  // only now: a record that could not be written leaves no gap
  };
  leave(carry(assignment, progress, [&](Record&& record) { leave(record, ".json"); }),
        ".last.json");
}

void serve_stages(const std::filesystem::path& records, const Carry& carry) {
  stop_on_terminate();
  const Messages messages;
  Teller teller(under_way, messages);
  const Carry telling = [&](const Assignment& assignment, Progress& progress,
                            const std::function<void(Record&&)>& report) {
    return carry(assignment, progress, [&](Record&& record) {
      report(std::move(record));
      messages.say("record");
    });
  };
  Input input;
  while (const auto line = input.line()) {
    under_way.step.store(0);
    under_way.loss.store(0);
    teller.begin();
    work_on({.assignment = *line, .records = records}, telling, under_way);
    teller.end();
    messages.say("over");
  }
}

}  // namespace perturb
