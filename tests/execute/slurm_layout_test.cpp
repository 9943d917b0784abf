#include "execute/slurm_layout.h"

#include <algorithm>
#include <map>
#include <random>

#include <doctest/doctest.h>

namespace {

using namespace perturb;

struct Place {
  std::size_t array, task, at;
};

/// Where each stage is; checks that each is somewhere, once.
std::vector<Place> places_of(const std::vector<ArrayLayout>& arrays, std::size_t stages) {
  std::vector<Place> places(stages, {arrays.size(), 0, 0});
  std::size_t seen = 0;
  for (std::size_t array = 0; array < arrays.size(); ++array) {
    for (std::size_t task = 0; task < arrays[array].tasks.size(); ++task) {
      const auto& all = arrays[array].tasks[task];
      CHECK_FALSE(all.empty());
      for (std::size_t at = 0; at < all.size(); ++at, ++seen) {
        REQUIRE(all[at] < stages);
        CHECK(places[all[at]].array == arrays.size());
        places[all[at]] = {array, task, at};
      }
    }
  }
  CHECK(seen == stages);
  return places;
}

void check_order(const std::vector<Unsubmitted>& stages, const std::vector<ArrayLayout>& arrays) {
  const auto places = places_of(arrays, stages.size());
  for (std::size_t number = 0; number < stages.size(); ++number) {
    std::vector<std::size_t> before = stages[number].after;
    if (stages[number].parent) before.push_back(*stages[number].parent);
    const Place& here = places[number];
    for (const std::size_t other : before) {
      const Place& there = places[other];
      if (there.array == here.array) {
        // Tasks of one array are carried out in any order: only within one is there any.
        CHECK(there.task == here.task);
        CHECK(there.at < here.at);
      } else {
        const auto& after = arrays[here.array].after;
        CHECK(there.array < here.array);
        CHECK(std::find(after.begin(), after.end(), there.array) != after.end());
      }
    }
    const auto& jobs = arrays[here.array].jobs;
    for (const std::string& job : stages[number].jobs)
      CHECK(std::find(jobs.begin(), jobs.end(), job) != jobs.end());
  }
}

}  // namespace

TEST_CASE(
    "whatever waits for whatever, everything is carried out once and in order, in few arrays") {
  const auto seed = std::random_device{}();
  INFO("seed ", seed);
  std::mt19937 random(seed);
  const auto below = [&](std::size_t n) { return random() % n; };
  for (int round = 0; round < 300; ++round) {
    std::vector<Unsubmitted> stages(1 + below(200));
    for (std::size_t number = 0; number < stages.size(); ++number) {
      if (number > 0 && below(4) > 0) stages[number].parent = below(number);
      if (number > 0 && below(4) == 0) stages[number].after.push_back(below(number));
      if (below(20) == 0) stages[number].jobs.push_back(std::to_string(below(3)));
      stages[number].alone = below(30) == 0;
      stages[number].steps = static_cast<Step>(below(100));
    }
    const LayoutLimits limits{.array = 1 + below(20),
                              .tasks = 1 + below(100),
                              .bundle = 1 + below(3),
                              .bundle_steps = static_cast<Step>(below(2) * below(300))};
    const auto arrays = lay_out(stages, limits);
    check_order(stages, arrays);
    for (const auto& array : arrays) CHECK(array.tasks.size() <= limits.array);
    const auto lonely = static_cast<std::size_t>(
        std::count_if(stages.begin(), stages.end(), [](const auto& stage) { return stage.alone; }));
    CHECK(arrays.size() <= kMostLevels + kMostArrays + lonely);
  }
}

TEST_CASE("a path is one task, and what forks from it waits for it") {
  // 0 - 1 - 2, with 3 and 4 forking after 1.
  std::vector<Unsubmitted> stages(5);
  for (const std::size_t child : {1u, 2u, 3u, 4u}) stages[child].parent = child < 3 ? child - 1 : 1;
  const auto arrays = lay_out(stages, {});
  REQUIRE(arrays.size() == 2);
  CHECK(arrays[0].tasks == std::vector<std::vector<std::size_t>>{{0, 1, 2}});
  CHECK(arrays[1].tasks == std::vector<std::vector<std::size_t>>{{3}, {4}});
  CHECK(arrays[1].after == std::vector<std::size_t>{0});
}

TEST_CASE("ten thousand stages are a bounded number of tasks and arrays") {
  const std::vector<Unsubmitted> stages(10'000);
  const auto arrays = lay_out(stages, {.array = 1001, .tasks = 1000});
  REQUIRE(arrays.size() == 1);
  CHECK(arrays[0].tasks.size() == 1000);
  // And where arrays are small.
  const auto small = lay_out(stages, {.array = 10, .tasks = 1000});
  CHECK(small.size() == kMostArrays);
}

TEST_CASE("a thousand stages make less than twenty arrays however deep they lie") {
  for (const std::size_t width : {1u, 2u, 10u, 500u}) {
    std::vector<Unsubmitted> stages(1000);
    // Each waits for one of the row before, and compares with another.
    for (std::size_t number = width; number < stages.size(); ++number) {
      stages[number].parent = number - width;
      stages[number].after = {number - width - (number % width) + (number * 7) % width};
    }
    const auto arrays = lay_out(stages, {.array = 17});
    CHECK(arrays.size() < 20);
    check_order(stages, arrays);
  }
}

TEST_CASE("short stages are put together, and one that ended a task before is alone") {
  std::vector<Unsubmitted> stages(6);
  for (auto& stage : stages) stage.steps = 10;
  stages[2].alone = true;
  const auto arrays = lay_out(stages, {.bundle_steps = 25});
  REQUIRE(arrays.size() == 1);
  const std::vector<std::vector<std::size_t>> wanted = {{0, 1, 3}, {2}, {4, 5}};
  CHECK(arrays[0].tasks == wanted);
}
