// The catalog in parts, one function a group of families that are read together.
#pragma once

#include <string>

#include "perturb/experiment/schema.h"

namespace perturb {

void add_models(Schema& schema);
void add_data_sets(Schema& schema);
void add_sample_data(Schema& schema);  ///< data that distributions are fitted to
void add_fits(Schema& schema);         ///< tasks that fit distributions
void add_training(Schema& schema);     ///< tasks, optimizers, schedules, [train], [seeds]
void add_interventions(Schema& schema);
void add_metrics(Schema& schema);
void add_sample_metrics(Schema& schema);  ///< of what distributions are fitted to
void add_plots(Schema& schema);

/// Larger counts than these are slips of the keyboard: they would overflow a product or ask
/// for terabytes, long after the experiment file was accepted.
inline constexpr double kMostUnits = 1 << 20;
inline constexpr double kMostExamples = 1e9;
inline constexpr double kMostEpochs = 1e9;
inline constexpr double kMostSteps = 1e15;

}  // namespace perturb
