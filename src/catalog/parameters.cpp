#include "catalog/parameters.h"

#include <utility>

namespace perturb {

Parameter count(std::string name, std::int64_t fallback, double most, std::string unit,
                std::string help) {
  return {
      .name = std::move(name),
      .type = Type::Int,
      .fallback = fallback,
      .help = std::move(help),
      .unit = std::move(unit),
      .least = 1,
      .most = most,
  };
}

}  // namespace perturb
