#include <algorithm>

#include "perturb/catalog/data_files.h"

namespace perturb {
namespace {

DataSource fashion_mnist() {
  return {
      .kind = "fashion-mnist",
      .files =
          {
              {"train-images-idx3-ubyte", 47'040'016,
               "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888", true},
              {"train-labels-idx1-ubyte", 60'008,
               "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9", true},
              {"t10k-images-idx3-ubyte", 7'840'016,
               "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b", false},
              {"t10k-labels-idx1-ubyte", 10'008,
               "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34", false},
          },
      .folders = {"fashion-mnist", "FashionMNIST/raw", "FashionMNIST"},
      .own_names = false,
      .addresses =
          {
              "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
              "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
          },
      .archive = {},
      .package = "dataset-fashion-mnist",
  };
}

DataSource mnist() {
  return {
      .kind = "mnist",
      .files =
          {
              {"train-images-idx3-ubyte", 47'040'016,
               "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", true},
              {"train-labels-idx1-ubyte", 60'008,
               "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", true},
              {"t10k-images-idx3-ubyte", 7'840'016,
               "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", false},
              {"t10k-labels-idx1-ubyte", 10'008,
               "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", false},
          },
      .folders = {"mnist", "MNIST/raw", "MNIST"},
      .own_names = false,
      // The first is where MNIST was published; it often refuses programs. The others are
      // copies that PyTorch and TensorFlow point to; the checksums hold for all of them.
      .addresses =
          {
              "http://yann.lecun.com/exdb/mnist/",
              "https://ossci-datasets.s3.amazonaws.com/mnist/",
              "https://storage.googleapis.com/cvdf-datasets/mnist/",
          },
      .archive = {},
      .package = "",
  };
}

DataSource cifar10() {
  constexpr std::size_t kBatch = 10'000 * 3'073;
  return {
      .kind = "cifar10",
      .files =
          {
              {"data_batch_1.bin", kBatch,
               "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5", true},
              {"data_batch_2.bin", kBatch,
               "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed", true},
              {"data_batch_3.bin", kBatch,
               "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67", true},
              {"data_batch_4.bin", kBatch,
               "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48", true},
              {"data_batch_5.bin", kBatch,
               "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add", true},
              {"test_batch.bin", kBatch,
               "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b", false},
          },
      .folders = {"cifar10", "cifar10/cifar-10-batches-bin", "cifar-10-batches-bin"},
      .own_names = true,
      .addresses = {"https://www.cs.toronto.edu/~kriz/"},
      .archive = {"cifar-10-binary.tar.gz", 170'052'171,
                  "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd", true},
      .package = "",
  };
}

}  // namespace

const std::vector<DataSource>& data_sources() {
  static const std::vector<DataSource> all = {fashion_mnist(), mnist(), cifar10()};
  return all;
}

const DataSource* find_source(std::string_view kind) {
  const auto& all = data_sources();
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const DataSource& source) { return source.kind == kind; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace perturb
