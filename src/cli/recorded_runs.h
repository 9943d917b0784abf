// The rows of a run in the store. Whatever way the run ends, its end is recorded.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "cli/commands.h"
#include "perturb/experiment/experiment.h"
#include "perturb/store/store.h"

namespace perturb {

class RecordedRun;

/// A run whose stages are carried out on hosts that may compute differently: a row for each
/// fingerprint of numerics that records come with.
class RecordedRuns {
 public:
  RecordedRuns(Store& store, const Context& context, const Experiment& experiment);
  /// What nobody ended has failed.
  ~RecordedRuns();
  RecordedRuns(const RecordedRuns&) = delete;
  RecordedRuns& operator=(const RecordedRuns&) = delete;

  /// The row for a fingerprint, made when it is first asked for.
  RunId with(const std::string& fingerprint);
  void end(std::string_view outcome);

 private:
  Store& store_;
  RunRow row_;
  std::map<std::string, std::unique_ptr<RecordedRun>> runs_;
};

}  // namespace perturb
