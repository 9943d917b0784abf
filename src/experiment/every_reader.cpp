#include "experiment/every_reader.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace perturb {
namespace {

const Node* only_entry(const Node& table, std::string_view key) {
  return table.kind == Node::Kind::Table && table.entries.size() == 1 ? table.find(key) : nullptr;
}

}  // namespace

void read_every(const Node& node, Every& every, Problems& problems) {
  constexpr auto kUsage =
      "write \"epoch\", \"end\", \"never\", a number of steps, { epochs = n }, { log = n } for "
      "steps 1, n, n^2, ..., or a list of steps";
  const auto at_least = [](const Node* number, std::int64_t least) {
    return number && number->kind == Node::Kind::Int && number->integer >= least;
  };
  if (node.kind == Node::Kind::String && node.text == "epoch") {
    every.kind = Every::Kind::Epoch;
  } else if (node.kind == Node::Kind::String && node.text == "end") {
    every.kind = Every::Kind::End;
  } else if (node.kind == Node::Kind::String && node.text == "never") {
    every.kind = Every::Kind::Never;
  } else if (node.kind == Node::Kind::Int && node.integer > 0) {
    every = {Every::Kind::Steps, node.integer, {}};
  } else if (const auto* epochs = only_entry(node, "epochs"); at_least(epochs, 1)) {
    every = {Every::Kind::Epoch, epochs->integer, {}};
  } else if (const auto* ratio = only_entry(node, "log"); at_least(ratio, 2)) {
    every = {Every::Kind::Log, ratio->integer, {}};
  } else if (node.kind == Node::Kind::Array && !node.items.empty() &&
             std::all_of(node.items.begin(), node.items.end(), [](const Node& item) {
               return item.kind == Node::Kind::Int && item.integer >= 0;
             })) {
    every.kind = Every::Kind::Listed;
    for (const auto& item : node.items) every.steps.push_back(item.integer);
  } else {
    problems.error(node.place, "\"every\" does not say when", kUsage);
  }
}

}  // namespace perturb
