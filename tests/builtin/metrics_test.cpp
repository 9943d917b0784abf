// Metrics against values that were computed in another way.
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <torch/csrc/autograd/autograd.h>

#include "doctest_torch.h"
#include "perturb/train/metric.h"
#include "perturb/train/model.h"
#include "perturb/train/task.h"
#include "train/declared.h"

namespace perturb {
namespace {

Tensor doubles(const Tensor& t) { return t.detach().to(at::kDouble); }

/// A trained network, and its control's state to compare with.
struct Pair {
  explicit Pair(const std::string& metrics)
      : trial(
            small_trial("[[interventions]]\nkind = \"perturb-weights\"\nepsilon = 0.5\n" + metrics),
            1),
        control(small_trial(metrics), 0),
        session(trial.assignment, builtins(), trial.data),
        reference(control.assignment, builtins(), control.data) {
    Progress progress;
    session.advance(3, progress);
    reference.advance(3, progress);
  }

  /// By label.
  std::map<std::string, double> values() {
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < trial.assignment.metrics.size(); ++i) all.push_back(i);
    const Reference other{3, {}, {}, control.assignment.trial.start(), {}};
    const auto state = reference.state().snapshot();
    const auto found = session.measure(all, &other, &state);
    std::map<std::string, double> named;
    for (std::size_t i = 0; i < all.size(); ++i)
      named[trial.assignment.metrics[i].label] = found[i];
    return named;
  }

  /// Class scores of a network with one hidden layer of ReLUs, written out.
  static std::pair<Tensor, Tensor> forward(const FlatState& state, const Tensor& inputs) {
    std::vector<Tensor> p;
    for (const auto& slice : state.layout()) p.push_back(doubles(slice.of(state.parameters())));
    const auto hidden = (doubles(inputs).matmul(p[0].t()) + p[1]).clamp_min(0);
    return {hidden, hidden.matmul(p[2].t()) + p[3]};
  }

