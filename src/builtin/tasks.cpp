#include <memory>

#include <ATen/ATen.h>

#include "builtin/builtins.h"
#include "builtin/fits.h"
#include "builtin/flow_task.h"
#include "perturb/train/supervised.h"

namespace perturb {
namespace {

/// Cross entropy between the softmax of the outputs and the class.
class Classification final : public Supervised {
 protected:
  Tensor losses(const Tensor& outputs, const Tensor& targets) override {
    return at::cross_entropy_loss(outputs, targets, {}, at::Reduction::None);
  }

  Tensor mean_loss(const Tensor& outputs, const Tensor& targets) override {
    return at::cross_entropy_loss(outputs, targets);
  }

  /// The operations that LibTorch's graph of cross_entropy_loss consists of.
  Sloped sloped(const Tensor& outputs, const Tensor& targets) override {
    const at::AutoDispatchBelowADInplaceOrView no_history;
    constexpr std::int64_t kNoClass = -100;  // LibTorch's: no target is ignored
    const auto logs = at::log_softmax(outputs, 1);
    const auto [loss, weight] =
        at::nll_loss_forward(logs, targets, {}, at::Reduction::Mean, kNoClass);
    const auto of_logs = at::nll_loss_backward(loss.new_ones({}), logs, targets, {},
                                               at::Reduction::Mean, kNoClass, weight);
    return {loss, at::_log_softmax_backward_data(of_logs, logs, 1, outputs.scalar_type())};
  }
};

}  // namespace

void add_tasks(Registries& registries) {
  registries.tasks.add("classification",
                       [](const Condition&) { return std::make_unique<Classification>(); });
  add_discrete_fit(registries);
  add_adversarial_tasks(registries);
  add_transport_task(registries);
  registries.tasks.add("flow-matching", [](const Condition& condition) {
    return std::make_unique<FlowMatching>(condition);
  });
}

}  // namespace perturb
