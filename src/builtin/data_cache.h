// Data sets that are in memory, shared by every trial that uses them. A data set is loaded
// once, also when several threads ask for it at the same time.
#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "perturb/experiment/assignment.h"
#include "perturb/store/blobs.h"
#include "perturb/train/dataset.h"
#include "perturb/train/registries.h"

namespace perturb {

class DataCache {
 public:
  DataCache(const Registries& registries, std::vector<std::filesystem::path> folders)
      : registries_(registries), folders_(std::move(folders)) {}

  /// The data set of a condition, on its device. Blocks while it is being loaded.
  std::shared_ptr<const Dataset> get(const Condition& condition);
  /// The same where the examples are networks, which `blobs` has. Throws Error(Store) where one of
  /// them cannot be read.
  std::shared_ptr<const Dataset> get(const Condition& condition, const TrainedNetworks& networks,
                                     const Blobs* blobs);
  std::shared_ptr<const Dataset> get(const Assignment& assignment, const Blobs* blobs) {
    const auto& condition = assignment.trial.start();
    return assignment.population ? get(condition, *assignment.population, blobs) : get(condition);
  }

 private:
  std::shared_ptr<const Dataset> get(const std::string& key, const Condition& condition,
                                     const std::function<Dataset()>& load);

  const Registries& registries_;
  std::vector<std::filesystem::path> folders_;
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<const Dataset>> known_;
  /// Kept although nobody may be using them just now: the next trial will.
  std::deque<std::shared_ptr<const Dataset>> recent_;
};

}  // namespace perturb
