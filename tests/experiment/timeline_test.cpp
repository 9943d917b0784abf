#include "perturb/experiment/timeline.h"

#include <doctest/doctest.h>

#include "experiment/declared.h"

using namespace perturb;

namespace {

Trial intervened(const std::string& entry) {
  return declared(kBase + "[[interventions]]\n" + entry).trial(0, 1);
}

}  // namespace

TEST_CASE("windows are sorted, joined, and lose what is empty") {
  CHECK(normalised({{5, 9}, {0, 3}, {3, 5}, {20, 20}}) == std::vector<Window>{{0, 9}});
  CHECK(normalised({{7, 8}, {0, 3}}) == std::vector<Window>{{0, 3}, {7, 8}});
  CHECK(normalised({}).empty());
}

TEST_CASE("at the end of a window the exact former value is back") {
  const auto line =
      intervened("set.optimizer.momentum = { scale = [1.1] }\nwhen = [[2, 4], [6, 7]]").timeline;
  REQUIRE(line.stretches.size() == 5);
  for (const std::size_t i : {0UL, 2UL, 4UL})
    CHECK(line.stretches[i].condition.number("optimizer.momentum") == 0.9);
  for (const std::size_t i : {1UL, 3UL})
    CHECK(line.stretches[i].condition.number("optimizer.momentum") == 0.9 * 1.1);
  CHECK(line.stretches.back().window == Window{7, kForever});
}

TEST_CASE("what changes nothing is not part of the identity") {
  const auto control = control_id(kBase);
  CHECK(intervened("set.optimizer.momentum = 0.9").id == control);
  CHECK(intervened("set.optimizer.momentum = 0.9\nwhen = [10, 20]").id == control);
  CHECK(intervened("set.optimizer.momentum = 0.5\nwhen = [10, 10]").id == control);
  CHECK(intervened("set.optimizer.momentum = 0.5\nwhen = [10, 20]").id != control);
}

TEST_CASE("the same course of events is the same trial, however it was declared") {
  // Set over the whole run, or written into the base condition.
  CHECK(intervened("set.optimizer.momentum = 0.5").id ==
        control_id(kBase, {"optimizer.momentum=0.5"}));
  CHECK(intervened("set.optimizer.kind = \"adam\"\nset.optimizer.lr = 0.001").id ==
        control_id("[model]\nkind='lenet5'\n[data]\nkind='fashion-mnist'\nbatch_size=100\n"
                   "[optimizer]\nkind='adam'\n[train]\nepochs=3"));
  // One window, or two that touch.
  CHECK(intervened("set.optimizer.lr = 0.5\nwhen = [3, 9]").id ==
        intervened("set.optimizer.lr = 0.5\nwhen = [[5, 9], [3, 5]]").id);
  // Epochs or the steps that they are.
  CHECK(intervened("set.optimizer.lr = 0.5\nwhen = { epochs = [1, 2] }").id ==
        intervened("set.optimizer.lr = 0.5\nwhen = [10, 20]").id);
  // Everything but a window, or the window.
  CHECK(declared(kBase + "[[interventions]]\nset.optimizer.lr = 0.1\nwhen = [0, 7]",
                 {"optimizer.lr=0.5"})
            .trial(0, 1)
            .id == intervened("set.optimizer.lr = 0.5\nwhen = [7, \"end\"]").id);
}

TEST_CASE("trials share their states exactly until they part") {
  const auto data = test_data(declared(kBase).trial(0, 0).condition).digest;
  const Identity identity(test_schema());
  const auto control = declared(kBase).trial(0, 0).timeline;
  const auto late = intervened("kind = \"perturb-weights\"\nepsilon = 0.1\nwhen = 10").timeline;
  const auto init = intervened("kind = \"perturb-weights\"\nepsilon = 0.1").timeline;
  for (Step t = 0; t <= 10; ++t)
    CHECK(identity.state(control, t, data) == identity.state(late, t, data));
  for (Step t = 11; t < 14; ++t)
    CHECK(identity.state(control, t, data) != identity.state(late, t, data));
  // An intervention at init is part of the state at step 0 already.
  CHECK(identity.state(control, 0, data) != identity.state(init, 0, data));
  CHECK(identity.state(control, 5, data) != identity.state(control, 6, data));
  // Nothing that acts while training can have changed the state before step 0.
  CHECK(identity.state(control, 0, data) ==
        identity.state(declared(kBase, {"optimizer.lr=0.7"}).trial(0, 0).timeline, 0, data));
  CHECK(identity.state(control, 1, data) !=
        identity.state(declared(kBase, {"optimizer.lr=0.7"}).trial(0, 0).timeline, 1, data));
}
