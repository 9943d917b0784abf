// Generated data that distributions are fitted to.
#include <algorithm>

#include "catalog/families.h"
#include "catalog/parameters.h"
#include "perturb/catalog/catalog.h"

namespace perturb {
namespace {

using Values = std::map<std::string, Value>;

/// Of points, which are drawn: none is worth a gigabyte.
Parameter drawn(std::string name, std::int64_t fallback, std::string help,
                std::string unit = "examples") {
  return count(std::move(name), fallback, 1e7, std::move(unit), std::move(help));
}

Parameter length(std::string name, double fallback, std::string help) {
  return {
      .name = std::move(name),
      .type = Type::Float,
      .fallback = fallback,
      .help = std::move(help),
      .unit = "lengths",
      .least = 0,
  };
}

Parameter spread(double fallback) {
  return length("spread", fallback, "Standard deviation of a cloud along every axis.");
}

Parameter seed() {
  return {
      .name = "seed",
      .type = Type::Int,
      .fallback = 0,
      .help = "Which points are drawn.",
      .least = 0,
  };
}

Parameter examples(std::int64_t fallback) {
  return drawn("examples", fallback, "Training examples.");
}
Parameter test_examples(std::int64_t fallback) {
  return drawn("test_examples", fallback, "Test examples, drawn from the same clouds.");
}

std::string check_shift(const Values& parameters) {
  return parameters.at("shift").as_list().size() == 2
             ? ""
             : "shift has " + std::to_string(parameters.at("shift").as_list().size()) +
                   " numbers, and the points two coordinates";
}

std::string check_mixture(const Values& parameters) {
  const auto centres = parameters.at("centres").as_list().size();
  const auto features = static_cast<std::size_t>(parameters.at("features").as_int());
  const auto& shares = parameters.at("shares").as_list();
  if (centres == 0 || centres % features != 0)
    return "centres has " + std::to_string(centres) +
           " numbers, which are no rows of features = " + std::to_string(features);
  if (!shares.empty() && shares.size() != centres / features)
    return "shares has " + std::to_string(shares.size()) + " numbers for " +
           std::to_string(centres / features) + " centres";
  const bool none = std::ranges::all_of(shares, [](const Value& v) { return v.as_float() == 0; });
  return !shares.empty() && none ? "shares are all zero" : "";
}

std::string check_masses(const Values& parameters) {
  const auto& masses = parameters.at("masses").as_list();
  const bool any = std::ranges::any_of(masses, [](const Value& v) { return v.as_float() > 0; });
  return any ? "" : "masses are all zero";
}

}  // namespace

void add_sample_data(Schema& schema) {
  schema.add({
      .family = Family::Data,
      .name = "four-gaussians",
      .help = "Generated: points in the plane from four normal clouds in turn, at (radius, 0), "
              "(-radius, 0), (0, radius) and (0, -radius) from `shift`.",
      .parameters = data_parameters({examples(19200),
                                     test_examples(1000),
                                     length("radius", 2.0, "Distance of the clouds from `shift`."),
                                     spread(0.4),
                                     {
                                         .name = "shift",
                                         .type = Type::FloatList,
                                         .fallback = List{0.0, 0.0},
                                         .help = "Added to every point: two coordinates.",
                                         .unit = "lengths",
                                     },
                                     seed()}),
      .check = check_shift,
  });
  schema.add({
      .family = Family::Data,
      .name = "evidence",
      .help =
          "Generated: a few points in the plane from each of several domains, normal clouds at "
          "equal angles around the origin, the first at angle 0. A point's class is its domain.",
      .parameters = data_parameters(
          {drawn("domains", 3, "Number of clouds.", "domains"),
           drawn("points", 35, "Training examples of a domain."),
           drawn("test_points", 200, "Test examples of a domain."),
           length("radius", 3.4, "Distance of the centres from the origin."), spread(0.7), seed()}),
  });
  schema.add({
      .family = Family::Data,
      .name = "gaussian-mixture",
      .help = "Generated: points from normal clouds, each point's cloud drawn by its share.",
      .parameters = data_parameters({examples(50000),
                                     test_examples(1000),
                                     {
                                         .name = "centres",
                                         .type = Type::FloatList,
                                         .fallback = List{-5.0, -5.0, 4.0, 3.0},
                                         .help = "The coordinates of one centre after the other.",
                                         .unit = "lengths",
                                     },
                                     drawn("features", 2, "Coordinates of a point.", "features"),
                                     {
                                         .name = "shares",
                                         .type = Type::FloatList,
                                         .fallback = List{},
                                         .help = "Of the clouds, by their proportions; [] is the "
                                                 "same for all.",
                                         .least = 0,
                                     },
                                     spread(1.0),
                                     seed()}),
      .check = check_mixture,
  });
  schema.add({
      .family = Family::Data,
      .name = "histogram",
      .help = "One example, to train and to test on: the masses of bins 0, 1, 2, ... A step is an "
              "epoch.",
      .parameters = data_parameters({{
          .name = "masses",
          .type = Type::FloatList,
          .fallback = List{0.1, 0.2, 0.11, 0.11, 0.05, 0.02, 0.03, 0.05, 0.11, 0.15, 0.07},
          .help = "Of the bins, divided by their sum.",
          .least = 0,
      }}),
      .check = check_masses,
  });
}

}  // namespace perturb
