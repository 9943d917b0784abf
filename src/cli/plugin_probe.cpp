#include "cli/plugin_probe.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/engine_loader.h"

extern char** environ;

namespace perturb {

namespace {

constexpr int kProgress = 3;        // descriptor in the process that tries
constexpr double kPatience = 60;    // seconds
constexpr std::size_t kKept = 400;  // bytes of what it said
constexpr const char* kAdvice =
    "run it under a debugger, or leave it out: a plugin has to come through being loaded";

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::array<int, 2> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    throw Error(ExitCode::Disk, fmt::format("cannot try plugins: {}", std::strerror(errno)));
  // Clear of the numbers that get another meaning, which are free if whoever started us closed
  // them.
  for (int& end : ends) {
    const int higher = ::fcntl(end, F_DUPFD_CLOEXEC, kProgress + 1);
    ::close(end);
    end = higher;
  }
  return ends;
}

/// The end of what was said, as one line.
std::string quoted(std::string said) {
  while (!said.empty() && (said.back() == '\n' || said.back() == ' ')) said.pop_back();
  if (said.size() > kKept) said.erase(0, said.size() - kKept);
  for (std::size_t at = 0; (at = said.find('\n', at)) != std::string::npos; at += 3)
    said.replace(at, 1, " / ");
  return said;
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status))
    return fmt::format("it crashed: signal {} ({})", WTERMSIG(status),
                       ::strsignal(WTERMSIG(status)));
  return fmt::format("it ended the process with exit status {}", WEXITSTATUS(status));
}

void tell() {
  const char byte = '.';
  [[maybe_unused]] const auto written = ::write(kProgress, &byte, 1);
}

[[noreturn]] void try_plugins(const std::vector<std::string>& files) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  constexpr rlimit kNoCore{0, 0};
  ::setrlimit(RLIMIT_CORE, &kNoCore);
  ::fcntl(kProgress, F_SETFD, FD_CLOEXEC);
  for (const std::string& path : files) {
    tell();
    try {
      const PluginFile file = examine_plugin(path);
      if (!file.libtorch.empty()) load_training_half();
      load_plugin(file);
    } catch (const Error&) {
      // Whoever asked will meet it, too, and live to tell.
    }
  }
  tell();
  // Not exit(): what plugins have registered for the end of a process is not what is tried.
  ::_exit(0);
}

}  // namespace

PluginProbe::PluginProbe(const std::vector<PluginFile>& files) : files_(files) {
  std::vector<std::string> words = {"perturb", "plugin-probe"};
  for (const PluginFile& file : files) words.push_back(file.path.string());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  const auto progress = make_pipe();
  const auto output = make_pipe();
  progress_ = progress[0];
  output_ = output[0];
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output[1], STDERR_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, progress[1], kProgress);
  const int error =
      ::posix_spawn(&process_, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(progress[1]);
  ::close(output[1]);
  if (error != 0) {
    process_ = -1;
    ::close(progress_);
    ::close(output_);
    throw Error(ExitCode::Disk, fmt::format("cannot try plugins: {}", std::strerror(error)));
  }
}

PluginProbe::~PluginProbe() {
  if (process_ > 0) {
    ::kill(process_, SIGKILL);
    reap();
  }
  if (progress_ >= 0) ::close(progress_);
  if (output_ >= 0) ::close(output_);
}

int PluginProbe::reap() {
  int status = 0;
  while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
  return status;
}

/// Takes what comes until all files had their turn or nothing more can come; false when time is up.
bool PluginProbe::read_until(double deadline) {
  std::array<pollfd, 2> ends = {{{progress_, POLLIN, 0}, {output_, POLLIN, 0}}};
  std::array<char, 4096> bytes{};
  while (begun_ <= files_.size() && ends[0].fd >= 0) {
    const double left = deadline - now();
    if (left <= 0) return false;
    if (::poll(ends.data(), ends.size(), static_cast<int>(left * 1e3) + 1) < 0) continue;
    for (pollfd& end : ends) {
      if (end.revents == 0) continue;
      const ssize_t size = ::read(end.fd, bytes.data(), bytes.size());
      if (size <= 0) {
        end.fd = -1;  // ignored by poll
      } else if (end.fd == progress_) {
        begun_ += static_cast<std::size_t>(size);
      } else {
        said_.append(bytes.data(), static_cast<std::size_t>(size));
        if (said_.size() > 4 * kKept) said_.erase(0, said_.size() - kKept);
      }
    }
  }
  return true;
}

std::optional<PluginProbe::Crash> PluginProbe::wait() {
  const bool in_time = read_until(now() + kPatience);
  if (begun_ > files_.size()) return std::nullopt;  // the destructor sees to the rest
  if (!in_time) ::kill(process_, SIGKILL);
  const int status = reap();
  // What it said last may have come after the other pipe had closed.
  if (in_time) {
    std::array<char, 4096> bytes{};
    ::fcntl(output_, F_SETFL, O_NONBLOCK);
    for (ssize_t size = 0; (size = ::read(output_, bytes.data(), bytes.size())) > 0;)
      said_.append(bytes.data(), static_cast<std::size_t>(size));
  }
  const std::size_t number = begun_ == 0 ? 0 : begun_ - 1;
  std::string what = fmt::format(
      "plugin {}: {} while it was being loaded", files_[number].path.string(),
      in_time ? how_it_ended(status) : fmt::format("it was not done after {:.0f} s", kPatience));
  if (const std::string said = quoted(std::move(said_)); !said.empty())
    what += "; it said: " + said;
  return Crash{number, Error(ExitCode::Usage, what, kAdvice)};
}

void add_plugin_probe(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("plugin-probe", "Load plugins for another process");
  command->group("");
  auto files = std::make_shared<std::vector<std::string>>();
  command->add_option("FILES", *files)->required();
  context.on(command, [files]() -> ExitCode { try_plugins(*files); });
}

}  // namespace perturb
