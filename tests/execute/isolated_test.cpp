#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "perturb/core/error.h"
#include "perturb/execute/executor.h"

// A sanitizer maps terabytes of address space, which no limit on memory survives.
#if defined(__SANITIZE_ADDRESS__)
#define PERTURB_NO_MEMORY_LIMIT
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PERTURB_NO_MEMORY_LIMIT
#endif
#endif

namespace {

using namespace perturb;
namespace fs = std::filesystem;

std::string fake_worker() {
  const char* const path = std::getenv("PERTURB_FAKE_WORKER");
  REQUIRE_MESSAGE(path != nullptr,
                  "run by `./dev test`, which names build/tests/execute/fake_worker");
  return path;
}

fs::path fresh_folder() {
  static int count = 0;
  return fs::temp_directory_path() / fmt::format("perturb-isolated-{}-{}", ::getpid(), count++);
}

/// Holds every test to what holds at the end: no process and no file is left.
class Isolation {
 public:
  explicit Isolation(IsolationOptions options = {}, const std::string& mode = {})
      : folder_(fresh_folder()) {
    options.command = {fake_worker()};
    if (!mode.empty()) options.command.push_back(mode);
    options.folder = folder_;
    executor_ = isolated(std::move(options));
  }
  ~Isolation() {
    executor_.reset();
    siginfo_t info{};
    CHECK(::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1);
    CHECK(errno == ECHILD);
    CHECK_FALSE(fs::exists(folder_));
  }
  Isolation(const Isolation&) = delete;
  Isolation& operator=(const Isolation&) = delete;

  Executor* operator->() const { return executor_.get(); }
  fs::path records() const { return folder_ / "records"; }
  const fs::path& folder() const { return folder_; }

  Event next() const {
    Event event;
    while (!executor_->wait(1000, event)) {
    }
    return event;
  }
  /// The last record of the stage that is under way alone.
  Record last() const {
    Event event;
    do event = next();
    while (!event.over);
    return event.record;
  }

