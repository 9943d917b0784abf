#include "train/starting_weights.h"

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "perturb/core/digest.h"
#include "perturb/core/error.h"
#include "perturb/core/files.h"
#include "perturb/core/safetensors.h"
#include "perturb/core/tensor_names.h"

namespace perturb {
namespace {

constexpr std::size_t kMostBytes = std::size_t{64} << 30;

std::optional<at::ScalarType> type_of(const StoredTensor& stored) {
  if (stored.dtype == "F32") return at::kFloat;
  if (stored.dtype == "F16") return at::kHalf;
  if (stored.dtype == "BF16") return at::kBFloat16;
  if (stored.dtype == "F64") return at::kDouble;
  // A count is a buffer like any other in a model made of torch::nn's layers.
  if (stored.dtype == "I64" && is_beside_the_point(stored.name)) return at::kLong;
  return std::nullopt;
}

/// What the models are made of.
struct Wanted {
  std::vector<NamedTensor> names;
  std::vector<Tensor> tensors;

  explicit Wanted(const std::vector<Model*>& models) {
    for (const auto* model : models) {
      for (const auto& parameter : model->parameters()) add(parameter.name, parameter.tensor);
      for (const auto& buffer : model->buffers()) add(buffer.name, buffer.tensor);
    }
  }
  void add(const std::string& name, const Tensor& tensor) {
    names.push_back({name, tensor.sizes().vec()});
    tensors.push_back(tensor);
  }
};

void take_weights(const std::vector<Model*>& models, const Condition& condition,
                  const std::string& path) {
  const auto file = std::filesystem::path(path).filename().string();
  const auto bytes = read_file(path, kMostBytes);
  if (sha256(bytes).hex() != condition.text("model.weights_sha256"))
    throw Error(ExitCode::Usage, file + " is not the file any more that the run was planned with");
  const auto stored = read_safetensors(bytes).tensors;

  std::vector<NamedTensor> theirs;
  for (const auto& tensor : stored) theirs.push_back({tensor.name, tensor.shape});
  std::vector<std::string> texts;
  for (const auto& text : condition.at("model.weights_names").as_list())
    texts.push_back(text.as_string());
  const Wanted wanted(models);
  const auto matching = match_tensors(theirs, wanted.names, renamings(texts));
  const auto refuse = [&](const std::string& why) {
    throw Error(ExitCode::Usage, fmt::format("{} does not fit the model \"{}\": {}", file,
                                             condition.text("model.kind"), why));
  };
  // One line with all of it: what becomes of a trial is told in one.
  if (!matching.wrong.empty())
    refuse(matching.wrong + (matching.advice.empty() ? "" : "; " + matching.advice));
  std::vector<std::string> of_other_types;
  for (const auto& [from, to] : matching.pairs) {
    if (!type_of(stored[from]) && of_other_types.size() < 10)
      of_other_types.push_back(stored[from].name + " is " + stored[from].dtype);
  }
  if (!of_other_types.empty())
    refuse(
        fmt::format("weights are F32, F64, F16 or BF16, and {}", fmt::join(of_other_types, ", ")));

  const at::NoGradGuard no_gradients;
  for (const auto& [from, to] : matching.pairs) {
    // Through a copy: nothing says that they are aligned in the file.
    auto values = at::empty(stored[from].shape, *type_of(stored[from]));
    std::memcpy(values.data_ptr(), stored[from].bytes.data(), stored[from].bytes.size());
    wanted.tensors[to].copy_(values);
  }
}

}  // namespace

std::vector<Model*> started(Task& task, const Ingredients& ingredients) {
  auto models = task.start(ingredients);
  const auto* file = ingredients.condition.find("model.weights");
  if (file && !file->as_string().empty())
    take_weights(models, ingredients.condition, file->as_string());
  return models;
}

}  // namespace perturb
