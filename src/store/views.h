// The users' interface to the database: the views `trials`, `results` and `contrasts`, with a
// column for every factor that any experiment in the store has. docs/store.md is the contract.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "store/sqlite.h"

namespace perturb {

/// The columns of `factors`, in the order in which they were added.
std::vector<std::string> factor_columns(const Database& database);

/// Whether a view has a column of this name already, so that no factor can.
bool is_view_column(std::string_view name);

void drop_views(const Database& database);
/// Over the factors there are now; in the order of their names, so that two stores with the
/// same experiments have the same views.
void create_views(const Database& database);

}  // namespace perturb
