#include "cli/recorded_runs.h"

#include <exception>

#include "cli/plugins.h"

namespace perturb {

/// One row: "failed" unless somebody says how it ended.
class RecordedRun {
 public:
  RecordedRun(Store& store, const RunRow& row) : store_(store), id_(store.begin_run(row)) {}
  ~RecordedRun() {
    if (ended_) return;
    try {
      store_.end_run(id_, "failed");
    } catch (const std::exception&) {
      // What ended the run is being reported already; a run without an end is shown as such.
    }
  }
  void end(std::string_view outcome) {
    ended_ = true;
    store_.end_run(id_, outcome);
  }
  RecordedRun(const RecordedRun&) = delete;
  RecordedRun& operator=(const RecordedRun&) = delete;

  RunId id() const { return id_; }

 private:
  Store& store_;
  RunId id_;
  bool ended_ = false;
};

RecordedRuns::RecordedRuns(Store& store, const Context& context, const Experiment& experiment)
    : store_(store),
      row_{.experiment = experiment.name(),
           .command = command_of_run(context),
           .version = PERTURB_VERSION,
           .fingerprint = {}} {}

RecordedRuns::~RecordedRuns() = default;

RunId RecordedRuns::with(const std::string& fingerprint) {
  auto& run = runs_[fingerprint];
  if (!run) {
    row_.fingerprint = fingerprint;
    run = std::make_unique<RecordedRun>(store_, row_);
  }
  return run->id();
}

void RecordedRuns::end(std::string_view outcome) {
  for (const auto& [fingerprint, run] : runs_) run->end(outcome);
}

}  // namespace perturb
