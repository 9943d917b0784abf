// How networks that were trained with noise on their weights, and networks that were not, stand up
// to such noise: the trials of an experiment as rows of two tables, and these as files that grow
// with every export. Names and columns are those of the recipe that docs/robustness.md follows.
//
// Law: merging the same results twice is merging them once, and no row of another network is lost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "perturb/report/results.h"
#include "perturb/report/statistics.h"

namespace perturb {

/// A trained network and its scores.
struct NoisyScores {
  std::string architecture;      ///< its model's kind, with underscores: "mlp_small"
  std::string dataset;           ///< likewise
  bool noisy = false;            ///< the regime: trained with noise on the weights; else clean
  std::int64_t seed = 0;         ///< seeds.init
  double alpha_train = 0;        ///< strength of the noise in training; 0 if clean
  std::vector<double> accuracy;  ///< one a strength; finite
  std::vector<double> loss;      ///< likewise, NaN where it is not known
};

/// Trials that are no rows, for the same reason.
struct LeftOut {
  std::string why;  ///< "diverged", "not measured at strength 0.5"
  std::vector<std::size_t> trials;
};

struct Robustness {
  std::vector<double> strengths;  ///< of noise in tests, ascending; 0 and kDropAt among them
  std::vector<NoisyScores> networks;
  std::vector<LeftOut> left_out;
};

/// Where the drop in accuracy is taken.
inline constexpr double kDropAt = 0.1;

/// Controls are clean, and noisy is an intervention that is weight-noise over the whole run and
/// nothing else. Error(Usage) where the experiment does not measure what is needed, or where
/// something varies for which the tables have no column.
Robustness robustness(const Results& results);

/// Networks that differ by seed alone.
struct MeanDrop {
  std::string architecture;
  std::string dataset;
  bool noisy = false;
  double alpha_train = 0;
  Sample accuracy;  ///< without noise
  Sample drop;      ///< of accuracy, at kDropAt
};
std::vector<MeanDrop> mean_drops(const Robustness& robustness);

/// The recipe's check that training with noise does no harm: the mean drop is at most 0.02 above
/// that of the clean networks of the same kind. Nothing for clean ones, or where there are none.
std::optional<bool> stands_up(const MeanDrop& noisy, const std::vector<MeanDrop>& all);

/// The texts of the files; nothing where there is none.
struct RobustnessFiles {
  std::optional<std::string> summary;  ///< summary.csv: a row a network
  std::optional<std::string> sweep;    ///< sweep.csv: a row a network and strength
  std::optional<std::string> json;     ///< results.json: both tables
};

/// `files` with the networks' rows in the places of those with the same key, or else at the end.
/// Keys are values: "0", "0.0" and 0 are one seed. Error(Usage) if a file is no such table, or if
/// two files disagree about a row that stays.
RobustnessFiles merged(const RobustnessFiles& files, const Robustness& robustness);

}  // namespace perturb
