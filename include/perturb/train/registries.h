// The factories of everything that a trial is put together from, by the names of the catalog.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "perturb/core/registry.h"
#include "perturb/core/value.h"
#include "perturb/experiment/condition.h"

namespace perturb {

class Intervention;
class Metric;
class Model;
class Optimizer;
class Schedule;
class Task;
struct Dataset;
struct DataShape;

using Parameters = std::map<std::string, Value>;

/// Factories read the fields of their own section, and the seeds. They may throw Error when
/// parts do not fit each other.
using TaskFactory = std::function<std::unique_ptr<Task>(const Condition&)>;
/// The model comes initialised.
using ModelFactory = std::function<std::unique_ptr<Model>(const Condition&, const DataShape&)>;
/// Folders are searched in order. The data set comes whole, on the CPU.
using DatasetFactory =
    std::function<Dataset(const Condition&, const std::vector<std::filesystem::path>& folders)>;
/// Still without hyperparameters: configure() comes next.
using OptimizerFactory = std::function<std::unique_ptr<Optimizer>()>;
/// A schedule that aims at the end of the run finds that step in its own fields: what stages share
/// must not depend on where a trial ends.
using ScheduleFactory = std::function<std::unique_ptr<Schedule>(const Condition&)>;
using InterventionFactory =
    std::function<std::unique_ptr<Intervention>(const Parameters&, const Condition&)>;
using MetricFactory = std::function<std::unique_ptr<Metric>(const Parameters&)>;

struct Registries {
  Registry<TaskFactory> tasks{"task"};
  Registry<ModelFactory> models{"model"};
  Registry<DatasetFactory> data_sets{"data set"};
  Registry<OptimizerFactory> optimizers{"optimizer"};
  Registry<ScheduleFactory> schedules{"schedule"};
  Registry<InterventionFactory> interventions{"intervention"};
  Registry<MetricFactory> metrics{"metric"};
};

}  // namespace perturb
