// Reads an experiment file: from the document's tree to a declaration in which every key is
// known, every value typed and every grid counted. Trials are not made here.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "experiment/fields.h"
#include "experiment/grid.h"
#include "experiment/problems.h"
#include "perturb/experiment/experiment.h"

namespace perturb {

/// A value of the base condition.
struct BaseField {
  Value value;
  Place place;
};

/// What an intervention does, or one of the things that it does together.
struct Part {
  std::string kind;
  const Component* component = nullptr;
  std::map<std::string, Value> defaults;  ///< of the kind's parameters
  Place place;
};

/// One [[interventions]] entry: its grid sets "set.<path>", parameters of its parts' kinds, and
/// "when".
struct Entered {
  std::vector<Part> parts;
  Grid grid;
  Place place;
};

/// What results call a setting's factor: "set.<path>" or "<kind>.<parameter>".
std::string factor_name(const Entered& entered, const Setting& setting);

struct Declaration {
  std::string name;
  std::string description;
  std::map<std::string, BaseField> base;  ///< what the file and the overrides say; no defaults
  Grid variations;
  std::vector<Entered> interventions;
  std::vector<MetricSpec> metrics;
  std::vector<Place> metric_places;
  std::vector<PlotSpec> plots;
  CheckpointPolicy checkpoints;
  std::vector<Diagnostic> unsupported;
};

/// A plot of a declared experiment from a table as under [[plots]]; nothing if something is wrong.
std::optional<PlotSpec> read_plot(const Declaration& declared, const Node& entry,
                                  const Fields& fields, const std::filesystem::path& folder,
                                  Problems& problems);

Declaration read_declaration(const std::shared_ptr<const Source>& source,
                             const std::filesystem::path& folder,
                             const std::vector<std::string>& overrides, const Fields& fields,
                             Problems& problems);

}  // namespace perturb
