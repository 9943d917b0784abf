#include <algorithm>
#include <chrono>
#include <exception>
#include <new>
#include <string>
#include <utility>

#include <c10/util/Exception.h>

#include "perturb/core/error.h"
#include "perturb/experiment/calendar.h"
#include "perturb/train/checkpoint.h"
#include "perturb/train/handover.h"
#include "perturb/train/session.h"
#include "train/global_generator.h"

namespace perturb {
namespace {

std::string first_line(const char* text) {
  const std::string all(text);
  return all.substr(0, all.find('\n'));
}

bool is_out_of_memory(const std::string& message) {
  // LibTorch 1.13 has a type for this only on the GPU.
  return message.find("can't allocate memory") != std::string::npos ||
         message.find("out of memory") != std::string::npos;
}

void fail(Record& record, Outcome outcome, std::string message) {
  record.outcome = outcome;
  record.message = std::move(message);
}

/// What the exception that is being handled says about the trial.
void explain(Record& record) {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    fail(record, Outcome::OutOfMemory, "out of memory");
  } catch (const c10::Error& error) {
    const auto message = first_line(error.what_without_backtrace());
    fail(record, is_out_of_memory(message) ? Outcome::OutOfMemory : Outcome::Failed, message);
  } catch (const std::exception& error) {
    fail(record, Outcome::Failed, first_line(error.what()));
  } catch (...) {
    fail(record, Outcome::Failed, "an exception of an unknown kind");
  }
}

/// A checkpoint takes some milliseconds, most of them the disk's.
constexpr std::chrono::seconds kSpareCheckpoints{1};

class Stage {
 public:
  Stage(const Assignment& assignment, Progress& progress, const Means& means)
      : assignment_(assignment), progress_(progress), means_(means) {}

  /// The record of what was not reported.
  Record carry_out() {
    try {
      const auto generator = global_generator_digest();
      begin();
      record_.outcome = go();
      if (record_.outcome == Outcome::Diverged) {
        record_.message = "a loss or parameter is not finite";
      } else if (record_.outcome == Outcome::Interrupted) {
        // What was done need not be done again. Which state it is, the owner of the store knows.
        if (means_.blobs && session().step() > reported_to_) save({session().step(), 0, {}});
      } else if (assignment_.heirs > 0) {
        leave();
      }
      if (global_generator_digest() != generator) {
        // Then the results depend on what else ran in this process: worse than none.
        fail(record_, Outcome::Failed, "a bug: something drew from LibTorch's global generator");
      }
    } catch (...) {
      explain(record_);
    }
    finish();
    return std::move(record_);
  }

 private:
  Session& session() { return *live_.session; }

  void begin() {
    clock_ = std::chrono::steady_clock::now();
    reported_to_ = assignment_.begin;
    if (assignment_.begin > 0 && means_.handover) {
      auto left = means_.handover->take(assignment_.start);
      if (left.live.session) {
        live_ = std::move(left.live);
        session().go_on(assignment_);
        return;
      }
      if (left.snapshot) {
        start_anew();
        session().restore(*left.snapshot);
        return;
      }
    }
    if (assignment_.begin > 0) {
      read_checkpoint();
    } else {
      start_anew();
    }
  }

  void start_anew() {
    // Of what a session reads before its first step, only the states that it begins with can be
    // lost.
    const bool begins_elsewhere = assignment_.from.has_value();
    try {
      make_session();
    } catch (const Error& error) {
      if (begins_elsewhere) record_.start_lost = error.code() != ExitCode::Usage;
      throw;
    }
  }

  void make_session() {
    live_.data = means_.data;
    live_.session = std::make_unique<Session>(
        assignment_, means_.registries, *means_.data,
        SessionMeans{
            .threads = means_.threads, .blobs = means_.blobs, .generate = means_.generate});
  }

  void read_checkpoint() {
    record_.start_lost = true;
    if (!means_.blobs || !assignment_.checkpoint)
      throw Error(ExitCode::Store, "the state to go on from is not there any more");
    const auto bytes = means_.blobs->get(*assignment_.checkpoint);
    start_anew();
    session().restore(snapshot_from(bytes, session().state()));
    record_.start_lost = false;
  }

