#include "perturb/train/session.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include <ATen/ATen.h>

#include "perturb/core/error.h"
#include "perturb/core/random.h"
#include "perturb/experiment/calendar.h"
#include "perturb/train/checkpoint.h"
#include "perturb/train/draw.h"
#include "perturb/train/intervention.h"
#include "perturb/train/metric.h"
#include "perturb/train/optimizer.h"
#include "perturb/train/pass.h"
#include "perturb/train/schedule.h"
#include "perturb/train/task.h"
#include "train/augmentation.h"
#include "train/finite_watch.h"
#include "train/starting_weights.h"

namespace perturb {
namespace {

std::uint64_t seed(const Condition& condition, std::string_view stream) {
  return static_cast<std::uint64_t>(condition.integer("seeds." + std::string(stream)));
}

}  // namespace

/// Another network beside the one that is trained, for metrics that compare.
struct Session::Twin {
  Twin(const Condition& start_, const Registries& registries, const Dataset& data,
       c10::Device device)
      : start(start_),
        task(registries.tasks.at(start.text("task.kind"))(start)),
        state(started(*task, {start, data, registries}), device),
        initial(state.parameters().clone()) {}

  /// It begins with this state of another experiment.
  void begin_with(const std::string& bytes) {
    perturb::begin_with(bytes, state);
    initial = state.parameters().clone();
  }

  Condition start;
  std::unique_ptr<Task> task;
  FlatState state;
  Tensor initial;
};

struct Session::Parts {
  Parts(const Assignment& assignment, const Registries& registries, const Dataset& data,
        const SessionMeans& means);

  /// Takes the assignment's metrics, and forgets what was in force.
  void begin();
  /// Puts what is in force from `step` on in force.
  void enter();
  void take_step();
  /// A network of that trial.
  Twin& twin(const Reference& trial);
  Drawn draw();
  Examples gather(const Drawn& drawn);

  const Assignment* assignment;
  const Registries& registries;
  const Dataset& data;
  SessionMeans means;
  Calendar calendar;
  const c10::Device device;

  std::unique_ptr<Task> task;
  FlatState state;
  Tensor initial;          ///< parameters at step 0
  Tensor initial_buffers;  ///< likewise
  std::vector<std::unique_ptr<Metric>> metrics;
  FiniteWatch watch;
  Step step = 0;
  std::unique_ptr<Twin> beginning;    ///< the trial's own network at step 0
  std::optional<Snapshot> reference;  ///< what the next step is drawn toward
  std::unique_ptr<Twin> other;        ///< the other trial's that was last compared with

  // In force over [.., until):
  Step until = 0;
  const Stretch* stretch = nullptr;
  std::string optimizer_kind;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Schedule> schedule;
  std::vector<std::unique_ptr<Intervention>> active;
  std::uint64_t shuffle_seed = 0;
  std::uint64_t dropout_seed = 0;
  Augmentation augmentation;

  Tensor order;  ///< of the epoch `ordered_epoch`, undefined if it is out of date
  std::int64_t ordered_epoch = -1;

