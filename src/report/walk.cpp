#include "report/walk.h"

#include <cmath>

namespace perturb {

void Walk::add(Step step, double epoch, double value) {
  if (!asks_for(metric_->every, step, epoch, end_)) return;
  ++count_;
  last_step_ = step;
  last_epoch_ = epoch;
  switch (quantity_->kind) {
    case Quantity::Kind::Value:
      return add_value(step, epoch, value);
    case Quantity::Kind::Auc:
      return add_area(epoch, value);
    case Quantity::Kind::StepsTo:
      return add_crossing(step, value);
    case Quantity::Kind::NoiseAuc:
    case Quantity::Kind::NoiseHalf:
      break;  // of several metrics, each of which has a walk of its own
  }
}

void Walk::add_value(Step step, double epoch, double value) {
  switch (place_->kind) {
    case At::Kind::Last:
      break;  // each replaces the one before
    case At::Kind::GivenStep:
      if (step != place_->step) return;
      break;
    case At::Kind::GivenEpoch:
      if (epoch != place_->epoch) return;
      break;
    case At::Kind::Best: {
      if (reading_.lack != Reading::Lack::None) break;
      // The first of equal ones. A value that is not finite is no best, unless there is no other.
      if (!std::isfinite(value)) return;
      const double gain = value - reading_.value;
      const bool better = quantity_->better == Better::Higher ? gain > 0 : gain < 0;
      if (std::isfinite(reading_.value) && !better) return;
      break;
    }
  }
  reading_.value = value;
  reading_.lack = Reading::Lack::None;
  reading_.step = step;
  reading_.epoch = epoch;
}

/// Here `reading_.value` is the area so far, `reading_.epoch` where it ends.
void Walk::add_area(double epoch, double value) {
  if (!previous_) {
    first_ = epoch;
    reading_.value = 0;
  } else {
    reading_.value += (epoch - reading_.epoch) * (*previous_ + value) / 2;
    reading_.lack = Reading::Lack::None;
  }
  reading_.epoch = epoch;
  previous_ = value;
}

void Walk::add_crossing(Step step, double value) {
  if (reading_.lack == Reading::Lack::None) return;
  reading_.lack = Reading::Lack::Never;
  const bool falls = metric_->better == Better::Lower;
  if (!(falls ? value <= quantity_->threshold : value >= quantity_->threshold)) return;
  reading_.value = static_cast<double>(step);
  reading_.lack = Reading::Lack::None;
}

bool Walk::complete() const {
  if (metric_->every.kind != Every::Kind::Listed && last_step_ != end_) return false;
  return count_ == states_asked_for(metric_->every, end_, last_epoch_);
}

Reading Walk::reading() const {
  const bool one_place = quantity_->kind == Quantity::Kind::Value && place_->kind != At::Kind::Best;
  if (!one_place && !complete()) return {};
  Reading reading = reading_;
  if (quantity_->kind == Quantity::Kind::Auc) {
    if (reading.lack != Reading::Lack::None) return {};
    reading.value /= reading.epoch - first_;
  }
  return reading;
}

}  // namespace perturb
