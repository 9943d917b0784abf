#include <algorithm>
#include <cstddef>

#include "catalog/families.h"
#include "perturb/catalog/catalog.h"

namespace perturb {

std::vector<Parameter> data_parameters(std::vector<Parameter> own) {
  own.push_back({
      .name = "batch_size",
      .type = Type::Int,
      .fallback = 64,
      .help = "Training examples a step; the last batch of an epoch may be smaller.",
      .unit = "examples",
      .least = 1,
      .most = kMostExamples,
      .live = true,
  });
  own.push_back({
      .name = "train_examples",
      .type = Type::Int,
      .fallback = 0,
      .help = "Train on the first so many training examples only; 0 means all of them.",
      .unit = "examples",
      .least = 0,
      .most = kMostExamples,
      .neutral = 0,
  });
  return own;
}

namespace {

std::vector<Parameter> split(const std::string& how) {
  return {
      {
          .name = "test_fraction",
          .type = Type::Float,
          .fallback = 0.2,
          .help = "Share of the examples that are kept for testing, " + how + ".",
          .least = 0,
          .most = 1,
          .above_least = true,
          .below_most = true,
      },
      {
          .name = "split_seed",
          .type = Type::Int,
          .fallback = 0,
          .help = "Which examples are kept for testing.",
          .least = 0,
      },
      {
          .name = "standardise",
          .type = Type::Bool,
          .fallback = true,
          .help = "Shift and scale every feature to mean 0 and standard deviation 1, as "
                  "measured on the training examples.",
      },
  };
}

std::vector<Parameter> joined(std::vector<Parameter> first, const std::vector<Parameter>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

Component csv() {
  return {
      .family = Family::Data,
      .name = "csv",
      .help = "A table of numbers with one column of class labels, split into train and test.",
      .parameters = data_parameters(joined(
          {
              {
                  .name = "file",
                  .type = Type::File,
                  .help = "The table, comma separated; relative to the experiment file.",
              },
              {
                  .name = "target",
                  .type = Type::String,
                  .fallback = "",
                  .help = "Name of the column that holds the class (numbers or words), or its "
                          "place from 1 where there is no header; \"\" is the last column.",
              },
              {
                  .name = "header",
                  .type = Type::Bool,
                  .fallback = true,
                  .help = "The first line names the columns.",
              },
          },
          split("drawn from all classes together"))),
  };
}

Component gaussian_blobs() {
  return {
      .family = Family::Data,
      .name = "gaussian-blobs",
      .help = "Generated: one normal cloud of points a class, classes equally frequent.",
      .parameters = data_parameters({
          {
              .name = "examples",
              .type = Type::Int,
              .fallback = 1000,
              .help = "Training examples; example i is of class i modulo classes.",
              .unit = "examples",
              .least = 1,
              .most = kMostExamples,
          },
          {
              .name = "test_examples",
              .type = Type::Int,
              .fallback = 500,
              .help = "Test examples, drawn from the same clouds.",
              .unit = "examples",
              .least = 1,
              .most = kMostExamples,
          },
          {
              .name = "features",
              .type = Type::Int,
              .fallback = 2,
              .help = "Dimension of the space.",
              .unit = "features",
              .least = 1,
              .most = kMostUnits,
          },
          {
              .name = "classes",
              .type = Type::Int,
              .fallback = 3,
              .help = "Number of clouds.",
              .unit = "classes",
              .least = 2,
              .most = kMostUnits,
          },
          {
              .name = "spread",
              .type = Type::Float,
              .fallback = 1.0,
              .help = "Standard deviation of a cloud along every axis.",
              .least = 0,
          },
          {
              .name = "separation",
              .type = Type::Float,
              .fallback = 4.0,
              .help = "Distance of every cloud's centre from the origin; its direction is drawn "
                      "uniformly.",
              .least = 0,
          },
          {
              .name = "seed",
              .type = Type::Int,
              .fallback = 0,
              .help = "Which centres and points are drawn.",
              .least = 0,
          },
      }),
      .check = [](const std::map<std::string, Value>& parameters) -> std::string {
        const double points =
            parameters.at("examples").as_float() + parameters.at("test_examples").as_float();
        const double values = points * parameters.at("features").as_float();
        return values > 1e9 ? "examples x features is more than 10^9 values" : "";
      },
  };
}

Parameter per_channel(const std::string& name, const std::string& help) {
  return {
      .name = name,
      .type = Type::FloatList,
      .fallback = List{},
      .help = help + ": one number for all channels, or one for each; [] leaves them as they are.",
      .neutral = List{},
  };
}

/// What becomes of images on their way to a network, in this order.
std::vector<Parameter> transforms() {
  auto deviation = per_channel("std", "Then they are divided by this");
  deviation.least = 0;
  deviation.above_least = true;
  return {
      {
          .name = "test_examples",
          .type = Type::Int,
          .fallback = 0,
          .help = "Test on the first so many test examples only; 0 means all of them.",
          .unit = "examples",
          .least = 0,
          .most = kMostExamples,
          .neutral = 0,
      },
      {
          .name = "resize",
          .type = Type::Int,
          .fallback = 0,
          .help = "Scale the images to squares of this side, bilinear and antialiased, as PIL "
                  "does; 0 leaves them as they are.",
          .unit = "pixels",
          .least = 0,
          .most = 1024,
          .neutral = 0,
      },
      {
          .name = "crop_padding",
          .type = Type::Int,
          .fallback = 0,
          .help = "Training images get so many black pixels on each side, and a window of "
                  "their former size is cut out at random, from seeds.augment; another one every "
                  "epoch.",
          .unit = "pixels",
          .least = 0,
          .most = 1024,
          .neutral = 0,
          .live = true,
      },
      {
          .name = "flip",
          .type = Type::Bool,
          .fallback = false,
          .help = "Training images are mirrored, left and right, every other time at random, "
                  "from seeds.augment.",
          .neutral = false,
          .live = true,
      },
      per_channel("mean", "Subtracted from pixels, which lie in [0, 1]"),
      deviation,
  };
}

std::function<std::string(const std::map<std::string, Value>&)> check_channels(
    std::size_t of_its_own) {
  return [of_its_own](const std::map<std::string, Value>& parameters) -> std::string {
    auto channels = of_its_own;
    if (const auto grey = parameters.find("channels"); grey != parameters.end())
      channels = static_cast<std::size_t>(std::max<std::int64_t>(1, grey->second.as_int()));
    for (const auto* name : {"mean", "std"}) {
      const auto count = parameters.at(name).as_list().size();
      if (count > 1 && count != channels) {
        return std::string(name) + " has " + std::to_string(count) + " numbers for " +
               std::to_string(channels) + (channels == 1 ? " channel" : " channels");
      }
    }
    return {};
  };
}

Component grey_images(const std::string& name, const std::string& help) {
  const std::vector<Parameter> channels = {{
      .name = "channels",
      .type = Type::Int,
      .fallback = 0,
      .help = "The grey value is repeated in so many channels: 3 for a network that takes colours; "
              "0 is one channel.",
      .unit = "channels",
      .least = 0,
      .most = 64,
      .neutral = 0,
  }};
  return {.family = Family::Data,
          .name = name,
          .help = help,
          .parameters = data_parameters(joined(channels, transforms())),
          .check = check_channels(1)};
}

Component colour_images(const std::string& name, const std::string& help) {
  return {.family = Family::Data,
          .name = name,
          .help = help,
          .parameters = data_parameters(transforms()),
          .check = check_channels(3)};
}

}  // namespace

void add_data_sets(Schema& schema) {
  schema.add(grey_images("fashion-mnist",
                         "Fashion-MNIST: 60,000 and 10,000 grey 28 x 28 images of 10 kinds of "
                         "clothes, pixels divided by 255."));
  schema.add(
      grey_images("mnist",
                  "MNIST: 60,000 and 10,000 grey 28 x 28 images of handwritten digits, pixels "
                  "divided by 255."));
  schema.add(
      colour_images("cifar10",
                    "CIFAR-10: 50,000 and 10,000 colour 32 x 32 images of 10 kinds of things, "
                    "pixels divided by 255."));
  schema.add({
      .family = Family::Data,
      .name = "iris",
      .help = "Fisher's 150 irises of 3 species by 4 measurements; built in.",
      .parameters = data_parameters(split("the same share of every class")),
  });
  schema.add(csv());
  schema.add(gaussian_blobs());
  schema.add({
      .family = Family::Data,
      .name = "weights",
      .help = "The trained networks of another experiment, one network an example.",
      .parameters = data_parameters({
          {
              .name = "experiment",
              .type = Type::File,
              .help = "The experiment file whose controls are the examples, in the order of its "
                      "variations. They are trained first.",
          },
          {
              .name = "select",
              .type = Type::Selection,
              .fallback = "{}",
              .help = "Which of them: keys of what varies there, each with a value, or a list of "
                      "values that are all wanted; {} means all.",
          },
          {
              .name = "at",
              .type = Type::At,
              .fallback = "end",
              .help = "When: \"end\", a step, or { epochs = n }.",
          },
          {
              .name = "held_out",
              .type = Type::Float,
              .fallback = 0.1,
              .help = "Share of the networks that are kept for testing, drawn from all together.",
              .least = 0,
              .most = 1,
              .above_least = true,
              .below_most = true,
          },
          {
              .name = "split_seed",
              .type = Type::Int,
              .fallback = 0,
              .help = "Which networks are kept for testing.",
              .least = 0,
          },
          {
              .name = "align",
              .type = Type::Bool,
              .fallback = false,
              .help = "Relabel every network's hidden units so that it lies as near as can be to "
                      "one of them (Git Re-Basin's weight matching); it computes what it did.",
              .neutral = false,
          },
          {
              .name = "align_to",
              .type = Type::Int,
              .fallback = 0,
              .help = "The number of that network, from 0.",
              .unit = "networks",
              .least = 0,
              .most = kMostExamples,
              .neutral = 0,
          },
          {
              .name = "components",
              .type = Type::Int,
              .fallback = 0,
              .help = "Take networks as coordinates along so many principal components of the "
                      "training networks: with one less than there are, these lose nothing; 0 "
                      "takes all parameters.",
              .unit = "components",
              .least = 0,
              .most = kMostUnits,
              .neutral = 0,
          },
      }),
  });
}

}  // namespace perturb