 private:
  fs::path folder_;
  std::unique_ptr<Executor> executor_;
};

/// A stage that behaves as told (fake_worker.cpp), `steps` long.
Job job(std::size_t number, const std::string& how, Step steps = 0) {
  Job out;
  out.number = number;
  out.assignment.trial.timeline.stretches.emplace_back();
  out.assignment.trial.id = sha256(fmt::format("trial {}", number));
  out.assignment.end = steps;
  out.assignment.metrics.push_back({.kind = "none", .label = how});
  return out;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("the records of a stage come in order, each once") {
  const Isolation executor;
  executor->start(job(5, "report", 20));
  for (Step i = 0; i <= 20; ++i) {
    const Event event = executor.next();
    CHECK(event.number == 5);
    CHECK(event.record.step == i);
    CHECK(event.record.trial == sha256("trial 5"));
    CHECK(event.over == (i == 20));
  }
  CHECK(executor->running().empty());
  Event none;
  CHECK_FALSE(executor->wait(0, none));
  CHECK(files_in(executor.records()) == 0);
  CHECK(files_in(executor.folder() / "stages") == 0);
}

TEST_CASE("a worker process carries out one stage after another") {
  const Isolation executor;
  std::set<std::int64_t> processes;
  for (std::size_t i = 0; i < 10; ++i) {
    executor->start(job(i, "report", 1));
    processes.insert(executor.last().trained);
  }
  CHECK(processes.size() == 1);
}

TEST_CASE("workers work side by side, and are free once an end is collected") {
  const Isolation executor({.workers = 3});
  CHECK(executor->room() == 3);
  std::set<std::int64_t> processes;
  for (std::size_t i = 0; i < 3; ++i) executor->start(job(i, "obey"));
  CHECK(executor->room() == 0);
  CHECK(executor->running().size() == 3);
  // Each reports and then waits to be stopped: with fewer processes at once this would hang.
  for (std::size_t i = 0; i < 3; ++i) processes.insert(executor.next().record.trained);
  CHECK(processes.size() == 3);
  executor->stop();
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(executor->room() == i);
    CHECK(executor.next().record.outcome == Outcome::Interrupted);
  }
  CHECK(executor->room() == 3);
}

TEST_CASE("whatever ends a process is named, with its last words, and takes no other stage along") {
  const std::vector<std::pair<std::string, std::string>> ends = {
      {"report", ""},
      {"segfault", "its process was ended by signal 11 (Segmentation fault)"},
      {"abort", "its process was ended by signal 6 (Aborted)"},
      {"killed", "its process was killed (signal 9), perhaps by the system for want of memory"},
      {"exit 0", "its process ended with status 0 without a result"},
      {"exit 3", "its process ended with status 3 without a result"},
  };
  constexpr std::uint32_t kSeed = 4;
  INFO("seed " << kSeed);
  std::mt19937 random(kSeed);
  std::map<std::size_t, std::size_t> how;
  std::map<std::size_t, std::vector<Record>> came;
  std::size_t over = 0;
  const Isolation executor({.workers = 3});
  constexpr std::size_t kStages = 40;
  while (over < kStages) {
    while (how.size() < kStages && executor->room() > 0) {
      const std::size_t number = how.size();
      how[number] = number < ends.size() ? number : random() % ends.size();
      executor->start(job(number, ends[how[number]].first, static_cast<Step>(number % 4)));
    }
    const Event event = executor.next();
    came[event.number].push_back(event.record);
    if (event.over) ++over;
  }
  for (const auto& [number, records] : came) {
    const auto& [name, message] = ends[how[number]];
    CAPTURE(name);
    // What was reported before stands.
    REQUIRE(records.size() == number % 4 + 1);
    for (std::size_t i = 0; i + 1 < records.size(); ++i)
      CHECK(records[i].step == static_cast<std::int64_t>(i));
    const Record& last = records.back();
    CHECK(last.trial == sha256(fmt::format("trial {}", number)));
    if (name == "report") {
      CHECK(last.outcome == Outcome::Done);
      CHECK(last.step == static_cast<std::int64_t>(number % 4));
    } else {
      CHECK(last.outcome == Outcome::Crashed);
      CHECK(last.message == message + ": the last but one / the ?[31mlast?[0m words");
    }
  }
}

#ifndef PERTURB_NO_MEMORY_LIMIT
TEST_CASE("a stage that asks for more memory than is allowed is told apart") {
  const Isolation executor({.memory = std::size_t{512} << 20});
  executor->start(job(0, "grow"));
  const Record record = executor.last();
  CHECK(record.outcome == Outcome::OutOfMemory);
  CHECK(has(record.message, "its process was allowed 536870912 bytes"));
  CHECK(has(record.message, "std::bad_alloc"));
  executor->start(job(1, "report"));
  CHECK(executor.last().outcome == Outcome::Done);
}
#endif

TEST_CASE("a stage that takes too long is ended, and what it reported stands") {
  const Isolation executor({.timeout = 0.5});
  executor->start(job(0, "hang"));
  const Event first = executor.next();
  if (!first.over) {  // a slow machine may need the time to start the worker
    CHECK(first.record.outcome == Outcome::Done);
    const Event second = executor.next();
    CHECK(second.over);
    CHECK(second.record.outcome == Outcome::TimedOut);
    CHECK(second.record.message == "took longer than 0.5 s");
  }
}

TEST_CASE("a worker that never reads its stage is ended, too") {
  const Isolation executor({.timeout = 0.05}, "deaf");
  for (std::size_t i = 0; i < 2; ++i) {
    executor->start(job(i, "report"));
    CHECK(executor.last().outcome == Outcome::TimedOut);
  }
}

TEST_CASE("a stop ends a stage at its next step; another may be started after it") {
  const Isolation executor;
  executor->start(job(0, "obey"));
  CHECK_FALSE(executor.next().over);
  executor->stop();
  executor->stop();  // asking twice is asking once
  CHECK(executor.last().outcome == Outcome::Interrupted);
  executor->start(job(1, "report"));
  CHECK(executor.last().outcome == Outcome::Done);
}

TEST_CASE("a stop that comes before the worker is up is not lost") {
  const Isolation executor({.workers = 4});
  for (std::size_t i = 0; i < 4; ++i) executor->start(job(i, "obey"));
  executor->stop();
  std::size_t over = 0;
  while (over < 4) {
    const Event event = executor.next();
    if (!event.over) continue;
    CHECK(event.record.outcome == Outcome::Interrupted);
    ++over;
  }
}

TEST_CASE("a stage that does not stop is ended after the grace") {
  const Isolation executor({.grace = 0.05});
  executor->start(job(0, "hang"));
  CHECK_FALSE(executor.next().over);
  executor->stop();
  const Record record = executor.last();
  CHECK(record.outcome == Outcome::Interrupted);
  CHECK(record.message == "did not stop within 0.05 s");
}

TEST_CASE("progress is seen, and says how far a stage was whose process was killed") {
  const Isolation executor;
  executor->start(job(3, "hang"));
  const auto process = static_cast<pid_t>(executor.next().record.trained);
  const auto running = executor->running();
  REQUIRE(running.size() == 1);
  CHECK(running[0].number == 3);
  Event event;
  while (running[0].progress->step.load() != 17) CHECK_FALSE(executor->wait(10, event));
  CHECK(running[0].progress->loss.load() == 0.5F);
  ::kill(process, SIGKILL);
  event = executor.next();
  CHECK(event.over);
  CHECK(event.record.outcome == Outcome::Crashed);
  CHECK(event.record.step == 17);
  executor->start(job(4, "report"));
  CHECK(executor.last().outcome == Outcome::Done);
}

TEST_CASE("a worker that dies between two stages is replaced") {
  const Isolation executor;
  executor->start(job(0, "report"));
  const auto process = static_cast<pid_t>(executor.last().trained);
  ::kill(process, SIGKILL);
  siginfo_t info{};  // until it is dead; it stays the executor's to wait for
  REQUIRE(::waitid(P_PID, static_cast<id_t>(process), &info, WEXITED | WNOWAIT) == 0);
  executor->start(job(1, "report"));
  const Record record = executor.last();
  CHECK(record.outcome == Outcome::Done);
  CHECK(record.trained != process);
}

TEST_CASE("a record that came by rename counts, although the worker could not say so") {
  const Isolation executor({}, "mute");
  for (std::size_t i = 0; i < 3; ++i) {
    executor->start(job(i, "report", 2));
    for (Step step = 0; step < 2; ++step) CHECK(executor.next().record.step == step);
    const Event last = executor.next();
    CHECK(last.over);
    CHECK(last.record.outcome == Outcome::Done);
  }
}

TEST_CASE("a late record of an earlier attempt is nobody's") {
  const Isolation executor({.timeout = 0.05}, "deaf");
  executor->start(job(0, "report"));
  CHECK(executor.last().outcome == Outcome::TimedOut);
  Record late;
  late.trial = sha256("trial 0");
  late.outcome = Outcome::Done;
  std::ofstream(executor.records() / "0-0.0.last.json") << to_json(late);
  executor->start(job(0, "report"));
  CHECK(executor.last().outcome == Outcome::TimedOut);
}

TEST_CASE(
    "a file that is no record, or another's, is passed over as long as there is a right one") {
  const Isolation executor;
  std::ofstream(executor.records() / "0-0.0.json") << "{\"trial\": \"torn";
  std::ofstream(executor.records() / "0-0.0.last.json") << "not yet";
  std::ofstream(executor.records() / "0-1.0.last.json") << to_json(Record{});
  std::ofstream(executor.records() / "a line\nbreak") << "";
  executor->start(job(0, "report", 0));
  CHECK(executor.last().outcome == Outcome::Done);
}

TEST_CASE("where there is no right one, what is wrong with the record is said") {
  const Isolation executor;
  std::ofstream(executor.records() / "0-0.0.json") << "{\"trial\": \"torn";
  std::ofstream(executor.records() / "1-1.0.last.json") << to_json(Record{});
  REQUIRE(::mkfifo((executor.records() / "2-2.0.json").c_str(), 0600) == 0);
  fs::create_directory(executor.records() / "3-3.0.last.json");
  const std::vector<std::string> wrong = {"not a record", "of another trial", "not a file",
                                          "not a file"};
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    // The last one has a result, but the worker cannot leave it, says so, and ends.
    executor->start(job(i, i == 3 ? "report" : "exit 0"));
    const Record record = executor.last();
    CHECK(record.outcome == Outcome::Crashed);
    CHECK_MESSAGE(has(record.message, "a record of it is damaged: " + wrong[i]), record.message);
    if (i == 3) CHECK_MESSAGE(has(record.message, "status 5"), record.message);
  }
}

