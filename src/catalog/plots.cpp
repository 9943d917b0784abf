#include "catalog/families.h"

namespace perturb {
namespace {

Parameter plotted_metric() {
  return {
      .name = "metric",
      .type = Type::String,
      .help = "What is plotted, by its label: \"test.accuracy\".",
  };
}

Parameter axis(const std::string& name, const std::string& help) {
  return {.name = name, .type = Type::String, .help = help};
}

}  // namespace

void add_plots(Schema& schema) {
  const auto undrawn =
      always("this build does not draw plots yet; `perturb query` has the figures");
  schema.add({
      .family = Family::Plot,
      .name = "curves",
      .help = "The metric against steps: replicates thin, their mean thick, the control black.",
      .parameters = {plotted_metric()},
      .unsupported = undrawn,
  });
  schema.add({
      .family = Family::Plot,
      .name = "contrasts",
      .help = "Every intervention's difference from its control, with its interval.",
      .parameters = {plotted_metric()},
      .unsupported = undrawn,
  });
  schema.add({
      .family = Family::Plot,
      .name = "heatmap",
      .help = "The metric at the end of the run over two factors.",
      .parameters = {plotted_metric(), axis("x", "The factor across, as \"optimizer.lr\"."),
                     axis("y", "The factor upwards.")},
      .unsupported = undrawn,
  });
}

}  // namespace perturb