  Declared trial;
  Declared control;
  Session session;
  Session reference;
};

std::string metric(const std::string& kind, const std::string& more = "") {
  return "[[metrics]]\nkind = \"" + kind + "\"\n" + more;
}

TEST_CASE("parameters in comparison with another trial's and with the beginning") {
  const std::string control = "to = \"control\"\n";
  Pair pair(metric("distance") + metric("distance", control) +
            metric("distance", control + "per = \"initial-distance\"\n") +
            metric("distance", control + "layers = \"fc2.*\"\n") + metric("cosine-similarity") +
            metric("cosine-similarity", control) + metric("norm-ratio") +
            metric("norm-ratio", control) + metric("weight-norm", "layers = \"*.bias\"\n"));
  const auto w = doubles(pair.session.state().parameters());
  const auto c = doubles(pair.reference.state().parameters());
  const auto w0 = doubles(pair.trial.parameters(0));
  const auto c0 = doubles(pair.control.parameters(0));
  const auto norm = [](const Tensor& t) { return t.norm().item<double>(); };
  auto found = pair.values();
  const auto near = [&](const std::string& label, double value) {
    INFO(label);
    REQUIRE(found.count(label) == 1);
    CHECK(found[label] == doctest::Approx(value).epsilon(1e-9));
  };
  near("distance.init", norm(w - w0));
  near("distance.control", norm(w - c));
  near("distance.control[per=initial-distance]", norm(w - c) / norm(w0 - c0));
  near("distance.control[layers=fc2.*]", norm((w - c).narrow(0, 24, 27)));
  near("cosine_similarity.init", w.dot(w0).item<double>() / norm(w) / norm(w0));
  near("cosine_similarity.control", w.dot(c).item<double>() / norm(w) / norm(c));
  near("norm_ratio.init", norm(w) / norm(w0));
  near("norm_ratio.control", norm(w) / norm(c));
  near("weight_norm[layers=*.bias]", norm(at::cat({w.narrow(0, 16, 8), w.narrow(0, 48, 3)})));
}

TEST_CASE("what networks compute, in comparison") {
  Pair pair(metric("agreement") + metric("agreement", "on = \"train\"\nexamples = 37\n") +
            metric("kl-divergence") + metric("cka", "layer = \"act1\"\n") +
            metric("cka", "layer = \"fc2\"\nto = \"init\"\n") + metric("loss-barrier"));
  const auto found = pair.values();
  const auto& test = pair.trial.data.test;
  const auto [h, mine] = Pair::forward(pair.session.state(), test.inputs());
  const auto [g, other] = Pair::forward(pair.reference.state(), test.inputs());

  const auto same = mine.argmax(1).eq(other.argmax(1)).to(at::kDouble).mean().item<double>();
  CHECK(same < 1);
  CHECK(found.at("test.agreement.control") == same);
  const auto p = other.softmax(1);
  const auto kl = (p * (other.log_softmax(1) - mine.log_softmax(1))).sum(1).mean().item<double>();
  CHECK(kl > 0);
  CHECK(found.at("test.kl.control") == doctest::Approx(kl).epsilon(1e-5));

  // By the definition: HSIC with centred Gram matrices.
  const auto n = h.size(0);
  const auto centring = at::eye(n, at::kDouble) - 1.0 / static_cast<double>(n);
  const auto hsic = [&](const Tensor& a, const Tensor& b) {
    const auto k = centring.matmul(a.matmul(a.t())).matmul(centring);
    return (k * b.matmul(b.t())).sum().item<double>();
  };
  const double cka = hsic(h, g) / std::sqrt(hsic(h, h) * hsic(g, g));
  CHECK(cka < 1);
  CHECK(found.at("test.cka.act1.control") == doctest::Approx(cka).epsilon(1e-6));
  CHECK(found.at("test.cka.fc2.init") <= 1);

  const auto& targets = test.targets();
  const auto along = [&](double t) {
    const auto w = doubles(pair.session.state().parameters());
    const auto c = doubles(pair.reference.state().parameters());
    const auto v = (1 - t) * w + t * c;
    const auto hidden =
        (doubles(test.inputs()).matmul(v.narrow(0, 0, 16).view({8, 2}).t()) + v.narrow(0, 16, 8))
            .clamp_min(0);
    const auto scores = hidden.matmul(v.narrow(0, 24, 24).view({3, 8}).t()) + v.narrow(0, 48, 3);
    return at::nll_loss(scores.log_softmax(1), targets).item<double>();
  };
  double barrier = 0;
  for (int i = 0; i < 25; ++i) {
    const double t = i / 24.0;
    barrier = std::max(barrier, along(t) - ((1 - t) * along(0) + t * along(1)));
  }
  CHECK(found.at("test.barrier.control") == doctest::Approx(barrier).epsilon(1e-4).scale(0.01));
}

TEST_CASE("compared with itself, nothing differs") {
  Pair pair(metric("distance", "to = \"control\"\n") + metric("agreement") +
            metric("kl-divergence") + metric("loss-barrier"));
  std::vector<std::size_t> all = {0, 1, 2, 3};
  const Reference other{3, {}, {}, pair.trial.assignment.trial.start(), {}};
  const auto state = pair.session.state().snapshot();
  const auto before = state.parameters.clone();
  CHECK(pair.session.measure(all, &other, &state) == std::vector<double>{0, 1, 0, 0});
  CHECK(at::equal(pair.session.state().parameters(), before));
}

TEST_CASE("a network that is the same but for the order of its units is no barrier once aligned") {
  Pair pair(metric("loss-barrier") + metric("loss-barrier", "align = true\n"));
  auto state = pair.session.state().snapshot();
  const auto w = state.parameters.clone();
  const auto order = at::tensor({3, 1, 4, 0, 5, 7, 2, 6}, at::kLong);
  const auto moved = [&](std::int64_t begin, std::int64_t rows, std::int64_t columns,
                         std::int64_t dimension) {
    const auto part = w.narrow(0, begin, rows * columns).view({rows, columns});
    state.parameters.narrow(0, begin, rows * columns)
        .copy_(part.index_select(dimension, order).flatten());
  };
  moved(0, 8, 2, 0);
  moved(16, 8, 1, 0);
  moved(24, 3, 8, 1);
  const Reference other{3, {}, {}, pair.trial.assignment.trial.start(), {}};
  const auto found = pair.session.measure({0, 1}, &other, &state);
  CHECK(found[0] > 0.01);
  CHECK(found[1] < 1e-6);  // rounding between equal ends
  CHECK(at::equal(pair.session.state().parameters(), w));
}

/// The Hessian of the mean loss, entry by entry from second derivatives of the loss written out.
Tensor dense_hessian(const FlatState& state, const Examples& examples) {
  auto v = doubles(state.parameters()).clone().set_requires_grad(true);
  const auto hidden =
      (doubles(examples.inputs).matmul(v.narrow(0, 0, 16).view({8, 2}).t()) + v.narrow(0, 16, 8))
          .clamp_min(0);
  const auto scores = hidden.matmul(v.narrow(0, 24, 24).view({3, 8}).t()) + v.narrow(0, 48, 3);
  const auto loss = at::nll_loss(scores.log_softmax(1), examples.targets);
  const auto gradient = torch::autograd::grad({loss}, {v}, {}, true, true)[0];
  std::vector<Tensor> rows;
  for (std::int64_t i = 0; i < v.numel(); ++i)
    rows.push_back(torch::autograd::grad({gradient[i]}, {v}, {}, true)[0]);
  return at::stack(rows);
}

TEST_CASE("curvature against a dense Hessian") {
  Pair pair(metric("hessian-eigenvalue") + metric("hessian-trace", "draws = 200\n") +
            metric("hessian-trace", "draws = 200\nvalue = \"standard-error\"\n") +
            metric("gradient-norm") + metric("sharpness"));
  const auto found = pair.values();
  const auto& train = pair.trial.data.train;
  const auto hessian = dense_hessian(pair.session.state(), train.range(0, train.size()));
  const auto largest = at::linalg_eigvalsh(hessian)[-1].item<double>();
  CHECK(largest > 0);
  CHECK(found.at("train.hessian_eigenvalue") == doctest::Approx(largest).epsilon(1e-3));

  const double trace = hessian.trace().item<double>();
  const double error = found.at("train.hessian_trace[draws=200,value=standard-error]");
  CHECK(error > 0);
  CHECK(error < 0.2 * trace);
  CHECK(std::abs(found.at("train.hessian_trace[draws=200]") - trace) < 3 * error);

  CHECK(found.at("train.gradient_norm") > 0);
  CHECK(found.at("train.sharpness") > 0);
  // To first order it is rho times the norm of the gradient.
  const double first = 0.05 * found.at("train.gradient_norm");
  CHECK(found.at("train.sharpness") ==
        doctest::Approx(first).epsilon(0.05 * largest / found.at("train.gradient_norm") + 0.01));
}

TEST_CASE("who asks for a trace and its error pays for one") {
  Pair one(metric("hessian-trace"));
  Pair both(metric("hessian-trace") + metric("hessian-trace", "value = \"standard-error\"\n"));
  CHECK(one.values().at("train.hessian_trace") == both.values().at("train.hessian_trace"));
}

}  // namespace
}  // namespace perturb
