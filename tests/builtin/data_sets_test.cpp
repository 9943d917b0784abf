#include <cmath>
#include <filesystem>
#include <fstream>

#include "builtin/data_cache.h"
#include "doctest_torch.h"
#include "perturb/train/dataset.h"
#include "train/declared.h"

namespace perturb {
namespace {

Condition condition_of(const std::string& data) {
  return declared(
             "name = \"data\"\ntask.kind = \"classification\"\nmodel.kind = \"mlp\"\n"
             "optimizer.kind = \"sgd\"\ndata = " +
             data)
      .trial(0)
      .condition;
}

Dataset load(const std::string& data) { return data_of(condition_of(data)); }

TEST_CASE("iris: Fisher's table") {
  const auto data = load("{ kind = \"iris\", standardise = false }");
  CHECK(data.train.size() == 120);
  CHECK(data.test.size() == 30);
  const auto all = at::cat({data.train.inputs(), data.test.inputs()});
  // Sums of the four columns, as R's iris has them; those of the UCI copy are 876.5, 458.1,
  // 563.8 and 179.8.
  const auto sums = all.to(at::kDouble).sum(0);
  CHECK(at::allclose(sums, at::tensor({876.5, 458.6, 563.7, 179.9}, at::kDouble), 0, 1e-3));
  for (int k = 0; k < 3; ++k) {
    CHECK(data.test.targets().eq(k).sum().item<std::int64_t>() == 10);
  }
}

TEST_CASE("standardised features have mean 0 and deviation 1 on the training examples") {
  const auto data = load("{ kind = \"iris\" }");
  const auto x = data.train.inputs().to(at::kDouble);
  CHECK(x.mean(0).abs().max().item<double>() < 1e-6);
  CHECK((x.std(0, false) - 1).abs().max().item<double>() < 1e-6);
  CHECK(data.test.inputs().mean(0).abs().max().item<double>() > 1e-3);
}

TEST_CASE("gaussian blobs: classes in turn, clouds of the given spread and distance") {
  const auto data = load(
      "{ kind = \"gaussian-blobs\", examples = 3000, features = 5, spread = 0.5, separation = 3.0 "
      "}");
  CHECK(data.train.size() == 3000);
  CHECK(data.shape.classes == 3);
  CHECK(data.train.targets()[4].item<std::int64_t>() == 1);
  for (int k = 0; k < 3; ++k) {
    const auto cloud = data.train.inputs().index({data.train.targets().eq(k)}).to(at::kDouble);
    // 1,000 points: the mean is within 5 standard errors of 0.016 an axis.
    CHECK(cloud.mean(0).norm().item<double>() == doctest::Approx(3).epsilon(0.05));
    CHECK(cloud.std(0).mean().item<double>() == doctest::Approx(0.5).epsilon(0.05));
  }
  const auto other = load("{ kind = \"gaussian-blobs\", seed = 1, examples = 3000, features = 5 }");
  CHECK_FALSE(at::equal(data.train.inputs(), other.train.inputs()));
}

TEST_CASE("csv: features, named target, words as classes") {
  const auto file = std::filesystem::temp_directory_path() / "perturb_data_sets_test.csv";
  std::ofstream(file) << "kind,width,height\nplum,1,2\nfig,3,4\nplum,5,6\nfig,7,8\nplum,9,10\n";
  const auto data = load("{ kind = \"csv\", file = \"" + file.string() +
                         "\", target = \"kind\", standardise = false, test_fraction = 0.4 }");
  std::filesystem::remove(file);
  CHECK(data.train.size() == 3);
  CHECK(data.test.size() == 2);
  CHECK(data.shape.classes == 2);
  const auto x = at::cat({data.train.inputs(), data.test.inputs()});
  const auto y = at::cat({data.train.targets(), data.test.targets()});
  CHECK(x.sum().item<double>() == 55);
  // Figs, class 0, are the rows that begin with 3 and 7.
  CHECK(at::equal(y.eq(0), x.select(1, 0).eq(3) | x.select(1, 0).eq(7)));
}

TEST_CASE("images: sizes, bytes, labels") {
  if (!locate("fashion-mnist", data_folders({})).complete) {
    MESSAGE("skipped: Fashion-MNIST is not on this machine");
    return;
  }
  const auto data = load("{ kind = \"fashion-mnist\" }");
  CHECK(data.train.inputs().sizes() == at::IntArrayRef({60000, 1, 28, 28}));
  CHECK(data.test.size() == 10000);
  CHECK(data.train.inputs().dtype() == at::kByte);
  CHECK(at::equal(at::bincount(data.train.targets()), at::full({10}, 6000, at::kLong)));
  const auto batch = data.train.range(0, 2);
  CHECK(batch.inputs.dtype() == at::kFloat);
  CHECK(batch.inputs.max().item<float>() == 1);
}

TEST_CASE("gathering takes the examples asked for, in their order") {
  const auto inputs = at::arange(20, at::kByte).view({5, 4});
  const ExampleSet set(inputs, at::arange(5));
  const auto some = set.gather(at::tensor({4, 0}, at::kLong));
  CHECK(at::equal(some.targets, at::tensor({4, 0}, at::kLong)));
  CHECK(at::equal(some.inputs, inputs.index_select(0, some.targets).to(at::kFloat) / 255));
  CHECK(set.first(3).size() == 3);
}

TEST_CASE("a data set is loaded once, and cut to the training examples asked for") {
  DataCache cache(builtins(), {});
  const auto blobs = condition_of("{ kind = \"gaussian-blobs\" }");
  auto batches = blobs;
  batches.set("data.batch_size", 7);
  CHECK(cache.get(blobs) == cache.get(batches));
  const auto few = cache.get(condition_of("{ kind = \"gaussian-blobs\", train_examples = 10 }"));
  CHECK(few->train.size() == 10);
  CHECK(at::equal(few->train.inputs(), cache.get(blobs)->train.first(10).inputs()));
}

}  // namespace
}  // namespace perturb
