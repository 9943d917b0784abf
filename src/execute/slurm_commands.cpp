#include "execute/slurm_commands.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <set>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

extern char** environ;

namespace perturb {
namespace {

using Clock = std::chrono::steady_clock;

/// Nothing that is asked here has more to say in earnest.
constexpr std::size_t kMostBytes = std::size_t{256} << 20;

class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) ends_ = {-1, -1};
  }
  ~Pipe() {
    close_write();
    if (ends_[0] >= 0) ::close(ends_[0]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  int read_end() const { return ends_[0]; }
  int write_end() const { return ends_[1]; }
  void close_write() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

/// Reads both until they end. False when that took too long or was too much.
bool read_both(const Pipe& out, const Pipe& err, int seconds, Answer& answer) {
  const auto until = Clock::now() + std::chrono::seconds(seconds);
  std::array<pollfd, 2> pipes{pollfd{out.read_end(), POLLIN, 0}, pollfd{err.read_end(), POLLIN, 0}};
  const std::array<std::string*, 2> texts{&answer.out, &answer.err};
  while (pipes[0].fd >= 0 || pipes[1].fd >= 0) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    if (left <= 0) return false;
    if (::poll(pipes.data(), pipes.size(), static_cast<int>(std::min<long>(left, 1000))) < 0 &&
        errno != EINTR)
      return false;
    for (std::size_t i = 0; i < pipes.size(); ++i) {
      if (pipes[i].fd < 0 || pipes[i].revents == 0) continue;
      std::array<char, 65536> piece{};
      const ssize_t got = ::read(pipes[i].fd, piece.data(), piece.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) {
        pipes[i].fd = -1;
      } else {
        texts[i]->append(piece.data(), static_cast<std::size_t>(got));
      }
      if (texts[i]->size() > kMostBytes) return false;
    }
  }
  return true;
}

std::string one_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return parts;
}

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") + 1 - begin);
}

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// "3", "0:9" (of scontrol), or the wait status 2304 that squeue makes of status 9.
void read_exit(std::string_view text, QueuedTask& task) {
  const auto colon = text.find(':');
  if (colon != std::string_view::npos) {
    task.status = number_of<int>(text.substr(0, colon)).value_or(0);
    task.signal = number_of<int>(text.substr(colon + 1)).value_or(0);
    return;
  }
  const int status = number_of<int>(text).value_or(0);
  task.signal = status & 0x7f;
  task.status = (status >> 8) & 0xff;
}

std::string_view value_of(std::string_view line, std::string_view key) {
  for (const std::string_view word : split(line, ' ')) {
    if (word.size() > key.size() && word.starts_with(key) && word[key.size()] == '=')
      return word.substr(key.size() + 1);
  }
  return {};
}

}  // namespace

Answer ask(const std::vector<std::string>& command, int seconds) {
  Answer answer;
  Pipe out;
  Pipe err;
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.write_end(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, err.write_end(), STDERR_FILENO);
  // Ctrl-C is for us: a half-finished sbatch would leave a job that nobody has heard of.
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  pid_t process = -1;
  const int error =
      ::posix_spawnp(&process, arguments[0], &actions, &attributes, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    answer.found = error != ENOENT;
    answer.err = fmt::format("cannot run {}: {}", command.front(), std::strerror(error));
    return answer;
  }
  out.close_write();
  err.close_write();
  const bool in_time = read_both(out, err, seconds, answer);
  if (!in_time) ::kill(-process, SIGKILL);
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  answer.ok = in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  answer.err = in_time ? one_line(answer.err)
                       : fmt::format("{} did not answer within {} s", command.front(), seconds);
  return answer;
}

SlurmLimits limits_from(std::string_view config) {
  SlurmLimits limits;
  for (const std::string_view line : split(config, '\n')) {
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const auto key = trimmed(line.substr(0, equals));
    const auto number = number_of<std::size_t>(trimmed(line.substr(equals + 1)));
    if (!number || *number == 0) continue;
    if (key == "MaxArraySize") limits.array = *number;
    if (key == "MaxJobCount") limits.jobs = *number;
  }
  return limits;
}

bool QueuedTask::waits() const {
  static const std::set<std::string_view> kStates = {
      "PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT"};
  return kStates.contains(state);
}

bool QueuedTask::runs() const {
  // One that ends is over when its last process is: until then records may come.
  static const std::set<std::string_view> kStates = {"RUNNING",   "CONFIGURING", "COMPLETING",
                                                     "SUSPENDED", "STOPPED",     "SIGNALING",
                                                     "RESIZING",  "STAGE_OUT"};
  return kStates.contains(state);
}

std::optional<Queue> parse_squeue(std::string_view text) {
  Queue queue;
  for (const std::string_view line : split(text, '\n')) {
    if (trimmed(line).empty()) continue;
    const auto fields = split(line, '|');
    if (fields.size() < 6) return std::nullopt;
    const auto index = number_of<std::size_t>(trimmed(fields[1]));
    if (!index) continue;  // no task of an array, so none of ours
    QueuedTask task;
    task.state = trimmed(fields[2]);
    task.reason = trimmed(fields[3]) == "None" ? "" : std::string(trimmed(fields[3]));
    read_exit(trimmed(fields[4]), task);
    task.nodes = trimmed(fields[5]);
    queue[{std::string(trimmed(fields[0])), *index}] = std::move(task);
  }
  return queue;
}

Queue parse_details(std::string_view text) {
  Queue queue;
  for (const std::string_view line : split(text, '\n')) {
    const std::string job(value_of(line, "ArrayJobId"));
    const auto index = number_of<std::size_t>(value_of(line, "ArrayTaskId"));
    if (job.empty() || !index) continue;  // several that still wait stand in one line
    QueuedTask task;
    task.state = value_of(line, "JobState");
    if (value_of(line, "Reason") != "None") task.reason = value_of(line, "Reason");
    read_exit(value_of(line, "ExitCode"), task);
    task.nodes = value_of(line, "NodeList");
    if (task.nodes == "(null)") task.nodes.clear();
    queue[{job, *index}] = std::move(task);
  }
  return queue;
}

std::optional<Queue> queue_of(const std::vector<std::string>& names, std::string* trouble) {
  Queue queue;
  // A command line has a limit.
  constexpr std::size_t kAtOnce = 200;
  for (std::size_t begin = 0; begin < names.size(); begin += kAtOnce) {
    std::string list;
    for (std::size_t i = begin; i < std::min(begin + kAtOnce, names.size()); ++i)
      list += (list.empty() ? "" : ",") + names[i];
    const Answer answer =
        ask({"squeue", "--noheader", "--array", "--states=all", "--name=" + list,
             "--Format=ArrayJobID:|,ArrayTaskID:|,State:|,Reason:|,exit_code:|,NodeList:|"});
    auto some = answer.ok ? parse_squeue(answer.out) : std::nullopt;
    if (!some) {
      if (trouble) *trouble = answer.ok ? "squeue says what is not understood" : answer.err;
      return std::nullopt;
    }
    queue.merge(*some);
  }
  return queue;
}

std::optional<Queue> details_of(const std::string& job) {
  const Answer answer = ask({"scontrol", "--oneliner", "show", "job", job});
  if (!answer.ok) return std::nullopt;
  return parse_details(answer.out);
}

bool forgotten(const std::string& job) {
  const Answer answer = ask({"scontrol", "--oneliner", "show", "job", job});
  return answer.found && !answer.ok && answer.err.find("Invalid job id") != std::string::npos;
}

}  // namespace perturb