  /// From one measurement or checkpoint to the next.
  Outcome go() {
    auto measurement = assignment_.measurements.begin();
    auto next_save = assignment_.saves.begin();
    const auto measurements_end = assignment_.measurements.end();
    const auto saves_end = assignment_.saves.end();
    while (measurement != measurements_end || next_save != saves_end) {
      auto step = kForever;
      if (measurement != measurements_end) step = measurement->step;
      if (next_save != saves_end) step = std::min(step, next_save->step);
      if (step > assignment_.end) break;
      const auto outcome = advance(step);
      if (outcome != Outcome::Done) return outcome;
      for (; measurement != measurements_end && measurement->step == step; ++measurement)
        measure(*measurement);
      if (next_save == saves_end || next_save->step != step) continue;
      const Save& due = *next_save++;
      if (!means_.blobs || (due.spare && saved_recently())) continue;
      save(due);
      // The last checkpoint's record is that of the whole stage.
      if (step < assignment_.end) report();
    }
    return advance(assignment_.end);
  }

  /// From one step that is drawn toward another trial to the next.
  Outcome advance(Step until) {
    auto drawn = assignment_.drawn.lower_bound(session().step());
    for (; drawn != assignment_.drawn.end() && drawn->first < until; ++drawn) {
      const auto outcome = session().advance(drawn->first, progress_);
      if (outcome != Outcome::Done) return outcome;
      session().draw_toward(read_reference(drawn->second));
    }
    return session().advance(until, progress_);
  }

  void measure(const Measurement& measurement) {
    std::vector<double> values;
    if (const auto& other = measurement.reference) {
      const auto state = read_reference(*other);
      values = session().measure(measurement.metrics, &*other, &state);
    } else {
      values = session().measure(measurement.metrics);
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
      record_.measured.push_back({
          .step = measurement.step,
          .epoch = measurement.epoch,
          .state = measurement.state,
          .metric = assignment_.metrics[measurement.metrics[i]].definition(),
          .value = values[i],
          .reference =
              measurement.reference ? std::optional(measurement.reference->state) : std::nullopt,
      });
    }
  }

  Snapshot read_reference(const Reference& other) {
    if (!other.blob) return session().state().snapshot();
    if (!means_.blobs)
      throw Error(ExitCode::Store, "the state to compare with is not there any more");
    return snapshot_from(means_.blobs->get(*other.blob), session().like(other));
  }

  /// Reports come with checkpoints.
  bool saved_recently() const {
    return std::chrono::steady_clock::now() - clock_ < kSpareCheckpoints;
  }

  void save(const Save& save) {
    const auto bytes = to_safetensors(session().state(), session().optimizer(), save.step);
    record_.saved.push_back({save.step, save.epoch, save.state, means_.blobs->put(bytes),
                             static_cast<std::int64_t>(bytes.size())});
  }

  /// Hands over to the heirs, in memory if there is room.
  void leave() {
    if (means_.handover && means_.handover->leave(assignment_.last, live_, assignment_.heirs))
      return;
    if (!means_.blobs) throw Error(ExitCode::Bug, "there is no place to leave a state");
    const bool is_saved = !record_.saved.empty() && record_.saved.back().step == assignment_.end;
    if (is_saved) return;
    const Calendar calendar(assignment_.trial.timeline, assignment_.examples);
    save({assignment_.end, calendar.epochs_before(assignment_.end), assignment_.last});
  }

  void report() {
    record_.outcome = Outcome::Done;
    finish();
    means_.report(std::exchange(record_, {}));
  }

  /// Fills in what has passed since the last report.
  void finish() {
    record_.trial = assignment_.trial.id;
    // A session that is gone was left to heirs at the end, or never began.
    if (live_.session) {
      record_.step = session().step();
    } else {
      record_.step = record_.outcome == Outcome::Done ? assignment_.end : assignment_.begin;
    }
    record_.trained = std::max<Step>(0, record_.step - reported_to_);
    reported_to_ = record_.step;
    const auto now = std::chrono::steady_clock::now();
    record_.seconds = std::chrono::duration<double>(now - clock_).count();
    clock_ = now;
  }

  const Assignment& assignment_;
  Progress& progress_;
  const Means& means_;
  Live live_;
  Record record_;
  Step reported_to_ = 0;
  std::chrono::steady_clock::time_point clock_;
};

}  // namespace

Record carry_out(const Assignment& assignment, Progress& progress, const Means& means) {
  return Stage(assignment, progress, means).carry_out();
}

}  // namespace perturb
