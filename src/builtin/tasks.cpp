#include <memory>

#include <ATen/ATen.h>

#include "builtin/builtins.h"
#include "builtin/flow_task.h"
#include "perturb/train/supervised.h"

namespace perturb {
namespace {

/// Cross entropy between the softmax of the outputs and the class.
class Classification final : public Supervised {
 public:
  Tensor loss(const Examples& batch, Pass& pass) override {
    // Not the mean of losses(): what was trained so far has the bits of this one.
    return at::cross_entropy_loss(outputs(batch.inputs, pass), batch.targets);
  }

 protected:
  Tensor losses(const Tensor& outputs, const Tensor& targets) override {
    return at::cross_entropy_loss(outputs, targets, {}, at::Reduction::None);
  }
};

}  // namespace

void add_tasks(Registries& registries) {
  registries.tasks.add("classification",
                       [](const Condition&) { return std::make_unique<Classification>(); });
  registries.tasks.add("flow-matching", [](const Condition& condition) {
    return std::make_unique<FlowMatching>(condition);
  });
}

}  // namespace perturb
