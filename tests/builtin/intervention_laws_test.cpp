// What every intervention must satisfy, in whole trials declared as a user would.
#include <string>
#include <utility>
#include <vector>

#include "doctest_torch.h"
#include "train/declared.h"

namespace perturb {
namespace {

/// TOML of an intervention without its `when`, of some strength and of none.
struct Kind {
  const char* strong;
  const char* idle;  // "" where there is no such thing
};

const std::vector<Kind> kKinds = {
    {"kind = \"perturb-weights\"\nepsilon = 0.1", "kind = \"perturb-weights\"\nepsilon = 0"},
    {"kind = \"perturb-weights\"\nepsilon = 0.1\nrelative_to = \"filter\"",
     "kind = \"perturb-weights\"\nepsilon = 0\nrelative_to = \"filter\""},
    {"kind = \"perturb-weights\"\nmode = \"rotate\"\nepsilon = 0.1",
     "kind = \"perturb-weights\"\nmode = \"rotate\"\nepsilon = 0"},
    {"kind = \"weight-noise\"\nepsilon = 0.2", "kind = \"weight-noise\"\nepsilon = 0"},
    {"kind = \"prune-weights\"\nfraction = 0.5", "kind = \"prune-weights\"\nfraction = 0"},
    {"kind = \"prune-weights\"\nfraction = 0.5\nby = \"random\"",
     "kind = \"prune-weights\"\nfraction = 0\nby = \"random\""},
    {"kind = \"flip-signs\"\nfraction = 0.2", "kind = \"flip-signs\"\nfraction = 0"},
    {"kind = \"quantise-weights\"\nbits = 3", ""},
    {"kind = \"permute-units\"", ""},
    {"kind = \"reinitialise\"\nlayers = \"fc1.*\"", ""},
    {"kind = \"interpolate-weights\"\ntoward = \"init\"\nfraction = 0.3",
     "kind = \"interpolate-weights\"\ntoward = \"init\"\nfraction = 0"},
    {"kind = \"perturb-gradients\"\nepsilon = 0.5", "kind = \"perturb-gradients\"\nepsilon = 0"},
    {"kind = \"scale-gradients\"\nfactor = 0\nlayers = \"fc1.*\"",
     "kind = \"scale-gradients\"\nfactor = 1"},
    {"kind = \"clip-gradients\"\nnorm = 0.01", "kind = \"clip-gradients\"\nnorm = 1e9"},
    {"kind = \"sign-gradients\"", ""},
    {"kind = \"perturb-activations\"\nepsilon = 0.5\nlayers = \"act*\"",
     "kind = \"perturb-activations\"\nepsilon = 0\nlayers = \"act*\""},
    {"kind = \"scale-activations\"\nfactor = 0.5\nlayers = \"act1\"",
     "kind = \"scale-activations\"\nfactor = 1\nlayers = \"act1\""},
    {"kind = \"zero-units\"\nfraction = 0.5\nlayers = \"act1\"",
     "kind = \"zero-units\"\nfraction = 0\nlayers = \"act1\""},
    {"kind = \"drop-activations\"\nprobability = 0.5\nlayers = \"act1\"",
     "kind = \"drop-activations\"\nprobability = 0\nlayers = \"act1\""},
    {"kind = \"clamp-activations\"\nleast = 0\nmost = 0.1\nlayers = \"act1\"",
     "kind = \"clamp-activations\"\nleast = -1e9\nmost = 1e9\nlayers = \"act1\""},
    {"kind = \"label-noise\"\nfraction = 0.5", "kind = \"label-noise\"\nfraction = 0"},
    {"kind = \"input-noise\"\nepsilon = 0.5", "kind = \"input-noise\"\nepsilon = 0"},
    {"kind = \"subset-examples\"\nfraction = 0.1", "kind = \"subset-examples\"\nfraction = 1"},
    {"kind = \"drop-classes\"\nclasses = [1]", "kind = \"drop-classes\"\nclasses = []"},
    {"kind = \"reorder-examples\"\norder = \"by-class\"", ""},
    {"kind = \"reorder-examples\"\norder = \"reverse\"", ""},
    {"set.optimizer.lr = { scale = 0.1 }", "set.optimizer.lr = { scale = 1 }"},
    {"set.optimizer.kind = \"adam\"", "set.optimizer.kind = \"sgd\""},
    {"set.data.batch_size = 40", "set.data.batch_size = 16"},
};

std::string trial_with(const std::string& intervention, const std::string& when) {
  return small_trial("[[interventions]]\n" + intervention + "\nwhen = " + when + "\n");
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return at::equal(a.view(at::kInt), b.view(at::kInt));
}

/// A trial under way.
struct Run {
  explicit Run(const std::string& toml, std::size_t number = 1)
      : trial(toml, number), session(trial.assignment, builtins(), trial.data) {}

  Tensor to(Step step) {
    Progress progress;
    CHECK(session.advance(step, progress) == Outcome::Done);
    return session.state().parameters().clone();
  }

