#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "builtin/builtins.h"
#include "perturb/train/schedule.h"

namespace perturb {
namespace {

class Constant final : public Schedule {
 public:
  double factor(std::int64_t, std::int64_t) const override { return 1; }
};

class Steps final : public Schedule {
 public:
  Steps(std::int64_t every, double factor) : every_(every), factor_(factor) {}
  double factor(std::int64_t, std::int64_t epoch) const override {
    return std::pow(factor_, static_cast<double>(epoch / every_));
  }

 private:
  std::int64_t every_;
  double factor_;
};

/// Loshchilov and Hutter: SGDR (2017), equation 5, without restarts.
class Cosine final : public Schedule {
 public:
  Cosine(std::int64_t horizon, double floor) : horizon_(horizon), floor_(floor) {}
  double factor(std::int64_t step, std::int64_t) const override {
    if (step >= horizon_) return floor_;
    const double done = static_cast<double>(step) / static_cast<double>(horizon_);
    return floor_ + (1 - floor_) * (1 + std::cos(std::numbers::pi * done)) / 2;
  }

 private:
  std::int64_t horizon_;
  double floor_;
};

/// Scales the first steps of another schedule.
class WarmUp final : public Schedule {
 public:
  WarmUp(std::int64_t steps, std::unique_ptr<Schedule> then)
      : steps_(steps), then_(std::move(then)) {}
  double factor(std::int64_t step, std::int64_t epoch) const override {
    const double factor = then_->factor(step, epoch);
    if (step >= steps_) return factor;
    return factor * static_cast<double>(step + 1) / static_cast<double>(steps_);
  }

 private:
  std::int64_t steps_;
  std::unique_ptr<Schedule> then_;
};

std::unique_ptr<Schedule> constant(const Condition&) { return std::make_unique<Constant>(); }

std::unique_ptr<Schedule> steps(const Condition& condition) {
  return std::make_unique<Steps>(condition.integer("schedule.every"),
                                 condition.number("schedule.factor"));
}

std::unique_ptr<Schedule> cosine(const Condition& condition) {
  // A horizon that is the end of the run was resolved to its step before: see Timeline.
  return std::make_unique<Cosine>(condition.integer("schedule.horizon"),
                                  condition.number("schedule.floor"));
}

template <auto make>
std::unique_ptr<Schedule> with_warmup(const Condition& condition) {
  auto schedule = make(condition);
  const auto warmup = condition.integer("schedule.warmup");
  if (warmup == 0) return schedule;
  return std::make_unique<WarmUp>(warmup, std::move(schedule));
}

}  // namespace

void add_schedules(Registries& registries) {
  registries.schedules.add("constant", with_warmup<constant>);
  registries.schedules.add("step", with_warmup<steps>);
  registries.schedules.add("cosine", with_warmup<cosine>);
}

}  // namespace perturb
