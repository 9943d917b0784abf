#include "execute/worker_process.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "perturb/core/error.h"

namespace perturb {
namespace {

/// An open file; closed on every way out.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }
  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }
  void close() {
    if (number_ >= 0) ::close(release());
  }

 private:
  int number_;
};

[[noreturn]] void fail(const std::string& program, int error) {
  throw Error(ExitCode::Disk,
              fmt::format("cannot start a worker, {}: {}", program, std::strerror(error)));
}

/// The child gives 0, 1 and 2 a new meaning, so nothing that it needs may be one of them; they are
/// free when whoever started us had closed them.
int above_standard(int descriptor) {
  if (descriptor < 0 || descriptor > STDERR_FILENO) return descriptor;
  const int higher = ::fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  ::close(descriptor);
  return higher;
}

/// All that the child needs between fork and exec, where it may not allocate: another thread may
/// have held the allocator's lock when it was forked.
struct Launch {
  std::vector<char*> arguments;
  int channel;
  int log;
  int failure;  ///< takes errno if it comes to that; closed by exec otherwise
  pid_t parent;
  rlimit data;
  int descriptors;  ///< more than are open
};

void close_on_exec_above_standard(int descriptors) {
  constexpr int kFirst = STDERR_FILENO + 1;
#ifdef CLOSE_RANGE_CLOEXEC
  if (::close_range(kFirst, UINT_MAX, CLOSE_RANGE_CLOEXEC) == 0) return;
#endif
  for (int i = kFirst; i < descriptors; ++i) ::fcntl(i, F_SETFD, FD_CLOEXEC);
}

/// In the child, with all signals blocked: only what is safe in a signal handler.
[[noreturn]] void become_worker(const Launch& launch) {
  const auto check = [&](bool good) {
    if (good) return;
    const int error = errno;
    // If even that cannot be told, the exit status has to do.
    [[maybe_unused]] const auto written = ::write(launch.failure, &error, sizeof error);
    ::_exit(127);
  };
  check(::setpgid(0, 0) == 0);
  check(::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
  // Who died before that sends no signal.
  if (::getppid() != launch.parent) ::_exit(127);
  constexpr rlimit kNoCore{0, 0};
  check(::setrlimit(RLIMIT_CORE, &kNoCore) == 0);
  check(::setrlimit(RLIMIT_DATA, &launch.data) == 0);
  check(::dup2(launch.channel, STDIN_FILENO) >= 0);
  check(::dup2(launch.channel, STDOUT_FILENO) >= 0);
  check(::dup2(launch.log, STDERR_FILENO) >= 0);
  close_on_exec_above_standard(launch.descriptors);
  // An ignored signal would stay ignored. Some numbers are not to be changed; let them.
  for (int i = 1; i < NSIG; ++i) ::signal(i, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  check(::sigprocmask(SIG_SETMASK, &none, nullptr) == 0);
  ::execv(launch.arguments.front(), launch.arguments.data());
  check(false);
  ::_exit(127);
}

/// Forks with all signals blocked, so that none of our handlers runs in the child.
pid_t launch_process(const Launch& launch) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t process = ::fork();
  if (process == 0) become_worker(launch);
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return process;
}

rlimit data_limit(std::size_t memory) {
  rlimit limit{};
  ::getrlimit(RLIMIT_DATA, &limit);
  if (memory > 0) limit.rlim_cur = limit.rlim_max = std::min<rlim_t>(limit.rlim_max, memory);
  return limit;
}

int most_descriptors() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 1 << 20));
}

ssize_t read_retrying(int descriptor, void* to, std::size_t size) {
  ssize_t got = -1;
  do got = ::read(descriptor, to, size);
  while (got < 0 && errno == EINTR);
  return got;
}

std::optional<int> wait_for(pid_t process) {
  int status = 0;
  pid_t got = -1;
  do got = ::waitpid(process, &status, 0);
  while (got < 0 && errno == EINTR);
  if (got < 0) return std::nullopt;
  return status;
}

}  // namespace

