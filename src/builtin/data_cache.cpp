#include "builtin/data_cache.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

#include "builtin/networks.h"
#include "perturb/core/digest.h"

namespace perturb {
namespace {

constexpr std::size_t kRecent = 4;

/// What becomes of the data batch by batch, when they have left memory; and how networks are named,
/// which their states tell better.
constexpr std::array<std::string_view, 6> kLeftOut = {"data.batch_size", "data.crop_padding",
                                                      "data.flip",       "data.experiment",
                                                      "data.select",     "data.at"};

/// What the data in memory depend on.
std::string key_of(const Condition& condition) {
  std::string key = framed(condition.text("train.device"));
  for (const auto& [path, value] : condition) {
    if (!std::string_view(path).starts_with("data.")) continue;
    if (std::find(kLeftOut.begin(), kLeftOut.end(), path) != kLeftOut.end()) continue;
    key += framed(path) + framed(canonical(value));
  }
  return key;
}

}  // namespace

std::shared_ptr<const Dataset> DataCache::get(const Condition& condition,
                                              const TrainedNetworks& networks, const Blobs* blobs) {
  auto key = key_of(condition);
  for (const auto& network : networks.networks) key += framed(network.state.hex());
  auto theirs = networks.start;
  theirs.set("train.device", condition.at("train.device"));
  const auto learnt = get(theirs);
  return get(key, condition,
             [&] { return load_networks(networks, condition, learnt, registries_, blobs); });
}

std::shared_ptr<const Dataset> DataCache::get(const Condition& condition) {
  return get(key_of(condition), condition, [&] {
    return registries_.data_sets.at(condition.text("data.kind"))(condition, folders_);
  });
}

std::shared_ptr<const Dataset> DataCache::get(const std::string& key, const Condition& condition,
                                              const std::function<Dataset()>& load) {
  const std::lock_guard lock(mutex_);
  auto& known = known_[key];
  if (auto data = known.lock()) return data;

  auto data = load();
  const auto wanted = condition.integer("data.train_examples");
  if (wanted > 0 && wanted < data.train.size()) data.train = data.train.first(wanted);
  const auto* tested = condition.find("data.test_examples");
  if (tested && tested->as_int() > 0 && tested->as_int() < data.test.size())
    data.test = data.test.first(tested->as_int());
  const c10::Device device(condition.text("train.device"));
  auto shared = std::make_shared<const Dataset>(
      Dataset{data.shape, data.train.to(device), data.test.to(device), data.population});
  known = shared;
  recent_.push_back(shared);
  if (recent_.size() > kRecent) recent_.pop_front();
  return shared;
}

}  // namespace perturb
