#include "perturb/train/session.h"

#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "doctest_torch.h"
#include "perturb/core/random.h"
#include "perturb/train/intervention.h"
#include "perturb/train/task.h"
#include "train/declared.h"
#include "train/global_generator.h"

namespace perturb {
namespace {

bool same_bits(const Tensor& a, const Tensor& b) {
  return at::equal(a.view(at::kInt), b.view(at::kInt));
}

void check_same(const Record& a, const Record& b) {
  CHECK(a.outcome == b.outcome);
  CHECK(a.step == b.step);
  REQUIRE(a.measured.size() == b.measured.size());
  for (std::size_t i = 0; i < a.measured.size(); ++i) {
    CHECK(a.measured[i].step == b.measured[i].step);
    CHECK(a.measured[i].metric == b.measured[i].metric);
    CHECK(a.measured[i].value == b.measured[i].value);
  }
}

TEST_CASE("a trial learns, and measures what it was asked to measure") {
  Declared trial(small_trial());
  const auto record = trial.carry_out();
  CHECK(record.outcome == Outcome::Done);
  CHECK(record.step == 40);
  CHECK(record.trained == 40);
  CHECK(record.trial == trial.assignment.trial.id);
  std::size_t expected = 0;
  for (const auto& measurement : trial.assignment.measurements) {
    expected += measurement.metrics.size();
  }
  CHECK(record.measured.size() == expected);
  for (const auto& measured : record.measured) {
    if (measured.step != 40) continue;
    for (const auto& metric : trial.assignment.metrics) {
      if (metric.definition() == measured.metric && metric.label == "test.accuracy") {
        CHECK(measured.value > 0.6);  // of three classes
      }
    }
  }
}

TEST_CASE("the state does not depend on pauses or measurements") {
  const Declared trial(small_trial());
  Progress progress;
  Session paused(trial.assignment, builtins(), trial.data);
  for (Step step = 0; step <= 33; step += 3) {
    CHECK(paused.advance(step, progress) == Outcome::Done);
    paused.measure({0});
  }
  CHECK(same_bits(paused.state().parameters(), trial.parameters(33)));
}

TEST_CASE("two threads give the bits of one") {
  std::vector<Record> alone, together(4);
  const auto toml = small_trial("[[variations]]\nseeds.init = [0, 1, 2, 3]\n");
  std::vector<Declared> trials;
  for (std::size_t i = 0; i < 4; ++i) trials.emplace_back(toml, i);
  for (auto& trial : trials) alone.push_back(trial.carry_out());

  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] { together[i] = trials[i].carry_out(); });
  }
  for (auto& thread : threads) thread.join();
  for (std::size_t i = 0; i < 4; ++i) check_same(alone[i], together[i]);
  const auto first_of = [&](std::size_t i) { return trials[i].parameters(0); };
  CHECK_FALSE(same_bits(first_of(0), first_of(1)));
}

TEST_CASE("dropout seeds, initial seeds and shuffle seeds are streams of their own") {
  const auto base = Declared(small_trial()).parameters(5);
  CHECK_FALSE(same_bits(base, Declared(small_trial("seeds.init = 1\n")).parameters(5)));
  CHECK_FALSE(same_bits(base, Declared(small_trial("seeds.shuffle = 1\n")).parameters(5)));
  // Nothing in this trial draws from them.
  CHECK(
      same_bits(base, Declared(small_trial("seeds.dropout = 1\nseeds.noise = 1\n")).parameters(5)));
}

/// Writes down the targets of every batch, instead of learning anything.
class Recorder final : public Task {
 public:
  explicit Recorder(std::vector<std::vector<std::int64_t>>& batches) : batches_(batches) {}
  std::vector<Model*> start(const Ingredients&) override { return {&model_}; }
  Tensor step(const Examples& batch, Pass&) override {
    const auto targets = batch.targets.contiguous();
    batches_.emplace_back(targets.data_ptr<std::int64_t>(),
                          targets.data_ptr<std::int64_t>() + targets.numel());
    return at::zeros({});
  }
  Scores evaluate(const ExampleSet&) override { return {}; }

 private:
  struct Empty final : Model {
    Empty() { add_parameter("w", {1}, Role::Weight, 1, 1); }
    Tensor forward(const Tensor& inputs, Pass&) override { return inputs; }
  };
  std::vector<std::vector<std::int64_t>>& batches_;
  Empty model_;
};

/// The examples of each step, by number.
std::vector<std::vector<std::int64_t>> batches(const std::string& toml, Step steps,
                                               std::size_t number = 0,
                                               const std::vector<std::string>& overrides = {}) {
  std::vector<std::vector<std::int64_t>> seen;
  Registries registries;
  add_builtins(registries);
  registries.tasks = Registry<TaskFactory>("task");
  registries.tasks.add("classification",
                       [&](const Condition&) { return std::make_unique<Recorder>(seen); });
  Declared trial(toml, number, overrides);
  const auto n = trial.data.train.size();
  trial.data.train = ExampleSet(at::zeros({n, 1}), at::arange(n));
  Progress progress;
  Session session(trial.assignment, registries, trial.data);
  CHECK(session.advance(steps, progress) == Outcome::Done);
  return seen;
}

