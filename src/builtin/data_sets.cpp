#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

#include <ATen/ATen.h>

#include "builtin/builtins.h"
#include "builtin/images.h"
#include "builtin/iris.h"
#include "perturb/catalog/data_files.h"
#include "perturb/catalog/formats.h"
#include "perturb/catalog/split.h"
#include "perturb/core/files.h"
#include "perturb/core/random.h"
#include "perturb/train/dataset.h"
#include "perturb/train/draw.h"

namespace perturb {
namespace {

using Folders = std::vector<std::filesystem::path>;

/// The files of a published data set, unpacked, with what they are.
struct Contents {
  const DataFile& file;
  std::string bytes;
};

std::vector<Contents> contents(const std::string& kind, const Folders& folders) {
  const auto found = locate(kind, folders);
  if (!found.complete) {
    throw Error(ExitCode::Usage, "the data set " + kind + " is missing", how_to_get(kind, found));
  }
  const auto& files = find_source(kind)->files;
  std::vector<Contents> all;
  for (std::size_t i = 0; i < files.size(); ++i) {
    all.push_back({files[i], read_maybe_gzip(found.files[i], kMostDecodedBytes)});
    inspect(files[i], all.back().bytes);
  }
  return all;
}

Tensor bytes_of(std::string_view values, const std::vector<std::int64_t>& shape) {
  auto tensor = at::empty(shape, at::kByte);
  std::memcpy(tensor.data_ptr(), values.data(), values.size());
  return tensor;
}

/// One part of MNIST or of a data set in its form: grey images and labels.
ExampleSet grey_images(const Contents& images, const Contents& labels) {
  const auto pixels = read_idx(images.bytes);
  const auto classes = read_idx(labels.bytes);
  check_images(pixels);
  check_labels(classes, 10);
  const auto& dims = pixels.dims;
  return {bytes_of(pixels.values, {dims[0], 1, dims[1], dims[2]}),
          bytes_of(classes.values, {dims[0]}).to(at::kLong)};
}

bool is_labels(const Contents& contents) {
  return contents.file.name.find("labels") != std::string_view::npos;
}

Dataset load_idx(const Condition& condition, const Folders& folders) {
  const auto files = contents(condition.text("data.kind"), folders);
  const auto one = [&](bool train, bool labels) -> const Contents& {
    return *std::find_if(files.begin(), files.end(), [&](const Contents& other) {
      return other.file.train == train && is_labels(other) == labels;
    });
  };
  return prepared({.shape = {.input = {1, 28, 28}, .classes = 10},
                   .train = grey_images(one(true, false), one(true, true)),
                   .test = grey_images(one(false, false), one(false, true))},
                  condition);
}

Dataset load_cifar10(const Condition& condition, const Folders& folders) {
  std::vector<Tensor> records[2];
  for (const auto& [file, bytes] : contents("cifar10", folders)) {
    const auto count = cifar10_records(bytes);
    records[file.train ? 0 : 1].push_back(
        bytes_of(bytes, {count, static_cast<std::int64_t>(kCifarRecord)}));
  }
  const auto part = [](const std::vector<Tensor>& files) {
    const auto all = at::cat(files);
    const auto images = all.narrow(1, 1, kCifarRecord - 1).contiguous().view({-1, 3, 32, 32});
    return ExampleSet(images, all.select(1, 0).to(at::kLong));
  };
  return prepared({.shape = {.input = {3, 32, 32}, .classes = 10},
                   .train = part(records[0]),
                   .test = part(records[1])},
                  condition);
}

/// A table of features, one row an example, before it is split.
struct Rows {
  Tensor features;  ///< double, (n, d)
  std::vector<std::int64_t> labels;
  std::int64_t classes;
};

/// As the condition's test_fraction, split_seed and standardise say.
Dataset divided(const Rows& rows, const Split& split, bool standardise) {
  const auto labels = at::tensor(rows.labels, at::kLong);
  const auto train = at::tensor(split.train, at::kLong);
  const auto test = at::tensor(split.test, at::kLong);
  auto features = rows.features;
  if (standardise) {
    // By the training examples alone: the test set must stay unseen.
    const auto seen = features.index_select(0, train);
    const auto deviation = seen.std(0, /*unbiased=*/false);
    features =
        (features - seen.mean(0)) / at::where(deviation > 0, deviation, at::ones_like(deviation));
  }
  const auto inputs = features.to(at::kFloat);
  return {.shape = {.input = {inputs.size(1)}, .classes = rows.classes},
          .train = {inputs.index_select(0, train), labels.index_select(0, train)},
          .test = {inputs.index_select(0, test), labels.index_select(0, test)}};
}

std::uint64_t split_seed(const Condition& condition) {
  return static_cast<std::uint64_t>(condition.integer("data.split_seed"));
}

Dataset load_iris(const Condition& condition, const Folders&) {
  Rows rows{.features = at::empty({150, 4}, at::kDouble), .labels = {}, .classes = 3};
  auto* feature = rows.features.data_ptr<double>();
  for (const auto& flower : kIris) {
    for (const auto millimetres : flower) *feature++ = millimetres / 10.0;
    rows.labels.push_back(static_cast<std::int64_t>(rows.labels.size()) / 50);
  }
  const auto split =
      split_stratified(rows.labels, condition.number("data.test_fraction"), split_seed(condition));
  return divided(rows, split, condition.flag("data.standardise"));
}

Dataset load_csv(const Condition& condition, const Folders&) {
  const auto bytes = read_maybe_gzip(condition.text("data.file"), kMostDecodedBytes);
  const auto table = read_csv(
      bytes, {.header = condition.flag("data.header"), .target = condition.text("data.target")});
  const Rows rows{
      .features = at::tensor(table.values, at::kDouble).view({table.rows, table.features}),
      .labels = table.labels,
      .classes = static_cast<std::int64_t>(table.classes.size())};
  const auto split =
      split_rows(table.rows, condition.number("data.test_fraction"), split_seed(condition));
  return divided(rows, split, condition.flag("data.standardise"));
}

/// Example i is of class i modulo classes, and normal around its class's centre.
Dataset make_blobs(const Condition& condition, const Folders&) {
  const auto seed = static_cast<std::uint64_t>(condition.integer("data.seed"));
  const auto features = condition.integer("data.features");
  const auto classes = condition.integer("data.classes");

  Random directions(seed, "data/centres");
  auto centres = draw_normal(directions, {classes, features});
  centres *= condition.number("data.separation") / centres.norm(2, 1, /*keepdim=*/true);
  const auto part = [&](const char* purpose, std::int64_t count) {
    const auto labels = at::arange(count, at::kLong).remainder(classes);
    Random points(seed, purpose);
    const auto noise = draw_normal(points, {count, features});
    return ExampleSet(centres.index_select(0, labels) + noise * condition.number("data.spread"),
                      labels);
  };
  return {.shape = {.input = {features}, .classes = classes},
          .train = part("data/train", condition.integer("data.examples")),
          .test = part("data/test", condition.integer("data.test_examples"))};
}

}  // namespace

void add_data_sets(Registries& registries) {
  registries.data_sets.add("fashion-mnist", load_idx);
  registries.data_sets.add("mnist", load_idx);
  registries.data_sets.add("cifar10", load_cifar10);
  registries.data_sets.add("iris", load_iris);
  registries.data_sets.add("csv", load_csv);
  registries.data_sets.add("gaussian-blobs", make_blobs);
}

}  // namespace perturb
