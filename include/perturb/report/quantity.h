// What a table is about: a metric at one place of the run, or a figure made of all its values
// over the run, or of a score under noise at one place. How they are found in a store is
// observe.h's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "perturb/experiment/experiment.h"
#include "perturb/experiment/schema.h"

namespace perturb {

struct Quantity {
  enum class Kind {
    Value,      ///< the metric at a At
    Auc,        ///< area under the metric over epochs, divided by their range: its mean value
    StepsTo,    ///< the first measured step at which the metric has reached the threshold
    NoiseAuc,   ///< area under a noise curve over strengths, divided by their range
    NoiseHalf,  ///< the strength of noise at which half of the gain over chance is lost
  };
  Kind kind = Kind::Value;
  std::string label;       ///< "test.accuracy", "steps_to(test.accuracy,0.8)"
  std::size_t metric = 0;  ///< in Experiment::metrics(); of a noise curve the first
  /// StepsTo: at least this, or at most where the metric is better lower. NoiseHalf: chance's
  /// score.
  double threshold = 0;
  /// Of the quantity itself: few steps to somewhere good are better.
  Better better = Better::Neither;

  /// Whether it is of the whole run; otherwise it is of one state.
  bool of_run() const { return kind == Kind::Auc || kind == Kind::StepsTo; }
  /// Whether it is made of the whole noise curve that `metric` is in.
  bool of_noise() const { return kind == Kind::NoiseAuc || kind == Kind::NoiseHalf; }
};

/// Where in the run a metric is looked at. Only at states at which the experiment asks for it: a
/// table depends on its file, not on what other experiments in the store had measured.
struct At {
  enum class Kind {
    Last,        ///< the last at which it is measured
    GivenStep,   ///< `step` of every trial; its control at the same epoch
    GivenEpoch,  ///< `epoch` of every trial
    Best,        ///< each trial's own best value
  };
  Kind kind = Kind::Last;
  Step step = 0;
  double epoch = 0;
};

/// "last", "best", "1200" or "epoch:5". Anything else is an Error(Usage).
At at_from(std::string_view text);

/// `text` at its commas, but not at those inside parentheses.
std::vector<std::string> split_metrics(std::string_view text);

/// What is meant by these words: labels, auc(LABEL), steps_to(LABEL,NUMBER), noise_auc(CURVE),
/// noise_half(CURVE,CHANCE). No words: test.accuracy and test.loss, or else the first two metrics
/// there are. Error(Usage) for what is not understood, not measured, or makes no sense at that
/// place.
std::vector<Quantity> quantities(const Experiment& experiment,
                                 const std::vector<std::string>& words, const At& place);

/// Error(Usage) when no trial is measured at that step or epoch. Costs one trial where the first
/// is.
void check_at(const Experiment& experiment, const std::vector<Quantity>& quantities,
              const At& place);

/// Whether the metric is asked for at this state of a run that ends at step `end`; what
/// Experiment::measurements lists, for one state and without making the trial.
bool asks_for(const Every& every, Step step, double epoch, Step end);
/// How many such states a run has that ends at that step after so many epochs.
std::int64_t states_asked_for(const Every& every, Step end, double epochs);

/// "at the end of the run", "at step 1200": what a title says of it.
std::string where(const Quantity& quantity, const At& place);

}  // namespace perturb
