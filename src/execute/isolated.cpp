#include <algorithm>
#include <cassert>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <deque>
#include <fstream>
#include <limits>
#include <optional>
#include <poll.h>
#include <string_view>
#include <sys/wait.h>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "execute/log_end.h"
#include "execute/worker_process.h"
#include "perturb/core/error.h"
#include "perturb/core/files.h"
#include "perturb/execute/executor.h"

namespace perturb {
namespace {

namespace fs = std::filesystem;

constexpr double kNever = std::numeric_limits<double>::infinity();

/// Seconds of a clock that nobody sets.
double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// For poll; a wait that was cut short by rounding would be followed by another.
int milliseconds_until(double then) {
  return static_cast<int>(std::clamp(std::ceil((then - now()) * 1e3), 0.0, double{INT_MAX}));
}

/// A stage under way.
struct Stage {
  std::size_t number = 0;
  std::string name;  ///< of its files; never used again, so a late record is nobody's
  Digest trial;
  std::shared_ptr<Progress> progress;
  double begun = 0;
  double out_of_time = kNever;
  double stop_by = kNever;  ///< once it was asked to stop
  std::size_t taken = 0;    ///< records
  std::string damage;       ///< what is wrong with the record that is next, if anything
  bool told = false;        ///< the worker has left a record since the last look
  bool over = false;        ///< the worker says so
  std::optional<Outcome> killed_as;
};

struct Worker {
  std::unique_ptr<WorkerProcess> process;  ///< none: never started, or ended
  std::optional<Stage> stage;
  bool spent = false;  ///< not to be given another stage
};

void hear(std::string_view line, Stage& stage) {
  if (line == "record") stage.told = true;
  if (line == "over") stage.over = true;
  constexpr std::string_view kStep = "step ";
  if (!line.starts_with(kStep)) return;
  const char* const end = line.data() + line.size();
  std::int64_t step = 0;
  const auto after_step = std::from_chars(line.data() + kStep.size(), end, step);
  if (after_step.ec != std::errc() || after_step.ptr == end) return;
  float loss = 0;
  if (std::from_chars(after_step.ptr + 1, end, loss).ec != std::errc()) return;
  stage.progress->step.store(step);
  stage.progress->loss.store(loss);
}

bool tells_of_memory(std::string_view log) {
  for (const std::string_view words :
       {"std::bad_alloc", "can't allocate memory", "not enough memory", "Cannot allocate memory"}) {
    if (log.find(words) != std::string_view::npos) return true;
  }
  return false;
}

std::string how_it_ended(std::optional<int> status) {
  if (!status) return "its process ended without a result";
  if (!WIFSIGNALED(*status))
    return fmt::format("its process ended with status {} without a result", WEXITSTATUS(*status));
  const int signal = WTERMSIG(*status);
  if (signal == SIGKILL)
    return "its process was killed (signal 9), perhaps by the system for want of memory";
  return fmt::format("its process was ended by signal {} ({})", signal, ::strsignal(signal));
}

class Isolated final : public Executor {
 public:
  explicit Isolated(IsolationOptions options)
      : options_(std::move(options)),
        folder_(named(fs::absolute(options_.folder).lexically_normal())),
        workers_(options_.workers) {
    assert(!options_.command.empty() && options_.workers > 0);
    if (folder_.native().find('\n') != std::string::npos)
      throw Error(ExitCode::Usage, "the name of a folder for workers has a line break");
    make_folder();
    options_.command.push_back((folder_ / "records").string());
  }

