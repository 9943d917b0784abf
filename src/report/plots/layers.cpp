#include "report/plots/level_cells.h"
#include "report/plots/plots.h"

namespace perturb {

Figure plot_layers(const PlotSpec& spec, const Results& results) {
  return level_cells_figure(
      spec, results,
      {.parameters = {"layers", "layer"},
       .across = "layers",
       .title = "Layer by layer",
       .manner = "layer by layer",
       .none = "no metric of that name is of layers; [[metrics]] entries of one kind with "
               "different `layers` or `layer` are"});
}

}  // namespace perturb