 private:
  std::vector<Model*> start_task();
  /// Parameters and buffers of the other experiment's trial, as it left them.
  void begin_with_predecessor();
  std::string bytes_of(const std::optional<Digest>& blob) const;
};

std::vector<Model*> Session::Parts::start_task() {
  const auto& condition = assignment->trial.start();
  if (data.train.size() != assignment->examples) {
    throw Error(ExitCode::Usage,
                "the data set has " + std::to_string(data.train.size()) +
                    " training examples, the plan counted " + std::to_string(assignment->examples),
                "did its files change while the run was going on?");
  }
  task = registries.tasks.at(condition.text("task.kind"))(condition);
  return started(*task, {condition, data, registries});
}

std::string Session::Parts::bytes_of(const std::optional<Digest>& blob) const {
  if (!blob || !means.blobs)
    throw Error(ExitCode::Store, "the state to begin with is not there any more");
  return means.blobs->get(*blob);
}

void Session::Parts::begin_with_predecessor() {
  const auto& from = *assignment->from;
  const auto bytes = bytes_of(from.blob);
  try {
    begin_with(bytes, state);
  } catch (const Error& error) {
    if (error.code() != ExitCode::Usage) throw;
    throw Error(ExitCode::Usage,
                "model \"" + assignment->trial.start().text("model.kind") +
                    "\" cannot begin with what was trained of model \"" +
                    from.start.text("model.kind") + "\", which " + error.what(),
                "both need the same [model]");
  }
}

Session::Parts::Parts(const Assignment& assignment_, const Registries& registries_,
                      const Dataset& data_, const SessionMeans& means_)
    : assignment(&assignment_),
      registries(registries_),
      data(data_),
      means(means_),
      calendar(assignment_.trial.timeline, assignment_.examples),
      device(assignment_.trial.start().text("train.device")),
      state(start_task(), device),
      watch(device.is_cpu()) {
  if (assignment->from) begin_with_predecessor();
  for (const auto& operation : assignment->trial.timeline.at_init) {
    const auto& make = registries.interventions.at(operation.kind);
    make(operation.parameters, assignment->trial.start())
        ->perturb(state, {.data = data, .initial = state.parameters()});
  }
  initial = state.parameters().clone();
  initial_buffers = state.buffers().clone();
  watch.add(at::zeros({}, initial.options()), initial);
  begin();
}

void Session::Parts::begin() {
  calendar = Calendar(assignment->trial.timeline, assignment->examples);
  until = step;
  metrics.clear();
  for (const auto& metric : assignment->metrics) {
    metrics.push_back(registries.metrics.at(metric.kind)(metric.parameters));
  }
}

void Session::Parts::enter() {
  const auto& stretches = assignment->trial.timeline.stretches;
  const auto found = std::find_if(stretches.begin(), stretches.end(),
                                  [&](const Stretch& one) { return step < one.window.end; });
  stretch = &*found;
  until = stretch->window.end;
  const auto& condition = stretch->condition;

  const auto& kind = condition.text("optimizer.kind");
  if (!optimizer || kind != optimizer_kind) optimizer = registries.optimizers.at(kind)();
  if (kind == optimizer_kind && optimizer->moments() != state.moments().size())
    throw Error(ExitCode::Store, "the checkpoint does not have what " + kind + " remembers");
  if (kind != optimizer_kind) {
    // Moments of one kind of optimizer mean nothing to another.
    optimizer_kind = kind;
    state.reset_moments(optimizer->moments());
  }
  optimizer->configure(condition);
  schedule = registries.schedules.at(condition.text("schedule.kind"))(condition);
  active.clear();
  for (const auto& operation : stretch->active) {
    active.push_back(registries.interventions.at(operation.kind)(operation.parameters, condition));
  }
  dropout_seed = seed(condition, "dropout");
  augmentation = Augmentation(condition);
  if (const auto now = seed(condition, "shuffle"); now != shuffle_seed) {
    shuffle_seed = now;
    ordered_epoch = -1;
  }
}

Drawn Session::Parts::draw() {
  const auto place = calendar.batch(step);
  if (place.epoch != ordered_epoch) {
    Random random(shuffle_seed, "order", static_cast<std::uint64_t>(place.epoch));
    order = draw_order(random, data.train.size()).to(device);
    ordered_epoch = place.epoch;
  }
  return {order.narrow(0, place.offset, place.size), order, place};
}

Examples Session::Parts::gather(const Drawn& drawn) {
  // Nobody derives by these; without LibTorch's book-keeping for who does they cost half.
  const at::AutoDispatchBelowADInplaceOrView no_history;
  if (!augmentation.does_anything()) return data.train.gather(drawn.numbers);
  return data.train.gather(drawn.numbers, [&](const Tensor& images) {
    return augmentation(images, drawn.numbers, drawn.place.epoch, data.train.size());
  });
}

void Session::Parts::take_step() {
  const Instant now = {.step = step,
                       .data = data,
                       .initial = initial,
                       .reference = reference ? &*reference : nullptr};
  auto drawn = draw();
  for (const auto& one : active) one->choose(drawn, now);
  auto examples = gather(drawn);
  for (const auto& one : active) one->alter(examples, drawn, now);

  auto pass = Pass::training(dropout_seed, step);
  for (const auto& one : active) one->perturb(state, now);
  for (const auto& one : active) one->disturb(state, now);
  for (const auto& one : active) one->watch(pass, now);

  state.gradients().zero_();
  task->enter(step, stretch->condition);
  const auto loss = task->step(examples, pass);
  for (auto one = active.rbegin(); one != active.rend(); ++one) (*one)->restore(state, now);
  for (const auto& one : active) one->after_backward(state, now);

  optimizer->step(state, schedule->factor(step, drawn.place.epoch), loss);
  state.count_update();
  for (const auto& one : active) one->after_step(state, now);
  if (reference) reference.reset();
  watch.add(loss, state.parameters());
}

Session::Session(const Assignment& assignment, const Registries& registries, const Dataset& data,
                 const SessionMeans& means)
    : parts_(std::make_unique<Parts>(assignment, registries, data, means)) {}

Session::~Session() = default;

void Session::go_on(const Assignment& next) {
  parts_->assignment = &next;
  parts_->begin();
}

void Session::restore(const Snapshot& saved) {
  auto& parts = *parts_;
  const auto& assignment = *parts.assignment;
  const auto& now = parts.state;
  if (saved.parameters.numel() != now.parameters().numel() ||
      saved.buffers.numel() != now.buffers().numel()) {
    throw Error(ExitCode::Store, "the checkpoint is of another model",
                "`perturb verify` finds what is wrong with a store");
  }
  parts.state.restore(saved);
  parts.step = assignment.begin;
  parts.until = parts.step;
  // The moments belong to what was in force at the step before.
  for (const auto& stretch : assignment.trial.timeline.stretches) {
    if (stretch.window.begin >= parts.step) break;
    parts.optimizer_kind = stretch.condition.text("optimizer.kind");
  }
  parts.optimizer.reset();
  // What is in the checkpoint was finite when it was written.
  parts.watch.first_not_finite();
}

const std::string& Session::optimizer() const { return parts_->optimizer_kind; }

void Session::draw_toward(Snapshot reference) { parts_->reference = std::move(reference); }

Step Session::step() const { return parts_->step; }

const FlatState& Session::state() const { return parts_->state; }

Outcome Session::advance(Step until, Progress& progress) {
  auto& parts = *parts_;
  while (true) {
    const bool stopping = progress.stop.load(std::memory_order_relaxed);
    if (parts.watch.is_full() || parts.step >= until || stopping) {
      if (const auto back = parts.watch.first_not_finite()) {
        // What was seen last belongs to the step before this one; the initial state, which no
        // step made, counts as step 0.
        parts.step = std::max<Step>(0, parts.step - static_cast<Step>(*back));
        return Outcome::Diverged;
      }
      progress.step.store(parts.step, std::memory_order_relaxed);
      progress.loss.store(parts.watch.last_loss(), std::memory_order_relaxed);
    }
    if (parts.step >= until) return Outcome::Done;
    if (stopping) return Outcome::Interrupted;
    if (parts.step >= parts.until) parts.enter();
    parts.take_step();
    ++parts.step;
  }
}

Session::Twin& Session::Parts::twin(const Reference& trial) {
  if (!other || !(other->start == trial.start)) {
    other = std::make_unique<Twin>(trial.start, registries, data, device);
    if (trial.from) other->begin_with(bytes_of(trial.from));
  }
  return *other;
}

const FlatState& Session::like(const Reference& trial) { return parts_->twin(trial).state; }

std::vector<double> Session::measure(const std::vector<std::size_t>& metrics,
                                     const Reference* other, const Snapshot* state) {
  auto& parts = *parts_;
  const auto others = [&](bool init) -> Subject {
    if (init) {
      if (!parts.beginning) {
        parts.beginning = std::make_unique<Twin>(parts.assignment->trial.start(), parts.registries,
                                                 parts.data, parts.device);
        parts.beginning->state.parameters().copy_(parts.initial);
        parts.beginning->state.buffers().copy_(parts.initial_buffers);
      }
      const auto& twin = *parts.beginning;
      return {twin.state, *twin.task, parts.initial};
    }
    if (!other || !state) throw Error(ExitCode::Bug, "there is nothing to compare with");
    Twin& twin = parts.twin(*other);
    twin.state.restore(*state);
    return {twin.state, *twin.task, twin.initial};
  };
  // Called in several threads at once; what it reads stays as it is.
  const auto copies = [&] {
    struct Copy {
      Twin twin;
      Subject subject{twin.state, *twin.task, twin.initial};
    };
    const auto copy = std::shared_ptr<Copy>(
        new Copy{{parts.assignment->trial.start(), parts.registries, parts.data, parts.device}});
    return std::shared_ptr<const Subject>(copy, &copy->subject);
  };
  Observation observed({parts.state, *parts.task, parts.initial}, others, copies, parts.data,
                       parts.means.threads);
  std::vector<double> values;
  values.reserve(metrics.size());
  for (const auto metric : metrics) values.push_back(parts_->metrics.at(metric)->measure(observed));
  return values;
}

}  // namespace perturb
