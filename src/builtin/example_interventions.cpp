#include <cmath>
#include <string>
#include <vector>

#include <ATen/ATen.h>

#include "builtin/interventions.h"
#include "perturb/core/error.h"
#include "perturb/core/random.h"
#include "perturb/train/draw.h"

namespace perturb {
namespace {

/// Gives some training examples the label of another class, for good.
class LabelNoise final : public Intervention {
 public:
  LabelNoise(const Parameters& parameters, const Condition& condition)
      : fraction_(parameters.at("fraction").as_float()),
        draws_("label-noise", parameters, condition) {}

  void alter(Examples& batch, const Drawn& drawn, const Instant& now) override {
    if (fraction_ == 0) return;
    if (!labels_.defined()) labels_ = wrong_labels(now.data).to(batch.targets.device());
    batch.targets = labels_.index_select(0, drawn.numbers);
  }

 private:
  Tensor wrong_labels(const Dataset& data) const {
    const auto labels = data.train.targets().to(at::kCPU).clone();
    const auto classes = data.shape.classes;
    const auto count = std::llround(fraction_ * static_cast<double>(labels.numel()));
    auto which = draws_.of("examples");
    const auto chosen = draw_order(which, labels.numel()).narrow(0, 0, count);
    auto random = draws_.of("labels");
    auto* label = labels.data_ptr<std::int64_t>();
    const auto* numbers = chosen.data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < count; ++i) {
      const auto shift = 1 + random.below(static_cast<std::uint64_t>(classes - 1));
      label[numbers[i]] = (label[numbers[i]] + static_cast<std::int64_t>(shift)) % classes;
    }
    return labels;
  }

  double fraction_;
  Draws draws_;
  Tensor labels_;  // of all training examples
};

class InputNoise final : public Intervention {
 public:
  InputNoise(const Parameters& parameters, const Condition& condition)
      : epsilon_(parameters.at("epsilon").as_float()),
        draws_("input-noise", parameters, condition) {}

  void alter(Examples& batch, const Drawn&, const Instant& now) override {
    if (epsilon_ == 0) return;
    auto random = draws_.of("inputs", now.step);
    const auto noise = draw_normal(random, batch.inputs.sizes().vec());
    batch.inputs = batch.inputs + noise.mul_(epsilon_).to(batch.inputs.device());
  }

 private:
  double epsilon_;
  Draws draws_;
};

/// Leaves training examples out. Others take their places in the batches, so that steps and batch
/// sizes stay those of the control.
class LeaveOut : public Intervention {
 public:
  void choose(Drawn& drawn, const Instant& now) final {
    if (!stays_.defined()) look_at(now.data.train);
    const auto stay = stays_.index_select(0, drawn.numbers.to(at::kCPU));
    if (stay.all().item<bool>()) return;
    auto random = replacements(now.step);
    const auto there = static_cast<std::uint64_t>(staying_.numel());
    auto numbers = drawn.numbers.to(at::kCPU).clone();
    const auto* stays = stay.data_ptr<bool>();
    auto* number = numbers.data_ptr<std::int64_t>();
    const auto* candidates = staying_.data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < numbers.numel(); ++i) {
      if (!stays[i]) number[i] = candidates[random.below(there)];
    }
    drawn.numbers = numbers.to(drawn.numbers.device());
  }

 protected:
  /// Bool (n), on the CPU: which examples stay.
  virtual Tensor staying(const ExampleSet& train) const = 0;
  virtual Random replacements(std::int64_t step) const = 0;

 private:
  void look_at(const ExampleSet& train) {
    stays_ = staying(train);
    staying_ = stays_.nonzero().flatten();
    if (staying_.numel() == 0)
      throw Error(ExitCode::Usage, "an intervention leaves no training example to train on");
  }

  Tensor stays_;    // bool (n)
  Tensor staying_;  // int64, numbers of those that stay
};

class SubsetExamples final : public LeaveOut {
 public:
  SubsetExamples(const Parameters& parameters, const Condition& condition)
      : fraction_(parameters.at("fraction").as_float()),
        draws_("subset-examples", parameters, condition) {}

 private:
  Tensor staying(const ExampleSet& train) const override {
    const auto count =
        std::max<std::int64_t>(1, std::llround(fraction_ * static_cast<double>(train.size())));
    auto random = draws_.of("examples");
    const auto stays = at::zeros({train.size()}, at::kBool);
    return stays.index_fill_(0, draw_order(random, train.size()).narrow(0, 0, count), true);
  }
  Random replacements(std::int64_t step) const override { return draws_.of("batch", step); }

  double fraction_;
  Draws draws_;
};

class DropClasses final : public LeaveOut {
 public:
  DropClasses(const Parameters& parameters, const Condition& condition)
      : draws_("drop-classes", parameters, condition) {
    for (const auto& one : parameters.at("classes").as_list()) classes_.push_back(one.as_int());
  }

 private:
  Tensor staying(const ExampleSet& train) const override {
    const auto labels = train.targets().to(at::kCPU);
    auto stays = at::ones({train.size()}, at::kBool);
    for (const auto one : classes_) stays.logical_and_(labels.ne(one));
    return stays;
  }
  Random replacements(std::int64_t step) const override { return draws_.of("batch", step); }

  std::vector<std::int64_t> classes_;
  Draws draws_;
};

class ReorderExamples final : public Intervention {
 public:
  ReorderExamples(const Parameters& parameters, const Condition& condition)
      : order_(parameters.at("order").as_string()),
        shuffle_seed_(static_cast<std::uint64_t>(condition.integer("seeds.shuffle"))) {}

  void choose(Drawn& drawn, const Instant& now) override {
    if (reordered_epoch_ != drawn.place.epoch) {
      reordered_ = reordered(drawn.order, now.data.train);
      reordered_epoch_ = drawn.place.epoch;
    }
    drawn.numbers = reordered_.narrow(0, drawn.place.offset, drawn.place.size);
  }

 private:
  Tensor reordered(const Tensor& order, const ExampleSet& train) const {
    if (order_ == "reverse") return order.flip(0);
    if (order_ == "by-class") {
      const auto labels = train.targets().index_select(0, order);
      return order.index_select(0,
                                std::get<1>(labels.sort(/*stable=*/true, 0, /*descending=*/false)));
    }
    Random random(shuffle_seed_, "order", 0);
    return draw_order(random, order.numel()).to(order.device());
  }

  std::string order_;
  std::uint64_t shuffle_seed_;
  Tensor reordered_;  // of the epoch under way
  std::int64_t reordered_epoch_ = -1;
};

}  // namespace

void add_example_interventions(Registries& registries) {
  auto& all = registries.interventions;
  all.add("label-noise", made<LabelNoise>());
  all.add("input-noise", made<InputNoise>());
  all.add("subset-examples", made<SubsetExamples>());
  all.add("drop-classes", made<DropClasses>());
  all.add("reorder-examples", made<ReorderExamples>());
}

}  // namespace perturb
