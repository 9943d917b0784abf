// Scores under weight noise against the same written out, and the laws of measuring.
#include <atomic>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "doctest_torch.h"
#include "perturb/core/random.h"
#include "perturb/train/draw.h"
#include "perturb/train/metric.h"
#include "perturb/train/spare_threads.h"
#include "train/declared.h"

namespace perturb {
namespace {

const std::string kSweep = R"(
[[metrics]]
kind = "noisy-loss"
strength = [0, 0.1, 0.7]
draws = 4
[[metrics]]
kind = "noisy-accuracy"
strength = [0, 0.1, 0.7]
draws = 4
[[metrics]]
kind = "noisy-loss"
strength = 0.7
draws = 4
layers = "fc1.*"
)";

/// By label, of a network after some steps.
std::map<std::string, double> values(const Declared& trial, Session& session) {
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < trial.assignment.metrics.size(); ++i) all.push_back(i);
  const auto found = session.measure(all);
  std::map<std::string, double> named;
  for (const auto i : all) named[trial.assignment.metrics[i].label] = found[i];
  return named;
}

struct Trained {
  explicit Trained(SpareThreads* threads = nullptr)
      : trial(small_trial(kSweep)),
        session(trial.assignment, builtins(), trial.data, {.threads = threads}) {
    Progress progress;
    session.advance(20, progress);
  }
  Declared trial;
  Session session;
};

/// Mean loss and accuracy of the small trial's network, one hidden layer of ReLUs, written out in
/// double precision with noise on the weights that match.
std::pair<double, double> noisy(const Trained& trained, double strength, bool only_first) {
  double loss = 0;
  double accuracy = 0;
  const int draws = 4;
  const auto& state = trained.session.state();
  for (int draw = 0; draw < draws; ++draw) {
    std::vector<Tensor> p;
    for (const auto& slice : state.layout()) {
      auto w = slice.of(state.parameters()).clone();
      const bool is_weight = w.dim() == 2;
      if (is_weight && (!only_first || p.empty())) {
        Random random(0, "noisy-score/" + slice.name, static_cast<std::uint64_t>(draw));
        const auto mean = w.to(at::kDouble).mean();
        const auto variance =
            (w.to(at::kDouble) - mean).square().sum() / static_cast<double>(w.numel() - 1);
        w = w.to(at::kDouble) + strength * variance.sqrt() * draw_normal(random, slice.shape);
      }
      p.push_back(w.to(at::kDouble));
    }
    const auto& test = trained.trial.data.test;
    const auto hidden = (test.inputs().to(at::kDouble).matmul(p[0].t()) + p[1]).clamp_min(0);
    const auto scores = (hidden.matmul(p[2].t()) + p[3]).log_softmax(1);
    loss -= scores.gather(1, test.targets().view({-1, 1})).mean().item<double>() / draws;
    accuracy += scores.argmax(1).eq(test.targets()).to(at::kDouble).mean().item<double>() / draws;
  }
  return {loss, accuracy};
}

TEST_CASE("scores under noise are means over draws N(0, (strength std(W))^2) on weights alone") {
  Trained trained;
  const auto found = values(trained.trial, trained.session);
  for (const double strength : {0.1, 0.7}) {
    const auto [loss, accuracy] = noisy(trained, strength, false);
    const auto label = strength == 0.1 ? std::string("@0.1") : std::string("@0.7");
    // Floats against doubles; one example in 500 may lie on the border of two classes.
    CHECK(found.at("test.loss" + label + "[draws=4]") == doctest::Approx(loss).epsilon(1e-5));
    CHECK(std::abs(found.at("test.accuracy" + label + "[draws=4]") - accuracy) <= 1.0 / 500 / 4);
  }
  CHECK(found.at("test.loss@0.7[draws=4,layers=fc1.*]") ==
        doctest::Approx(noisy(trained, 0.7, true).first).epsilon(1e-5));
  // And it is not nothing.
  CHECK(found.at("test.loss@0.7[draws=4]") > found.at("test.loss@0.1[draws=4]"));
}

TEST_CASE("without noise it is the score itself, bit for bit") {
  Trained trained;
  const auto found = values(trained.trial, trained.session);
  CHECK(found.at("test.loss@0[draws=4]") == found.at("test.loss"));
  CHECK(found.at("test.accuracy@0[draws=4]") == found.at("test.accuracy"));
}

TEST_CASE("a sweep twice gives the same numbers and leaves the weights' bits, with any threads") {
  Trained alone;
  const auto before = alone.session.state().snapshot();
  const auto first = values(alone.trial, alone.session);
  CHECK(values(alone.trial, alone.session) == first);
  const auto& after = alone.session.state();
  CHECK(at::equal(after.parameters().view(at::kInt), before.parameters.view(at::kInt)));
  CHECK(at::equal(after.buffers(), before.buffers));

  SpareThreads threads(8);
  Trained helped(&threads);
  CHECK(values(helped.trial, helped.session) == first);
  CHECK(threads.take(100) == 8);  // all were given back
}

TEST_CASE("the noise of weights that a sweep adds never reaches training") {
  Trained measured;
  values(measured.trial, measured.session);
  Progress progress;
  measured.session.advance(40, progress);
  CHECK(at::equal(measured.session.state().parameters(), measured.trial.parameters(40)));
}

TEST_CASE("spare threads are those that no stage wants") {
  SpareThreads threads(3);
  const SpareThreads::Stage one(threads);
  CHECK(threads.take(1) == 1);
  {
    const SpareThreads::Stage two(threads);
    const SpareThreads::Stage three(threads);  // finds its thread taken, and goes on
    CHECK(threads.take(5) == 0);
  }
  CHECK(threads.take(5) == 1);
  threads.give_back(2);
  CHECK(threads.take(5) == 2);
}

TEST_CASE("work is spread over copies in the same state; what goes wrong in one is heard of") {
  const Trained trained;
  const auto task = builtins().tasks.at("classification")(trained.trial.assignment.trial.start());
  const Subject self = {trained.session.state(), *task, trained.session.state().parameters()};
  struct Copy {
    explicit Copy(const Declared& trial, Task& task)
        : session(trial.assignment, builtins(), trial.data),
          subject{session.state(), task, session.state().parameters()} {}
    Session session;
    Subject subject;
  };
  std::atomic<int> made = 0;
  const auto copies = [&] {
    ++made;
    const auto copy = std::make_shared<Copy>(trained.trial, *task);
    return std::shared_ptr<const Subject>(copy, &copy->subject);
  };
  SpareThreads threads(3);
  Observation observed(self, {}, copies, trained.trial.data, &threads);

  std::mutex mutex;
  std::multiset<std::size_t> done;
  std::set<std::thread::id> in;
  std::atomic<int> inside = 0;
  observed.spread(20, [&](std::size_t job, const Subject& network) {
    // Until another thread is there: they do work at the same time.
    ++inside;
    while (inside < 2) std::this_thread::yield();
    const std::lock_guard lock(mutex);
    CHECK(at::equal(network.state.parameters(), trained.session.state().parameters()));
    done.insert(job);
    in.insert(std::this_thread::get_id());
  });
  CHECK(done.size() == 20);
  CHECK(std::set(done.begin(), done.end()).size() == 20);
  CHECK(made == 3);
  CHECK(in.size() >= 2);

  CHECK_THROWS_WITH(observed.spread(20,
                                    [](std::size_t job, const Subject&) {
                                      if (job == 7) throw std::runtime_error("seven");
                                    }),
                    "seven");
  CHECK(threads.take(9) == 3);
}

}  // namespace
}  // namespace perturb
