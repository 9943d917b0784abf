#include "train/augmentation.h"

#include <string>

#include <ATen/TensorIndexing.h>

#include "doctest_torch.h"
#include "train/declared.h"

namespace perturb {
namespace {

using at::indexing::Slice;

Condition images_with(const std::string& keys) {
  return declared("[model]\nkind = \"mlp\"\n[data]\nkind = \"mnist\"\n" + keys).trial(0).condition;
}

/// Every pixel of every image is another number, none of them 0.
Tensor different_images(std::int64_t count) {
  return at::arange(1, count * 2 * 6 * 5 + 1, at::kFloat).view({count, 2, 6, 5});
}

constexpr std::int64_t kCount = 200;

Tensor all_numbers() { return at::arange(kCount, at::kLong); }

TEST_CASE("a crop is a window of the padded image, and all windows come") {
  Augmentation augmentation(images_with("crop_padding = 2\n"));
  REQUIRE(augmentation.does_anything());
  const auto images = different_images(kCount);
  const auto cropped = augmentation(images, all_numbers(), 0, kCount);
  REQUIRE(cropped.sizes() == images.sizes());
  const auto padded = at::constant_pad_nd(images, {2, 2, 2, 2});
  auto seen = at::zeros({5, 5}, at::kLong);
  for (std::int64_t i = 0; i < kCount; ++i) {
    std::int64_t windows = 0;
    for (std::int64_t top = 0; top <= 4; ++top) {
      for (std::int64_t left = 0; left <= 4; ++left) {
        const auto window = padded.index({i, Slice(), Slice(top, top + 6), Slice(left, left + 5)});
        if (!at::equal(cropped[i], window)) continue;
        ++windows;
        seen.index_put_({top, left}, seen.index({top, left}) + 1);
      }
    }
    CHECK(windows == 1);
  }
  // 200 draws of 25: the probability that one of them misses is under 1%, for this seed it is 0.
  CHECK(seen.min().item<std::int64_t>() > 0);
}

TEST_CASE("half of the images are mirrored, the others stay") {
  Augmentation augmentation(images_with("flip = true\n"));
  const auto images = different_images(kCount);
  const auto some = augmentation(images, all_numbers(), 3, kCount);
  std::int64_t flipped = 0;
  for (std::int64_t i = 0; i < kCount; ++i) {
    if (at::equal(some[i], images[i])) continue;
    CHECK(at::equal(some[i], images[i].flip(-1)));
    ++flipped;
  }
  // Four standard deviations.
  CHECK(std::abs(flipped - kCount / 2) < 4 * std::sqrt(kCount) / 2);
}

TEST_CASE("an example's change depends on its number and the epoch, on nothing else") {
  const auto images = different_images(kCount);
  Augmentation augmentation(images_with("crop_padding = 2\nflip = true\n"));
  const auto whole = augmentation(images, all_numbers(), 1, kCount);

  // Not on the batch,
  const auto numbers = at::tensor({17, 3, 3, 199}, at::kLong);
  const auto batch = augmentation(images.index_select(0, numbers), numbers, 1, kCount);
  CHECK(at::equal(batch, whole.index_select(0, numbers)));
  // nor on which epochs were asked for before;
  const auto next = augmentation(images, all_numbers(), 2, kCount);
  CHECK_FALSE(at::equal(next, whole));
  CHECK(at::equal(augmentation(images, all_numbers(), 1, kCount), whole));
  // and a crop stays where it is when nothing is mirrored any more.
  Augmentation crops(images_with("crop_padding = 2\n"));
  const auto cropped = crops(images, all_numbers(), 1, kCount);
  for (std::int64_t i = 0; i < kCount; ++i) {
    // Columns are mirrored within the window, so its sorted pixels are the same.
    CHECK(at::equal(std::get<0>(cropped[i].flatten().sort()),
                    std::get<0>(whole[i].flatten().sort())));
  }
  // Another seed, other changes.
  Augmentation other(images_with("crop_padding = 2\nflip = true\n[seeds]\naugment = 1\n"));
  CHECK_FALSE(at::equal(other(images, all_numbers(), 1, kCount), whole));
}

TEST_CASE("in training: the same bits from any step on, and only inside its window") {
  if (!locate("fashion-mnist", data_folders({})).complete) {
    MESSAGE("skipped: Fashion-MNIST is not on this machine");
    return;
  }
  const std::string base = R"(
[model]
kind = "mlp"
hidden = [8]
[data]
kind = "fashion-mnist"
batch_size = 25
train_examples = 100
[optimizer]
kind = "sgd"
lr = 0.1
[train]
epochs = 3
)";
  const std::string window = "[[interventions]]\nset.data.flip = true\nset.data.crop_padding = 2\n";
  const auto cut = [](Declared trial) {
    trial.data.train = trial.data.train.first(100);
    return trial;
  };
  const auto plain = cut(Declared(base));
  const auto all_along = cut(Declared(base + window, 1));
  const auto for_a_while = cut(Declared(base + window + "when = [5, 7]\n", 1));
  CHECK_FALSE(at::equal(all_along.parameters(1), plain.parameters(1)));
  CHECK(at::equal(for_a_while.parameters(5), plain.parameters(5)));
  CHECK_FALSE(at::equal(for_a_while.parameters(6), plain.parameters(6)));

  // A session that begins in the middle of an epoch draws what one that never stopped had drawn.
  Progress progress;
  Session first(all_along.assignment, builtins(), all_along.data);
  first.advance(6, progress);
  const auto state = first.state().snapshot();
  auto later = all_along.assignment;
  later.begin = 6;
  Session second(later, builtins(), all_along.data);
  second.restore(state);
  second.advance(12, progress);
  CHECK(at::equal(second.state().parameters(), all_along.parameters(12)));
}

}  // namespace
}  // namespace perturb
