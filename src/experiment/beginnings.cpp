#include "experiment/beginnings.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "perturb/core/digest.h"

namespace perturb {
namespace {

constexpr std::string_view kSeed = "seeds.init";
constexpr std::string_view kFrom = "model.from";

const Setting* find(const Choice& choice, std::string_view path) {
  const auto found = std::ranges::find(choice, path, &Setting::path);
  return found != choice.end() ? &*found : nullptr;
}

}  // namespace

void warn_of_one_beginning(const Declaration& declared, const std::string& reference,
                           const Experiment& other, Problems& problems) {
  const std::vector<std::string> varied = other.varied();
  if (std::ranges::find(varied, kSeed) != varied.end()) return;
  for (const auto& axis : declared.variations.axes) {
    // Levels that change together with the seed (zip, any_of) may choose another network.
    std::map<std::string, const Setting*> first;
    for (const auto& choice : axis.choices) {
      const auto* seed = find(choice, kSeed);
      const auto* from = find(choice, kFrom);
      if (!seed || (from && from->level.value != Value(reference))) continue;
      std::string chosen;
      for (const auto& setting : choice) {
        if (std::ranges::find(varied, setting.path) != varied.end())
          chosen += framed(setting.path) + framed(canonical(setting.level.value));
      }
      const auto [place, is_new] = first.emplace(chosen, seed);
      if (is_new || place->second->level.value == seed->level.value) continue;
      problems.warning(
          place->second->level.place,
          fmt::format("the levels of {} begin with one and the same network: \"{}\" does not vary "
                      "it",
                      kSeed, other.name()),
          fmt::format("vary {} there too; for other batches from one network vary seeds.shuffle",
                      kSeed));
      return;
    }
  }
}

}  // namespace perturb
