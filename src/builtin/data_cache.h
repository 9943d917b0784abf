// Data sets that are in memory, shared by every trial that uses them. A data set is loaded
// once, also when several threads ask for it at the same time.
#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "perturb/experiment/condition.h"
#include "perturb/train/dataset.h"
#include "perturb/train/registries.h"

namespace perturb {

class DataCache {
 public:
  DataCache(const Registries& registries, std::vector<std::filesystem::path> folders)
      : registries_(registries), folders_(std::move(folders)) {}

  /// The data set of the condition, on its device. Blocks while it is being loaded.
  std::shared_ptr<const Dataset> get(const Condition& condition);

 private:
  const Registries& registries_;
  std::vector<std::filesystem::path> folders_;
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<const Dataset>> known_;
  /// Kept although nobody may be using them just now: the next trial will.
  std::deque<std::shared_ptr<const Dataset>> recent_;
};

}  // namespace perturb
