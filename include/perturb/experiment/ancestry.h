// Reads the experiments that one goes on from, and those that these go on from: each file once.
// Not what is done with them: which of their trials are meant is decided where they are referred
// to.
//
// Law: reading ends. Files that lead in a circle, or further than kFurthest, are refused where the
// reference that does so stands.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "perturb/experiment/experiment.h"

namespace perturb {

class Ancestry {
 public:
  /// Reads the experiment in a file; what it refers to, it asks `others` for.
  using Read =
      std::function<Experiment(const std::filesystem::path& file, const ExperimentLookup& others)>;

  /// How many experiments may go on from each other in a row.
  static constexpr std::size_t kFurthest = 8;

  /// For the experiment in `file`, which the caller reads.
  Ancestry(const std::filesystem::path& file, Read read);

  /// What that experiment is given. Not to be used after the ancestry has gone.
  ExperimentLookup lookup();

 private:
  std::shared_ptr<const Experiment> get(const std::filesystem::path& file);

  Read read_;
  std::vector<std::filesystem::path> way_;  ///< files that are being read, each named by the former
  std::map<std::filesystem::path, std::shared_ptr<const Experiment>> known_;
};

}  // namespace perturb
