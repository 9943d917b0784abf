// The assignment problem on bare numbers; assign() is its public face.
#pragma once

#include <cstdint>
#include <vector>

namespace perturb::transport {

/// The column of each row in an assignment of least cost; empty if infinite entries leave none.
/// `costs` is rows x columns, rows <= columns, finite or +inf.
std::vector<std::int64_t> shortest_path_assignment(std::vector<double> costs, std::int64_t rows,
                                                   std::int64_t columns);

}  // namespace perturb::transport
