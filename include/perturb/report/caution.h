// Values that say that something went wrong although no trial failed: a metric is beyond what it
// is when all is well. Whoever prints results prints these beside them; nobody has to know the
// metric to see it. Not a test: a caution counts no errors and changes no figure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "perturb/report/results.h"

namespace perturb {

struct Caution {
  struct Value {
    std::size_t number = 0;  ///< of the trial
    double value = 0;
  };
  std::string meaning;        ///< in plain words: what has happened
  std::string metric;         ///< its label
  double least = 0;           ///< that it is when all is well
  std::vector<Value> values;  ///< of the trials that are under it; the furthest first
  std::size_t measured = 0;   ///< trials that have a value

  /// "generated networks have shrunk toward their mean: generated.rms_ratio 0.61, under 0.8, in 2
  /// of 6 trials". Of several values the furthest is said. Made printable.
  std::string text() const;
};

/// By metric, each trial at the last state at which it was measured. What is NaN or infinite is no
/// caution: tables count it.
std::vector<Caution> cautions(const Results& results);

}  // namespace perturb
