// Answers of the store as tables on a page.
#pragma once

#include <string>

#include "perturb/store/store.h"
#include "report/page/html.h"

namespace perturb {

/// Columns without a text are numbers.
HtmlTable table_of(const Table& table);

}  // namespace perturb