  Declared trial;
  Session session;
};

TEST_CASE("every intervention acts in its window alone, and no state before it knows") {
  for (const auto& kind : kKinds) {
    CAPTURE(kind.strong);
    const auto toml = trial_with(kind.strong, "[10, 14]");
    Run control(toml, 0);
    Run disturbed(toml);
    CHECK(same_bits(disturbed.to(0), control.to(0)));
    CHECK(same_bits(disturbed.to(10), control.to(10)));
    CHECK_FALSE(same_bits(disturbed.to(14), control.to(14)));

    // What comes after is the control's doing: the exact former values are back. But another batch
    // size has moved the batches, and another optimizer has forgotten what the first remembered.
    const std::string name(kind.strong);
    if (name.find("batch_size") != std::string::npos || name.find("adam") != std::string::npos)
      continue;
    auto rest = control.trial.assignment;
    rest.begin = disturbed.session.step();
    Session from_there(rest, builtins(), control.trial.data);
    from_there.restore(disturbed.session.state().snapshot());
    Progress progress;
    from_there.advance(40, progress);
    CHECK(same_bits(disturbed.to(40), from_there.state().parameters()));
  }
}

TEST_CASE("an intervention goes on in the middle of its window as if nothing had been") {
  for (const auto& kind : kKinds) {
    CAPTURE(kind.strong);
    Run whole(trial_with(kind.strong, "[10, 30]"));
    Run first(trial_with(kind.strong, "[10, 30]"));
    first.to(17);
    auto rest = first.trial.assignment;
    rest.begin = 17;
    Session second(rest, builtins(), first.trial.data);
    second.restore(first.session.state().snapshot());
    Progress progress;
    second.advance(40, progress);
    CHECK(same_bits(whole.to(40), second.state().parameters()));
  }
}

TEST_CASE("without strength everything is the control, bit for bit") {
  for (const auto& kind : kKinds) {
    if (*kind.idle == '\0') continue;
    CAPTURE(kind.idle);
    const auto toml = trial_with(kind.idle, "[3, 40]");
    CHECK(same_bits(Run(toml).to(40), Run(toml, 0).to(40)));
  }
}

TEST_CASE("a window without steps is the control, and the same trial") {
  for (const auto& kind : kKinds) {
    CAPTURE(kind.strong);
    const auto experiment = declared(trial_with(kind.strong, "[0, 1]"));
    auto trial = experiment.trial(1);
    for (auto& operation : trial.operations) operation.windows.clear();
    CHECK(timeline(trial.condition, trial.operations).stretches.size() == 1);
    CHECK(timeline(trial.condition, trial.operations)
              .stretches[0]
              .same_as(experiment.trial(0).timeline.stretches[0]));
  }
}

TEST_CASE("several together are each of them, in the order of the file") {
  const std::string noise = "{ kind = \"weight-noise\", epsilon = 0.2, when = [5, 9] }";
  const std::string move = "{ kind = \"perturb-weights\", epsilon = 0.1, when = [7, 8] }";
  const auto both = [&](const std::string& a, const std::string& b, const std::string& more = "") {
    return small_trial("[[interventions]]\n" + more + "together = [" + a + ", " + b + "]\n");
  };
  Run together(both(noise, move));
  Run alone(both(noise, move, "alone = true\n"), 1);
  CHECK(same_bits(together.to(7), alone.to(7)));
  CHECK_FALSE(same_bits(together.to(8), alone.to(8)));
  // The noise of a batch is taken back, the move stays, whichever is written first.
  CHECK(same_bits(Run(both(move, noise)).to(40), together.to(40)));

  const auto experiment = declared(both(noise, move, "alone = true\n"));
  CHECK(experiment.alternatives() == 3);
  CHECK(experiment.label(3) ==
        "weight-noise epsilon=0.2 in [5, 9) and perturb-weights epsilon=0.1 at step 7");
}

TEST_CASE("an intervention may draw toward another trial's state of the same step") {
  const std::string toml = small_trial(
      "[[variations]]\nseeds.init = [0, 1]\n[[interventions]]\nkind = \"interpolate-weights\"\n"
      "toward = \"trial:seeds.init=1\"\nfraction = 1\nwhen = 10\n");
  Run other(toml, 2);
  other.to(10);
  const auto state = other.session.state().snapshot();
  Run drawn(toml, 1);
  drawn.to(10);
  drawn.session.draw_toward(state);
  // The whole way: the step is the other's, but for what momentum remembers.
  const auto velocity = drawn.session.state().moments()[0].clone();
  drawn.to(11);
  other.to(11);
  const auto rest = 0.05F * 0.9F * (velocity - state.moments[0]);
  CHECK(at::allclose(drawn.session.state().parameters(), other.session.state().parameters() - rest,
                     1e-5, 1e-6));
  // The two of a trial that is its own other differ in nothing.
  CHECK(declared(toml).trial(3).toward == 1);
  CHECK(declared(toml).trial(1).operations[0].parameters.at("toward") ==
        Value(declared(toml).trial(2).id.hex()));
}

}  // namespace
}  // namespace perturb
