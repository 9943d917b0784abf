// What the store knows of every member of an experiment, read once and fast: the raw values that
// tables and statistics are made of, each beside the control's value that it is compared with.
#pragma once

#include <limits>
#include <vector>

#include "perturb/core/digest.h"
#include "perturb/experiment/experiment.h"
#include "perturb/report/quantity.h"
#include "perturb/store/store.h"

namespace perturb {

/// How a member of the experiment stands, as a table counts it.
enum class Standing {
  Missing,  ///< not carried out yet, interrupted, or not as far as asked
  Done,     ///< reached the place that is looked at
  Diverged,
  Failed,  ///< in whatever way
};

/// One quantity of one member.
struct Reading {
  /// Why there is no value, if there is none.
  enum class Lack {
    None,        ///< there is one, though it may be NaN or infinite
    Unmeasured,  ///< not measured at that place; or, of an area, at fewer than two
    Never,       ///< the threshold was never reached
  };
  double value = std::numeric_limits<double>::quiet_NaN();
  /// The control's value that it is compared with: of the same variation and, where a quantity is
  /// of one place, at the same epoch. NaN: there is none; a control has none.
  double control = std::numeric_limits<double>::quiet_NaN();
  Lack lack = Lack::Unmeasured;
  Step step = 0;  ///< where a Value is from
  double epoch = 0;
};

/// One member of the experiment, by trial number.
struct Observation {
  Digest trial;
  Standing standing = Standing::Missing;
  std::vector<Reading> readings;  ///< one a quantity
};

/// `ends` are the steps at which the members end, by trial number, `trials` their ids.
std::vector<Observation> observe(const Experiment& experiment, const Store& store,
                                 const std::vector<Digest>& trials, const std::vector<Step>& ends,
                                 const std::vector<Quantity>& quantities, const At& place);

}  // namespace perturb
