#include "builtin/data_cache.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

#include "perturb/core/digest.h"

namespace perturb {
namespace {

constexpr std::size_t kRecent = 4;

/// What becomes of the data batch by batch, when they have left memory.
constexpr std::array<std::string_view, 3> kLater = {"data.batch_size", "data.crop_padding",
                                                    "data.flip"};

/// What the data in memory depend on.
std::string key_of(const Condition& condition) {
  std::string key = framed(condition.text("train.device"));
  for (const auto& [path, value] : condition) {
    if (!std::string_view(path).starts_with("data.")) continue;
    if (std::find(kLater.begin(), kLater.end(), path) != kLater.end()) continue;
    key += framed(path) + framed(canonical(value));
  }
  return key;
}

}  // namespace

std::shared_ptr<const Dataset> DataCache::get(const Condition& condition) {
  const std::lock_guard lock(mutex_);
  auto& known = known_[key_of(condition)];
  if (auto data = known.lock()) return data;

  auto data = registries_.data_sets.at(condition.text("data.kind"))(condition, folders_);
  const auto wanted = condition.integer("data.train_examples");
  if (wanted > 0 && wanted < data.train.size()) data.train = data.train.first(wanted);
  const c10::Device device(condition.text("train.device"));
  auto shared = std::make_shared<const Dataset>(
      Dataset{data.shape, data.train.to(device), data.test.to(device)});
  known = shared;
  recent_.push_back(shared);
  if (recent_.size() > kRecent) recent_.pop_front();
  return shared;
}

}  // namespace perturb
