// What a worker on a node does: the stages of its task, one after the other, each from where an
// attempt before it came to.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <optional>
#include <set>
#include <system_error>
#include <thread>
#include <tuple>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "execute/slurm_batch.h"
#include "perturb/core/error.h"
#include "perturb/core/files.h"
#include "perturb/execute/slurm.h"
#include "perturb/experiment/calendar.h"
#include "perturb/plan/ahead.h"
#include "perturb/store/blobs.h"

namespace perturb {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

/// What a handler reaches has to be global; it is never taken back.
Progress at_work;
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_warning(int /*signal*/) { at_work.stop.store(true); }

void stop_on_warning() {
  struct sigaction action{};
  action.sa_handler = on_warning;
  action.sa_flags = SA_RESTART;  // files are read and written through libraries that do not retry
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGUSR1, &action, nullptr);
}

/// How long a file that somebody says is there may take to appear.
constexpr std::chrono::seconds kPatience{5};

/// Asks again and again until there is an answer, or it has taken too long.
template <class Ask>
auto patiently(const Ask& ask) -> decltype(ask()) {
  const auto until = Clock::now() + kPatience;
  std::chrono::milliseconds pause(10);
  while (true) {
    if (auto answer = ask()) return answer;
    if (at_work.stop.load() || Clock::now() > until) return {};
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, std::chrono::milliseconds(1000));
  }
}

std::string host() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return {};
  return name.data();
}

using Key = std::tuple<Digest, Digest, Digest>;

Key key_of(const Measured& measured) {
  return {measured.state, measured.metric, measured.reference.value_or(Digest{})};
}

/// The assignment from the latest checkpoint on that the record has and that is still there.
/// Nothing when there is none.
std::optional<Assignment> rest_of(const Assignment& whole, const Record& so_far,
                                  const Blobs& blobs) {
  std::set<Key> known;
  for (const Measured& measured : so_far.measured) known.insert(key_of(measured));
  Assignment rest = whole;
  for (Measurement& due : rest.measurements) {
    const Digest reference = due.reference ? due.reference->state : Digest{};
    std::erase_if(due.metrics, [&](std::size_t metric) {
      return known.contains({due.state, whole.metrics[metric].definition(), reference});
    });
  }
  std::erase_if(rest.measurements, [](const Measurement& due) { return due.metrics.empty(); });
  const Step first = rest.measurements.empty() ? rest.end : rest.measurements.front().step;
  for (auto saved = so_far.saved.rbegin(); saved != so_far.saved.rend(); ++saved) {
    // Of what is saved only there, nothing behind it may be wanted before it.
    if (saved->step > first || saved->step <= whole.begin || !blobs.size(saved->blob)) continue;
    rest.begin = saved->step;
    rest.start = saved->state;
    rest.checkpoint = saved->blob;
    std::erase_if(rest.saves, [&](const Save& save) { return save.step <= rest.begin; });
    return rest;
  }
  return std::nullopt;
}

/// One stage of the task.
class StageAtWork {
 public:
  StageAtWork(const SlurmTask& task, const BatchFolder& batch, const TaskStage& stage,
              const Carry& carry)
      : task_(task), batch_(batch), stage_(stage), carry_(carry) {}

  /// False when it was stopped before its end.
  bool work() {
    const Standing before = batch_.standing(stage_.number);
    if (before.over) return true;
    const auto assignment = bind();
    // Whoever submitted it hears how the stage ended that this one goes on from, and sees to it.
    if (!assignment) return true;
    const auto rest =
        before.left ? rest_of(*assignment, before.left->record, Blobs(task_.store)) : std::nullopt;
    if (rest) take_over(before.left->record, rest->begin);
    all_.trial = assignment->trial.id;
    all_.step = rest ? rest->begin : assignment->begin;
    // So that whoever looks sees that it was begun, and by whom.
    leave(Outcome::Interrupted, /*last=*/false);
    Record end = carry(rest ? *rest : *assignment);
    if (end.start_lost && rest) {
      // What the earlier attempt left was removed meanwhile; the beginning may still be there.
      take_over({}, 0);
      end = carry(*assignment);
    }
    absorb(std::move(end));
    const bool stopped = all_.outcome == Outcome::Interrupted;
    leave(all_.outcome, /*last=*/!stopped);
    return !stopped;
  }

