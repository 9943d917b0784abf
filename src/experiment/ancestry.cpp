#include "perturb/experiment/ancestry.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "perturb/core/error.h"

namespace perturb {
namespace {

namespace fs = std::filesystem;

/// As people know the file: from where they are, if it lies below.
fs::path shown(const fs::path& file) {
  std::error_code error;
  auto near = fs::proximate(file, error);
  return error || near.empty() || *near.begin() == ".." ? file : near;
}

}  // namespace

Ancestry::Ancestry(const fs::path& file, Read read) : read_(std::move(read)) {
  way_.push_back(fs::weakly_canonical(file));
}

ExperimentLookup Ancestry::lookup() {
  return [this](const fs::path& file) { return get(file); };
}

std::shared_ptr<const Experiment> Ancestry::get(const fs::path& file) {
  const auto whole = fs::weakly_canonical(file);
  if (const auto found = known_.find(whole); found != known_.end()) return found->second;
  if (const auto before = std::find(way_.begin(), way_.end(), whole); before != way_.end()) {
    std::string circle;
    for (auto one = before; one != way_.end(); ++one) circle += one->filename().string() + " -> ";
    throw Error(ExitCode::Usage, fmt::format("{} goes on from itself", whole.filename().string()),
                circle + whole.filename().string());
  }
  if (way_.size() > kFurthest) {
    throw Error(ExitCode::Usage,
                fmt::format("more than {} experiments go on from each other", kFurthest),
                fmt::format("the first is {}", way_.front().filename().string()));
  }
  way_.push_back(whole);
  struct Reading {
    std::vector<fs::path>& way;
    ~Reading() { way.pop_back(); }
  } const reading{way_};
  auto experiment = std::make_shared<const Experiment>(read_(shown(whole), lookup()));
  return known_.emplace(whole, std::move(experiment)).first->second;
}

}  // namespace perturb