std::vector<std::int64_t> joined(const std::vector<std::vector<std::int64_t>>& batches,
                                 std::size_t from, std::size_t to) {
  std::vector<std::int64_t> all;
  for (auto i = from; i < to; ++i) all.insert(all.end(), batches[i].begin(), batches[i].end());
  return all;
}

TEST_CASE("an epoch visits every example once, and no two epochs in the same order") {
  const auto seen = batches(small_trial(), 60);
  std::set<std::vector<std::int64_t>> orders;
  for (std::size_t epoch = 0; epoch < 3; ++epoch) {
    const auto order = joined(seen, 20 * epoch, 20 * (epoch + 1));
    CHECK(std::set<std::int64_t>(order.begin(), order.end()).size() == 320);
    orders.insert(order);
  }
  CHECK(orders.size() == 3);
  CHECK(joined(seen, 0, 20) == Random(0, "order", 0).permutation(320));
}

TEST_CASE("the order does not depend on the batch size") {
  const auto small = batches(small_trial(), 20);
  const auto large = batches(small_trial(), 5, 0, {"data.batch_size=64"});
  CHECK(joined(small, 0, 20) == joined(large, 0, 5));
}

TEST_CASE("the batch size may change in mid-epoch without losing or repeating an example") {
  const auto toml = small_trial("[[interventions]]\nset.data.batch_size = 48\nwhen = [[3, 5]]\n");
  const auto seen = batches(toml, 16, /*number=*/1);
  CHECK(seen[3].size() == 48);
  CHECK(joined(seen, 0, 16) == Random(0, "order", 0).permutation(320));
}

const std::string kMomentum = "[[interventions]]\nset.optimizer.momentum = 0.5\n";

TEST_CASE("outside its windows an intervention changes nothing") {
  const auto toml = small_trial(kMomentum + "when = [[5, 10], [15, 20]]\n");
  const Declared control(toml, 0), treated(toml, 1);
  CHECK(same_bits(control.parameters(5), treated.parameters(5)));
  // Step 5 is the first whose update differs.
  CHECK_FALSE(same_bits(control.parameters(6), treated.parameters(6)));
}

TEST_CASE("after a window the exact former value is back") {
  // The same windows, cut differently: if a value of the first had stayed, or had come back
  // inexactly, the second would differ.
  const auto once = small_trial(kMomentum + "when = [[5, 10]]\n");
  const auto twice = small_trial(kMomentum + "when = [[5, 7], [7, 10]]\n");
  CHECK(same_bits(Declared(once, 1).parameters(30), Declared(twice, 1).parameters(30)));
  // A window that sets the value that is there anyway is no intervention at all.
  const auto idle =
      small_trial("[[interventions]]\nset.optimizer.momentum = 0.9\nwhen = [[5, 10]]\n");
  CHECK(same_bits(Declared(idle, 0).parameters(30), Declared(idle, 1).parameters(30)));
}

TEST_CASE("noise in a window leaves the past untouched, at init it is the past") {
  const std::string noise = "[[interventions]]\nkind = \"perturb-weights\"\nepsilon = 0.1\n";
  const auto later = small_trial(noise + "when = [[5, 7]]\n");
  CHECK(same_bits(Declared(later, 0).parameters(5), Declared(later, 1).parameters(5)));
  CHECK_FALSE(same_bits(Declared(later, 0).parameters(6), Declared(later, 1).parameters(6)));
  const auto first = small_trial(noise + "when = \"init\"\n");
  CHECK_FALSE(same_bits(Declared(first, 0).parameters(0), Declared(first, 1).parameters(0)));
}

TEST_CASE("another kind of optimizer starts with zero moments") {
  const auto toml = small_trial(
      "[[interventions]]\nset.optimizer = { kind = \"adam\", lr = 0.01 }\nwhen = [[10, 20]]\n");
  const Declared treated(toml, 1);
  Progress progress;
  Session session(treated.assignment, builtins(), treated.data);
  session.advance(11, progress);
  CHECK(session.state().moments().size() == 2);
  CHECK(session.state().updates() == 1);
  session.advance(21, progress);
  CHECK(session.state().moments().size() == 1);
}

TEST_CASE("a learning rate that is too high ends in Diverged, with its step") {
  Declared trial(small_trial("optimizer.kind = \"sgd\"\noptimizer.lr = 1e30\n"));
  const auto record = trial.carry_out();
  CHECK(record.outcome == Outcome::Diverged);
  CHECK(record.step > 0);
  CHECK(record.step < 10);
  CHECK_FALSE(record.message.empty());
  check_same(record, trial.carry_out());
  // The state before the failing step is finite, so that it is the first that failed.
  CHECK(trial.parameters(record.step).isfinite().all().item<bool>());
}