 private:
  /// With every blob that there is. Nothing when the stage cannot begin, or should not yet: what it
  /// compares with is left out only if it never comes.
  std::optional<Assignment> bind() const {
    const auto find = [&](const Digest& state) { return saved_blob(task_.store, state); };
    const Assignment& wanted = stage_.assignment;
    const auto whole = [&]() -> std::optional<Assignment> {
      auto found = bound(wanted, find);
      if (found && (found->measurements.size() < wanted.measurements.size() ||
                    found->drawn.size() < wanted.drawn.size()))
        found.reset();
      return found;
    };
    if (auto found = whole()) return found;
    // The jobs of the stages that it waits for have ended, but their files may be late. One that
    // ended without any is tried again by whoever submitted it, and so is this one.
    const bool all_over = patiently([&] { return whole() || all_over_before(); });
    if (!all_over) return std::nullopt;
    if (stage_.after.empty()) return bound(wanted, find);
    if (auto found = patiently(whole)) return found;
    // Those that ended well have saved it, so it is late; of the others it may never come.
    return all_done_before() ? std::nullopt : bound(wanted, find);
  }

  template <class Is>
  bool all_before(const Is& is) const {
    return std::all_of(stage_.after.begin(), stage_.after.end(), [&](const std::string& other) {
      const auto slash = other.find('/');
      const BatchFolder theirs(slurm_folder(task_.store) / other.substr(0, slash));
      return is(theirs.standing(std::stoul(other.substr(slash + 1))));
    });
  }
  bool all_over_before() const {
    return all_before([](const Standing& other) { return other.over; });
  }
  bool all_done_before() const {
    return all_before([](const Standing& other) {
      return other.over && other.left->record.outcome == Outcome::Done;
    });
  }

  void take_over(const Record& so_far, Step begin) {
    all_.measured = so_far.measured;
    all_.saved = so_far.saved;
    std::erase_if(all_.saved, [&](const Saved& saved) { return saved.step > begin; });
  }

  Record carry(const Assignment& assignment) {
    at_work.step.store(assignment.begin);
    return carry_(assignment, at_work, [&](Record&& part) {
      absorb(std::move(part));
      leave(Outcome::Interrupted, /*last=*/false);
    });
  }

  void absorb(Record&& part) {
    all_.outcome = part.outcome;
    all_.step = part.step;
    all_.message = std::move(part.message);
    all_.start_lost = part.start_lost;
    all_.seconds += part.seconds;
    all_.trained += part.trained;
    all_.measured.insert(all_.measured.end(), part.measured.begin(), part.measured.end());
    for (Saved& saved : part.saved) {
      name(saved);
      // The blob and what says of which state it is first, then the record that refers to it.
      note_saved(task_.store, saved);
      all_.saved.push_back(saved);
    }
  }

  /// A stage that was stopped under way leaves that to whoever knows the trial's past.
  void name(Saved& saved) const {
    if (saved.state != Digest{}) return;
    const Trial& trial = stage_.assignment.trial;
    saved.state = trial.state(saved.step);
    saved.epoch = Calendar(trial.timeline, stage_.assignment.examples).epochs_before(saved.step);
  }

  void leave(Outcome outcome, bool last) {
    LeftRecord left{all_, task_.fingerprint, host()};
    left.record.outcome = outcome;
    const RecordName name{{}, stage_.number, task_.attempt, n_++, last};
    const fs::path path = batch_.records() / file_name(name);
    write_atomically(path, sealed(to_text(left)));
    if (!former_.empty()) {
      std::error_code ignored;
      fs::remove(former_, ignored);
    }
    former_ = path;
  }

  const SlurmTask& task_;
  const BatchFolder& batch_;
  const TaskStage& stage_;
  const Carry& carry_;
  Record all_;
  std::size_t n_ = 0;
  fs::path former_;  ///< this attempt's record that the next one makes superfluous
};

}  // namespace

bool work_through(const SlurmTask& task, const Carry& carry) {
  stop_on_warning();
  const BatchFolder batch(task.batch);
  const auto stages = patiently([&] { return batch.stages(task.number); });
  if (!stages)
    throw Error(ExitCode::Disk, fmt::format("cannot read {}", batch.task(task.number).string()),
                "the store's folder must be one that all nodes see under the same name");
  for (const TaskStage& stage : *stages) {
    if (at_work.stop.load()) return false;
    if (!StageAtWork(task, batch, stage, carry).work()) return false;
  }
  return true;
}

}  // namespace perturb
