// Figures on a page: each with its caption, its data as a table, and the query that gives them.
#pragma once

#include <string>
#include <vector>

#include "perturb/report/plot.h"

namespace perturb {

/// All of them, and what the page's script needs to draw them.
std::string figures_html(const std::vector<Figure>& figures);

}  // namespace perturb