  ~Isolated() override {
    for (const auto& worker : workers_) {
      if (!worker.process) continue;
      if (worker.stage)
        worker.process->kill();
      else
        worker.process->close_input();
    }
    // Whoever has nothing to do ends by itself, as a program should: buffers, profiles.
    const double until = now() + 5;
    for (auto& worker : workers_) {
      if (!worker.process) continue;
      while (!worker.process->closed() && now() < until) {
        pollfd channel{.fd = worker.process->channel(), .events = POLLIN, .revents = 0};
        ::poll(&channel, 1, milliseconds_until(until));
        worker.process->receive();
      }
      worker.process.reset();
    }
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  Isolated(const Isolated&) = delete;
  Isolated& operator=(const Isolated&) = delete;

  std::size_t room() const override { return workers_.size() - uncollected_; }

  void start(Job job) override {
    assert(room() > 0);
    Stage stage;
    stage.number = job.number;
    stage.name = fmt::format("{}-{}", job.number, attempts_++);
    stage.trial = job.assignment.trial.id;
    stage.progress = std::make_shared<Progress>();
    stage.progress->step.store(job.assignment.begin);
    write(file_of(stage), to_json(job.assignment));

    Worker& worker = free_worker();
    if (worker.process && (worker.spent || worker.process->closed() || worker.process->ended()))
      worker.process.reset();
    stage.begun = now();
    if (options_.timeout > 0) stage.out_of_time = stage.begun + options_.timeout;
    const std::string line = file_of(stage).string();
    if (worker.process) worker.process->clear_log();
    // It may have died just now. A new one that does so is the stage's failure.
    if (!worker.process || !worker.process->send(line)) {
      spawn(worker);
      worker.process->send(line);
    }
    worker.stage = std::move(stage);
    ++uncollected_;
  }

  bool wait(int milliseconds, Event& event) override {
    const double until = now() + milliseconds / 1e3;
    do {
      if (events_.empty()) listen(kill_late(until));
    } while (events_.empty() && now() < until);
    if (events_.empty()) return false;
    event = std::move(events_.front());
    events_.pop_front();
    if (event.over) --uncollected_;
    return true;
  }

  std::vector<Running> running() const override {
    std::vector<Running> all;
    for (const auto& worker : workers_) {
      if (worker.stage) all.push_back({worker.stage->number, worker.stage->progress});
    }
    return all;
  }

  void stop() override {
    for (auto& worker : workers_) {
      if (!worker.stage || worker.stage->progress->stop.exchange(true)) continue;
      worker.stage->stop_by = now() + options_.grace;
      worker.process->terminate();
      worker.spent = true;  // it works on nothing more, and may not have ended when it is needed
    }
  }

 private:
  /// Without a slash at its end, which would make it its own parent.
  static fs::path named(const fs::path& folder) {
    return folder.has_filename() ? folder : folder.parent_path();
  }

  void make_folder() const {
    std::error_code error;
    fs::create_directories(folder_.parent_path(), error);
    // What is there already is somebody else's, and would be removed in the end.
    const bool made = !error && fs::create_directory(folder_, error);
    if (!error && !made) error = std::make_error_code(std::errc::file_exists);
    for (const char* part : {"stages", "records", "logs"}) {
      if (!error) fs::create_directory(folder_ / part, error);
    }
    if (error)
      throw Error(ExitCode::Disk,
                  fmt::format("cannot make {}: {}", folder_.string(), error.message()));
  }

  fs::path file_of(const Stage& stage) const { return folder_ / "stages" / (stage.name + ".json"); }

  /// Not atomically: nobody is told of the file until it is written.
  static void write(const fs::path& path, const std::string& text) {
    std::ofstream file(path, std::ios::binary);
    file << text;
    file.close();
    if (!file)
      throw Error(ExitCode::Disk,
                  fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
  }

  /// One that runs, if any: starting one takes as long as LibTorch takes to load.
  Worker& free_worker() {
    const auto idle = [](const Worker& w) { return !w.stage; };
    const auto ready = [&](const Worker& w) { return idle(w) && w.process && !w.spent; };
    auto found = std::find_if(workers_.begin(), workers_.end(), ready);
    if (found == workers_.end()) found = std::find_if(workers_.begin(), workers_.end(), idle);
    return *found;
  }

  void spawn(Worker& worker) {
    worker.process.reset();
    worker.spent = false;
    const auto number = &worker - workers_.data();
    worker.process = std::make_unique<WorkerProcess>(WorkerProcessOptions{
        .command = options_.command,
        .log = folder_ / "logs" / fmt::format("{}.log", number),
        .memory = options_.memory,
    });
  }

  /// Kills the stages whose time is over. Returns when to look again, `until` at the latest.
  double kill_late(double until) {
    const double time = now();
    for (auto& worker : workers_) {
      if (!worker.stage || worker.stage->killed_as) continue;
      Stage& stage = *worker.stage;
      const double limit = std::min(stage.out_of_time, stage.stop_by);
      if (time < limit) {
        until = std::min(until, limit);
        continue;
      }
      stage.killed_as =
          stage.stop_by < stage.out_of_time ? Outcome::Interrupted : Outcome::TimedOut;
      worker.process->kill();
    }
    return until;
  }

  /// Waits until a worker has something to say, and sees to what it says.
  void listen(double until) {
    std::vector<pollfd> channels;
    for (const auto& worker : workers_) {
      if (worker.stage)
        channels.push_back({.fd = worker.process->channel(), .events = POLLIN, .revents = 0});
    }
    ::poll(channels.data(), channels.size(), milliseconds_until(until));
    for (auto& worker : workers_) {
      if (worker.stage) attend(worker);
    }
  }

  void attend(Worker& worker) {
    Stage& stage = *worker.stage;
    // Asked before the channel is read: then nothing can have been written after.
    const bool ended = worker.process->ended();
    std::vector<std::string> lines;
    do {
      lines = worker.process->receive();
      for (const auto& line : lines) hear(line, stage);
    } while (ended && !lines.empty());

    if (stage.over) return conclude(worker);
    if (ended || worker.process->closed()) return bury(worker);
    if (std::exchange(stage.told, false)) take_partial(stage);
  }

  /// The worker says that it is done.
  void conclude(Worker& worker) {
    if (take_all(worker)) return;
    worker.spent = true;
    end(worker, failure(*worker.stage, Outcome::Crashed, "its process left no result", {}));
  }

  /// The worker has ended, or closed its output, which comes to the same: it cannot be heard.
  void bury(Worker& worker) {
    const auto status = worker.process->finish();
    const std::string log = worker.process->end_of_log();
    worker.process.reset();
    // What came by rename counts, whatever happened after.
    if (take_all(worker)) return;
    end(worker, post_mortem(*worker.stage, status, log));
  }

  Record post_mortem(const Stage& stage, std::optional<int> status, const std::string& log) const {
    if (stage.killed_as == Outcome::TimedOut)
      return failure(stage, Outcome::TimedOut,
                     fmt::format("took longer than {} s", options_.timeout), log);
    if (stage.killed_as)
      return failure(stage, Outcome::Interrupted,
                     fmt::format("did not stop within {} s", options_.grace), {});
    const bool asked = stage.progress->stop.load();
    const bool gently = status && ((WIFSIGNALED(*status) && WTERMSIG(*status) == SIGTERM) ||
                                   (WIFEXITED(*status) && WEXITSTATUS(*status) == 0));
    if (asked && gently) return failure(stage, Outcome::Interrupted, "stopped", {});
    if (options_.memory > 0 && tells_of_memory(log))
      return failure(stage, Outcome::OutOfMemory,
                     fmt::format("its process was allowed {} bytes", options_.memory), log);
    return failure(stage, Outcome::Crashed, how_it_ended(status), log);
  }

  static Record failure(const Stage& stage, Outcome outcome, std::string message,
                        std::string_view log) {
    if (!stage.damage.empty()) message += "; a record of it is damaged: " + stage.damage;
    const std::string quoted = quoted_end(log);
    if (!quoted.empty()) message += ": " + quoted;
    Record record;
    record.trial = stage.trial;
    record.outcome = outcome;
    record.step = stage.progress->step.load();
    record.message = std::move(message);
    record.seconds = now() - stage.begun;
    return record;
  }

  /// The record that is next, if it is there with that ending.
  std::optional<Record> take(Stage& stage, std::string_view ending) const {
    constexpr std::size_t kMost = std::size_t{1} << 30;
    const auto path = folder_ / "records" / fmt::format("{}.{}{}", stage.name, stage.taken, ending);
    std::error_code ignored;
    if (!fs::exists(path, ignored)) return std::nullopt;
    try {
      // A pipe would never end.
      if (!fs::is_regular_file(path, ignored)) throw Error(ExitCode::Usage, "not a file");
      auto record = record_from_json(read_file(path, kMost));
      if (record.trial != stage.trial) throw Error(ExitCode::Usage, "of another trial");
      fs::remove(path, ignored);
      ++stage.taken;
      stage.damage.clear();
      return record;
    } catch (const Error& error) {
      // Not ours to end the run with: the worker may yet put the right one there.
      stage.damage = error.what();
      return std::nullopt;
    }
  }

  void take_partial(Stage& stage) {
    while (auto record = take(stage, ".json")) events_.push_back({stage.number, *record, false});
  }

  /// False when the last record is not there. Otherwise the stage is over.
  bool take_all(Worker& worker) {
    take_partial(*worker.stage);
    auto record = take(*worker.stage, ".last.json");
    if (!record) return false;
    // What it holds on to would be missing to the next stage.
    if (record->outcome == Outcome::OutOfMemory) worker.spent = true;
    end(worker, std::move(*record));
    return true;
  }

  void end(Worker& worker, Record record) {
    std::error_code ignored;
    fs::remove(file_of(*worker.stage), ignored);
    events_.push_back({worker.stage->number, std::move(record), true});
    worker.stage.reset();
  }

  IsolationOptions options_;
  const fs::path folder_;
  std::vector<Worker> workers_;
  std::deque<Event> events_;
  std::size_t attempts_ = 0;
  std::size_t uncollected_ = 0;  ///< stages whose end has not been collected
};

}  // namespace

std::unique_ptr<Executor> isolated(IsolationOptions options) {
  return std::make_unique<Isolated>(std::move(options));
}

}  // namespace perturb
