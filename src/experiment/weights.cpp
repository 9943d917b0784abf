// Weights from a file: what identity takes of them, and what is wrong with them that can be known
// without making the network. Shapes and buffers are compared where the network is made
// (train/starting_weights.h).
#include <algorithm>
#include <array>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "experiment/state.h"
#include "perturb/core/safetensors.h"

namespace perturb {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFile = "model.weights";
constexpr const char* kNames = "model.weights_names";
constexpr const char* kDigest = "model.weights_sha256";

std::string file_name(const std::string& file) { return fs::path(file).filename().string(); }

/// A zip archive, as PyTorch writes it since 1.6, or the pickle of before.
bool is_pytorch(const std::string& file) {
  std::array<char, 4> begin{};
  std::ifstream stream(file, std::ios::binary);
  stream.read(begin.data(), begin.size());
  const std::string_view bytes(begin.data(), static_cast<std::size_t>(stream.gcount()));
  return bytes == "PK\x03\x04" || bytes.starts_with("\x80\x02");
}

/// Not remembered from one process to the next: 50 MB cost some 30 ms.
Digest digest_of(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  Hasher hasher;
  std::string piece(std::size_t{1} << 20, '\0');
  do {
    stream.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    hasher.add({piece.data(), static_cast<std::size_t>(stream.gcount())});
  } while (stream);
  if (!stream.eof())
    throw Error(ExitCode::Disk, "it cannot be read", "check the disk and its permissions");
  return hasher.finish();
}

}  // namespace

const Experiment::State::WeightsFacts& Experiment::State::weights_facts(
    const std::string& file) const {
  const std::lock_guard lock(facts_mutex);
  // As for data: what is in the map stays there and is never changed.
  if (const auto known = weights.find(file); known != weights.end()) return known->second;
  WeightsFacts found;
  std::error_code error;
  if (!fs::is_regular_file(file, error)) {
    found.wrong = fmt::format("there is no file \"{}\"", file);
    found.advice = "the name is relative to the folder of the experiment file";
  } else if (is_pytorch(file)) {
    found.wrong = file_name(file) + " is PyTorch's, which is a program and no data";
    found.advice = "`perturb import " + file + "` reads it without running it, writes safetensors";
  } else {
    try {
      for (auto& tensor : read_safetensors_header(file).tensors)
        found.tensors.push_back({std::move(tensor.name), std::move(tensor.shape)});
      found.digest = digest_of(file);
    } catch (const Error& problem) {
      found.wrong = file_name(file) + ": " + problem.what();
      found.advice = problem.advice();
    }
  }
  return weights.emplace(file, std::move(found)).first->second;
}

void Experiment::State::resolve_weights(Condition& condition) const {
  const auto* file = condition.find(kFile);
  if (!file || file->as_string().empty()) return;
  const auto digest = weights_facts(file->as_string()).digest.hex();
  condition.set(kDigest, Value(digest));
}

void Experiment::State::each_said(const std::string& path, const Said& said) const {
  if (const auto base = declared.base.find(path); base != declared.base.end())
    said(base->second.value, base->second.place);
  const auto in_grid = [&](const Grid& grid, const std::string& wanted) {
    for (const auto& axis : grid.axes) {
      for (const auto& choice : axis.choices) {
        for (const auto& setting : choice) {
          if (setting.path == wanted) said(setting.level.value, setting.level.place);
        }
      }
    }
  };
  in_grid(declared.variations, path);
  for (const auto& entered : declared.interventions) in_grid(entered.grid, "set." + path);
}

void Experiment::State::check_weights(Problems& problems) const {
  const auto before = problems.errors.size();
  std::optional<Place> first;
  each_said(kFile, [&](const Value& value, const Place& place) {
    if (!first) first = place;
    const auto& known = weights_facts(value.as_string());
    if (!known.wrong.empty()) problems.error(place, known.wrong, known.advice);
  });
  each_said(kNames, [&](const Value& value, const Place& place) {
    for (const auto& text : value.as_list()) {
      try {
        const Renaming renaming(text.as_string());
      } catch (const Error& error) {
        problems.error(place, error.what(), error.advice());
      }
    }
  });
  if (!first || problems.errors.size() != before) return;
  const std::size_t tried = std::min<std::size_t>(variations, 64);
  for (std::size_t i = 0; i < tried; ++i)
    check_variation(declared.variations.at(i * variations / tried), problems);
  for (const auto& entered : declared.interventions) check_set(entered, problems);
  if (std::find(factors.begin(), factors.end(), "seeds.init") != factors.end())
    problems.warning(
        *first,
        "\"seeds.init\" varies, and nothing is drawn from it where weights come from a file",
        "replicates differ by seeds.shuffle, or start from other files");
}

void Experiment::State::check_variation(const Point& point, Problems& problems) const {
  Place place;
  if (const auto base = declared.base.find(kFile); base != declared.base.end())
    place = base->second.place;
  for (const auto* setting : point)
    if (setting->path == kFile) place = setting->level.place;
  const auto said = as_said(point);
  const auto resolved = condition(point);
  const auto* digest = said.find(kDigest);
  if (!digest || *digest == Value("") || *digest == resolved.at(kDigest)) {
    check_fit(resolved, place, problems);
  } else {
    problems.error(
        place,
        fmt::format("the SHA-256 of {} is {}, and weights_sha256 says {}",
                    file_name(said.text(kFile)), resolved.text(kDigest), digest->as_string()),
        "is it the file that was meant? Without weights_sha256 any content will do");
  }
}

void Experiment::State::check_set(const Entered& entered, Problems& problems) const {
  const auto base = condition(declared.variations.at(0));
  for (std::size_t i = 0; i < std::min<std::size_t>(entered.grid.size(), 64); ++i) {
    const auto point = entered.grid.at(i);
    const auto file = std::find_if(point.begin(), point.end(), [](const Setting* one) {
      return one->path == std::string("set.") + kFile;
    });
    if (file == point.end()) continue;
    auto start = timeline(base, operations(entered, point, base)).stretches.front().condition;
    resolve_weights(start);
    check_fit(start, (*file)->level.place, problems);
  }
}

void Experiment::State::check_fit(const Condition& condition, const Place& place,
                                  Problems& problems) const {
  const auto* file = condition.find(kFile);
  const auto* model = schema->find(Family::Model, condition.text("model.kind"));
  if (!file || file->as_string().empty() || !model->parts || model->plugin) return;
  std::vector<NamedTensor> ours;
  for (auto& name : model->parts(condition).parameters) ours.push_back({std::move(name), {}});
  std::vector<std::string> texts;
  for (const auto& text : condition.at(kNames).as_list()) texts.push_back(text.as_string());
  const auto names = renamings(texts);
  auto theirs = weights_facts(file->as_string()).tensors;
  // The parts do not name buffers: whether a network has these is seen when it is there.
  std::erase_if(theirs, [&](const NamedTensor& tensor) {
    const auto name = renamed(tensor.name, names);
    return name.ends_with("running_mean") || name.ends_with("running_var");
  });
  const auto matching = match_tensors(theirs, ours, names);
  if (matching.wrong.empty()) return;
  problems.error(place,
                 fmt::format("{} does not fit the model \"{}\": {}", file_name(file->as_string()),
                             model->name, matching.wrong),
                 matching.advice);
}

}  // namespace perturb