TEST_CASE("a worker that says it is done without a result is not believed") {
  const Isolation executor({}, "liar");
  for (std::size_t i = 0; i < 2; ++i) {
    executor->start(job(i, "report"));
    const Record record = executor.last();
    CHECK(record.outcome == Outcome::Crashed);
    CHECK(record.message == "its process left no result");
    CHECK(record.step == 5);
  }
}

TEST_CASE("nonsense from a worker is passed over") {
  const Isolation executor({}, "babbler");
  executor->start(job(0, "report", 1));
  CHECK(executor.next().record.step == 0);
  CHECK(executor.next().over);
}

TEST_CASE("what a library prints is not taken for the worker's word") {
  const Isolation executor;
  executor->start(job(0, "chatter", 1));
  const auto running = executor->running();
  CHECK_FALSE(executor.next().over);
  CHECK(executor.last().outcome == Outcome::Done);
  CHECK(running[0].progress->step.load() != 99);
  // It is in the log, which tells of one stage only.
  executor->start(job(1, "abort"));
  CHECK_FALSE(has(executor.last().message, "library"));
}

TEST_CASE("a worker that ends at once is its stage's failure, each time anew") {
  const Isolation executor({}, "absent");
  for (std::size_t i = 0; i < 5; ++i) {
    executor->start(job(i, "report"));
    const Record record = executor.last();
    CHECK(record.outcome == Outcome::Crashed);
    CHECK(record.message == "its process ended with status 0 without a result");
  }
}