TEST_CASE("what was measured before a divergence is kept") {
  Declared trial(small_trial("optimizer.kind = \"sgd\"\noptimizer.lr = 0.01\n"
                             "[[interventions]]\nset.optimizer.lr = 1e30\nwhen = [[25, 40]]\n"),
                 1);
  const auto record = trial.carry_out();
  CHECK(record.outcome == Outcome::Diverged);
  CHECK(record.step >= 25);
  CHECK_FALSE(record.measured.empty());
  for (const auto& measured : record.measured) CHECK(measured.step <= 25);
}

TEST_CASE("a wish to stop is granted at the next step") {
  Declared trial(small_trial());
  Progress progress;
  progress.stop = true;
  const auto record = carry_out(trial.assignment, progress, trial.means());
  CHECK(record.outcome == Outcome::Interrupted);
  CHECK(record.step == 0);
}

TEST_CASE("scores do not depend on how the examples are cut into batches") {
  const Declared trial(small_trial());
  const auto task = builtins().tasks.at("classification")(trial.assignment.trial.condition);
  task->start({trial.assignment.trial.condition, trial.data, builtins()});
  const auto& all = trial.data.train;
  const auto whole = task->evaluate(all);
  for (const std::int64_t size : {1, 7, 64}) {
    double loss = 0, accuracy = 0;
    for (std::int64_t begin = 0; begin < all.size(); begin += size) {
      const auto examples = all.range(begin, std::min(size, all.size() - begin));
      const auto scores = task->evaluate({examples.inputs, examples.targets});
      const auto share = static_cast<double>(examples.size()) / static_cast<double>(all.size());
      loss += share * scores.at("loss");
      accuracy += share * scores.at("accuracy");
    }
    // Matrix products of other shapes round otherwise, by some 1e-7 an example.
    CHECK(loss == doctest::Approx(whole.at("loss")).epsilon(1e-6));
    CHECK(accuracy == doctest::Approx(whole.at("accuracy")).epsilon(1e-12));
  }
  CHECK(task->evaluate(all) == whole);
}

/// Fails in a way of its choice at its third step.
class Faulty final : public Task {
 public:
  explicit Faulty(std::function<void()> fault) : fault_(std::move(fault)) {}
  std::vector<Model*> start(const Ingredients& from) override {
    real_ = builtins().tasks.at("classification")(from.condition);
    return real_->start(from);
  }
  Tensor step(const Examples& batch, Pass& pass) override {
    if (++steps_ == 3) fault_();
    return real_->step(batch, pass);
  }
  Scores evaluate(const ExampleSet& examples) override { return real_->evaluate(examples); }

 private:
  std::function<void()> fault_;
  std::unique_ptr<Task> real_;
  int steps_ = 0;
};

Record with_fault(std::function<void()> fault) {
  Registries registries;
  add_builtins(registries);
  registries.tasks = Registry<TaskFactory>("task");
  registries.tasks.add("classification",
                       [&](const Condition&) { return std::make_unique<Faulty>(fault); });
  const Declared trial(small_trial());
  return trial.carry_out(registries);
}

TEST_CASE("exceptions become failures with the step and the first line") {
  const auto failed = with_fault([] { throw std::runtime_error("no more\nat all"); });
  CHECK(failed.outcome == Outcome::Failed);
  CHECK(failed.message == "no more");
  CHECK(failed.step == 2);
  const auto torch = with_fault([] { at::ones({2}).add(at::ones({3})); });
  CHECK(torch.outcome == Outcome::Failed);
  CHECK(torch.message.find('\n') == std::string::npos);
  const auto memory = with_fault([] { throw std::bad_alloc(); });
  CHECK(memory.outcome == Outcome::OutOfMemory);
  const auto large = with_fault([] { at::empty({std::int64_t{1} << 58}); });
  CHECK(large.outcome == Outcome::OutOfMemory);
}

TEST_CASE("nothing moves LibTorch's global generator, and who does is caught") {
  const auto before = global_generator_digest();
  CHECK(Declared(small_trial()).carry_out().outcome == Outcome::Done);
  CHECK(global_generator_digest() == before);

  const auto caught = with_fault([] { at::rand({1}); });
  CHECK(caught.outcome == Outcome::Failed);
  CHECK(caught.message.find("global generator") != std::string::npos);
}

TEST_CASE("a data set that is not the one that was planned with is refused") {
  Declared trial(small_trial());
  trial.data.train = trial.data.train.first(100);
  const auto record = trial.carry_out();
  CHECK(record.outcome == Outcome::Failed);
  CHECK(record.step == 0);
}

}  // namespace
}  // namespace perturb