WorkerProcess::WorkerProcess(const WorkerProcessOptions& options) {
  const std::string& program = options.command.front();
  Descriptor log(above_standard(
      ::open(options.log.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666)));
  if (log.get() < 0) fail(program, errno);
  // Not two pipes: writing to a socket whose reader has died need not raise SIGPIPE.
  std::array<int, 2> ends{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) fail(program, errno);
  Descriptor ours(above_standard(ends[0]));
  Descriptor theirs(above_standard(ends[1]));
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail(program, errno);
  const Descriptor failure(above_standard(ends[0]));
  Descriptor failure_write(above_standard(ends[1]));

  Launch launch{.arguments = {},
                .channel = theirs.get(),
                .log = log.get(),
                .failure = failure_write.get(),
                .parent = ::getpid(),
                .data = data_limit(options.memory),
                .descriptors = most_descriptors()};
  for (const auto& word : options.command)
    launch.arguments.push_back(const_cast<char*>(word.c_str()));
  launch.arguments.push_back(nullptr);

  process_ = launch_process(launch);
  if (process_ < 0) fail(program, errno);
  theirs.close();
  failure_write.close();
  // Ends with exec, or with the child: from then on it is all that its options say.
  int error = 0;
  if (read_retrying(failure.get(), &error, sizeof error) == sizeof error) {
    wait_for(process_);
    fail(program, error);
  }
  channel_ = ours.release();
  log_ = log.release();
}

WorkerProcess::~WorkerProcess() {
  if (process_ > 0) finish();
  ::close(channel_);
  ::close(log_);
}

bool WorkerProcess::send(const std::string& line) const {
  std::string bytes = line + "\n";
  for (std::string_view rest = bytes; !rest.empty();) {
    const ssize_t sent = ::send(channel_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    rest.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void WorkerProcess::close_input() const { ::shutdown(channel_, SHUT_WR); }

std::vector<std::string> WorkerProcess::receive() {
  constexpr std::size_t kLongest = 4096;
  std::array<char, 16 * 1024> piece{};
  ssize_t got = -1;
  do got = ::recv(channel_, piece.data(), piece.size(), MSG_DONTWAIT);
  while (got < 0 && errno == EINTR);
  if (got == 0 || (got < 0 && errno != EAGAIN)) closed_ = true;
  if (got <= 0) return {};

  std::vector<std::string> lines;
  unfinished_.append(piece.data(), static_cast<std::size_t>(got));
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = unfinished_.find('\n', begin)) != std::string::npos;
       begin = end + 1)
    lines.push_back(unfinished_.substr(begin, end - begin));
  unfinished_.erase(0, begin);
  if (unfinished_.size() > kLongest) unfinished_.clear();
  return lines;
}

void WorkerProcess::terminate() const {
  assert(process_ > 0);
  ::kill(process_, SIGTERM);
}

void WorkerProcess::kill() const {
  assert(process_ > 0);
  ::kill(-process_, SIGKILL);
}

bool WorkerProcess::ended() const {
  siginfo_t info{};
  // WNOWAIT: a process that is waited for gives its number away, and with it its group's.
  if (::waitid(P_PID, static_cast<id_t>(process_), &info, WEXITED | WNOHANG | WNOWAIT) != 0)
    return errno == ECHILD;
  return info.si_pid == process_;
}

std::optional<int> WorkerProcess::finish() {
  kill();
  return wait_for(std::exchange(process_, -1));
}

void WorkerProcess::clear_log() const {
  // Of no consequence if it fails: a message may then quote an earlier stage.
  [[maybe_unused]] const int result = ::ftruncate(log_, 0);
}

std::string WorkerProcess::end_of_log() const {
  constexpr off_t kMost = 16 * 1024;
  struct stat status{};
  if (::fstat(log_, &status) != 0) return {};
  std::string text(static_cast<std::size_t>(std::min(kMost, status.st_size)), '\0');
  const ssize_t got =
      ::pread(log_, text.data(), text.size(), status.st_size - static_cast<off_t>(text.size()));
  text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return text;
}

}  // namespace perturb
