#include "report/plots/level_cells.h"
#include "report/plots/plots.h"

namespace perturb {

Figure plot_networks(const PlotSpec& spec, const Results& results) {
  return level_cells_figure(
      spec, results,
      {.parameters = {"of"},
       .across = "networks",
       .title = "Generated networks, and what they are held against",
       .manner = "by network",
       .leads = true,
       .same_places = true,
       .none = "no metric of that name is of networks; [[metrics]] of kind network-accuracy, "
               "novelty, error-overlap and rms-ratio with levels of `of` are"});
}

}  // namespace perturb
