#include "perturb/core/tensor_names.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "perturb/core/error.h"

using namespace perturb;

namespace {

std::vector<NamedTensor> named(const std::vector<std::string>& names) {
  std::vector<NamedTensor> all;
  for (const auto& name : names) all.push_back({name, {}});
  return all;
}

Matching match(const std::vector<std::string>& theirs, const std::vector<std::string>& ours,
               const std::vector<std::string>& names = {}) {
  return match_tensors(named(theirs), named(ours), renamings(names));
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

const std::vector<std::string> kMlp = {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"};

}  // namespace

TEST_CASE("a renaming is a name for a name, or one * for the same characters on both sides") {
  const auto name = [](const std::vector<std::string>& rules, const std::string& before) {
    return renamed(before, renamings(rules));
  };
  CHECK(name({}, "a.b") == "a.b");
  CHECK(name({"a.b=c"}, "a.b") == "c");
  CHECK(name({"a.b=c"}, "a.b.c") == "a.b.c");
  CHECK(name({"module.*=*"}, "module.a.b") == "a.b");
  CHECK(name({"module.*=*"}, "a.module.b") == "a.module.b");
  CHECK(name({"*=net.*"}, "a") == "net.a");
  CHECK(name({"a.*.w=b.*.weight"}, "a.1.2.w") == "b.1.2.weight");
  // What stands before and after the * may not overlap.
  CHECK(name({"aba*ba=x*"}, "aba") == "aba");
  // One after the other.
  CHECK(name({"module.*=*", "0.*=fc1.*"}, "module.0.weight") == "fc1.weight");
  CHECK(name({"head.*=", "*=x*"}, "head.weight") == "");
  for (const auto* wrong : {"", "a", "=a", "a*=b", "a=b*", "a**=*", "a=b=c"})
    CHECK_THROWS_AS(renamings({wrong}), Error);
}

TEST_CASE("tensors are matched by name, whatever their order") {
  const auto matching = match({"fc2.bias", "fc1.weight", "fc2.weight", "fc1.bias"}, kMlp);
  CHECK(matching.wrong.empty());
  REQUIRE(matching.pairs.size() == 4);
  CHECK(matching.pairs[0] == std::pair<std::size_t, std::size_t>{0, 3});
  CHECK(matching.pairs[1] == std::pair<std::size_t, std::size_t>{1, 0});
}

TEST_CASE("what is beside the point may be there or not") {
  CHECK(match({"bn.weight", "bn.num_batches_tracked"}, {"bn.weight"}).wrong.empty());
  CHECK(match({"bn.weight"}, {"bn.weight", "bn.num_batches_tracked"}).wrong.empty());
  CHECK(match({"w", "optimizer.moment.0"}, {"w"}).wrong.empty());
}

TEST_CASE("everything that does not match is listed, long lists by their beginning") {
  const auto matching = match({"fc1.weight", "extra", "more"}, kMlp);
  CHECK(contains(matching.wrong, "the file lacks fc1.bias, fc2.weight, fc2.bias"));
  CHECK(contains(matching.wrong, "the network has no extra, more"));

  std::vector<std::string> many;
  for (int i = 10; i < 50; ++i) many.push_back("layer" + std::to_string(i));
  CHECK(contains(match({}, many).wrong, "layer19 and 30 more"));
  CHECK(match({std::string(100'000, 'x')}, kMlp).wrong.size() < 300);

  CHECK(contains(match({"a", "b"}, {"c"}, {"a=c", "b=c"}).wrong,
                 "more than one tensor is b (here c)"));
}

TEST_CASE("shapes are compared where both are known") {
  const auto differ = match_tensors({{"w", {{2, 3}}}}, {{"w", {{3, 2}}}}, {});
  CHECK(differ.wrong == "shapes differ: w is (2, 3) in the file and (3, 2) here");
  CHECK(differ.pairs.empty());
  CHECK(match_tensors({{"w", {{2, 3}}}}, {{"w", {}}}, {}).wrong.empty());
  CHECK(match_tensors({{"w", {{2, 3}}}}, {{"w", {{2, 3}}}}, {}).wrong.empty());
}

TEST_CASE("the advice is an example that works") {
  const auto expect = [](const std::vector<std::string>& theirs, const std::string& advice,
                         const std::vector<std::string>& rules) {
    CAPTURE(advice);
    const auto matching = match(theirs, kMlp);
    CHECK_MESSAGE(contains(matching.advice, advice), matching.advice);
    CHECK(match(theirs, kMlp, rules).wrong.empty());
  };
  expect({"module.fc1.weight", "module.fc1.bias", "module.fc2.weight", "module.fc2.bias"},
         "weights_names = [\"module.*=*\"]", {"module.*=*"});
  expect({"0.weight", "0.bias", "2.weight", "2.bias"},
         "weights_names = [\"0.*=fc1.*\", \"2.*=fc2.*\"]", {"0.*=fc1.*", "2.*=fc2.*"});
  expect({"fc1.wieght", "fc1.bias", "fc2.weight", "fc2.bias"},
         "weights_names = [\"fc1.wieght=fc1.weight\"]", {"fc1.wieght=fc1.weight"});
  expect({"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias", "head.weight"},
         "weights_names = [\"head.weight=\"]", {"head.weight="});
  // Rules that are there already stay.
  CHECK(contains(match({"module.0.weight", "module.0.bias", "module.2.weight", "module.2.bias"},
                       kMlp, {"module.*=*"})
                     .advice,
                 "[\"module.*=*\", \"0.*=fc1.*\", \"2.*=fc2.*\"]"));
  // fc1 would become fc2 and that fc3: no such example.
  CHECK_FALSE(contains(match({"fc1.weight", "fc2.weight"}, {"fc2.weight", "fc3.weight"}).advice,
                       "fc1.*=fc2.*"));
}