TEST_CASE("a worker inherits nothing but what it is given") {
  // Not closed by exec, and higher than any that the worker opens itself.
  const int descriptor = ::fcntl(STDERR_FILENO, F_DUPFD, 100);
  sigset_t some;
  sigset_t before;
  ::sigemptyset(&some);
  ::sigaddset(&some, SIGUSR1);
  ::sigprocmask(SIG_BLOCK, &some, &before);
  const auto handler = ::signal(SIGUSR2, SIG_IGN);
  {
    const Isolation executor;
    executor->start(job(0, "inherit", descriptor));
    CHECK(executor.last().message == "");
  }
  ::signal(SIGUSR2, handler);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  ::close(descriptor);
}

TEST_CASE("workers under way and idle ones end with their executor") {
  const Isolation executor({.workers = 3});
  executor->start(job(0, "report"));
  executor->start(job(1, "hang"));
  executor->start(job(2, "obey"));
  for (int events = 0; events < 3; ++events) executor.next();
}

TEST_CASE("workers end with the process that owns them, however that ends") {
  // Adopted by us then, so that their end can be waited for.
  REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const fs::path folder = fresh_folder();
  const std::string program = fake_worker();
  const pid_t owner = ::fork();
  REQUIRE(owner >= 0);
  if (owner == 0) {
    const auto executor = isolated({.command = {program}, .folder = folder});
    executor->start(job(0, "hang"));
    Event event;
    while (!executor->wait(1000, event)) {
    }
    const auto worker = static_cast<pid_t>(event.record.trained);
    const bool written = ::write(ends[1], &worker, sizeof worker) == sizeof worker;
    ::_exit(written ? 0 : 1);
  }
  pid_t worker = 0;
  REQUIRE(::read(ends[0], &worker, sizeof worker) == sizeof worker);
  int status = 0;
  REQUIRE(::waitpid(owner, &status, 0) == owner);
  CHECK(status == 0);
  REQUIRE(::waitpid(worker, &status, 0) == worker);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGKILL);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  for (const int end : ends) ::close(end);
  fs::remove_all(folder);
}

TEST_CASE("what cannot be had is said when it is asked for") {
  const fs::path folder = fresh_folder();
  fs::create_directory(folder);
  CHECK_THROWS_AS(isolated({.command = {fake_worker()}, .folder = folder}), Error);
  // Somebody else's, so still there.
  CHECK(fs::exists(folder));
  {
    const auto executor =
        isolated({.command = {"/no/such/program"}, .folder = folder / "new" / ""});
    CHECK_THROWS_WITH_AS(executor->start(job(0, "report")),
                         "cannot start a worker, /no/such/program: No such file or directory",
                         Error);
    CHECK(executor->room() == 1);
    CHECK(executor->running().empty());
  }
  CHECK(files_in(folder) == 0);
  fs::remove_all(folder);
}
