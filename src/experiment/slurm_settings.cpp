#include "experiment/slurm_settings.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "experiment/fields.h"
#include "perturb/core/files.h"

namespace perturb {
namespace {

Parameter text(std::string name, std::string help) {
  return {.name = std::move(name),
          .type = Type::String,
          .fallback = Value(""),
          .help = std::move(help)};
}

Parameter lines(std::string name, std::string help) {
  return {.name = std::move(name),
          .type = Type::StringList,
          .fallback = Value(List{}),
          .help = std::move(help)};
}

Parameter count(std::string name, int fallback, double least, double most, std::string help,
                std::string unit = "") {
  return {.name = std::move(name),
          .type = Type::Int,
          .fallback = Value(fallback),
          .help = std::move(help),
          .unit = std::move(unit),
          .least = least,
          .most = most};
}

Parameter seconds(std::string name, double fallback, double least, std::string help) {
  return {.name = std::move(name),
          .type = Type::Float,
          .fallback = Value(fallback),
          .help = std::move(help),
          .unit = "seconds",
          .least = least,
          .most = 86400};
}

/// What stands in a line of a script must not begin another one.
bool is_one_line(const std::string& text) {
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
}

void check_lines(const Value& value, const Place& place, const std::string& path,
                 Problems& problems) {
  const auto check = [&](const Value& one) {
    if (one.is_string() && !is_one_line(one.as_string()))
      problems.error(place, fmt::format("\"{}\" has a control character in it", path),
                     "it becomes one line of a script; write several as a list of strings");
  };
  if (!value.is_list()) return check(value);
  for (const Value& item : value.as_list()) check(item);
}

void throw_any(Problems& problems) {
  if (problems.any()) throw InvalidExperiment(std::move(problems.errors));
}

}  // namespace

const std::vector<Parameter>& slurm_parameters() {
  static const std::vector<Parameter> all = {
      text("partition", "Partition, or several with commas between; \"\": the cluster's default."),
      text("account", "Account that is charged; \"\": the user's default."),
      text("qos", "Quality of service; \"\": the default."),
      text("constraint", "Features that a node must have: \"skylake&ib\"."),
      text("time", "Limit of a task, as sbatch takes it: \"4:00:00\"; \"\": the partition's."),
      text("memory", "Memory of a task, as sbatch takes it: \"4G\"; \"\": the partition's."),
      count("cpus", 1, 1, 1024, "Processors of a task. Training uses one thread by default."),
      text("gpus", "GPUs of a task, as --gpus takes them: \"1\", \"a100:1\"; \"\": none."),
      lines("lines", "More options of sbatch, one each: \"--exclude=node7\"."),
      lines("modules", "Environment modules that are loaded before the worker starts."),
      lines("setup", "Shell commands that run before the worker starts, after `modules`."),
      text("container",
           "What stands before the worker: \"apptainer exec image.sif\". It must show the "
           "store and the program under their own names."),
      count("array", 0, 0, 4000000, "Tasks of one job array, at most; 0: what the cluster allows."),
      count("tasks", 1000, 1, 1000000,
            "Tasks that stages are divided among, at most, each time they are submitted."),
      count("at_once", 0, 0, 1000000, "Tasks of one array that run at a time; 0: any number."),
      count("bundle", 1, 1, 1000000, "Stages, or paths of them, in one task, at least."),
      count("bundle_steps", 0, 0, 1e15,
            "Short ones are put into one task until it takes that many steps; 0: they are not.",
            "steps"),
      count("warning", 120, 1, 86400,
            "How long before the end of its time a task is asked to save and go on later.",
            "seconds"),
      count("retries", 2, 0, 1000,
            "How often a stage is tried again whose task was killed, cancelled, or out of time "
            "without any progress."),
      seconds("poll", 10, 0.05, "Between two looks at the queue."),
      seconds("patience", 60, 0,
              "How long a file that should be there may take to appear on a network file system."),
  };
  return all;
}

SlurmSettings read_slurm_table(const Node& table, const std::string& path, Problems& problems) {
  SlurmSettings settings;
  if (table.kind != Node::Kind::Table) {
    problems.error(table.place,
                   fmt::format("\"slurm\" must be a table, not {}", name_of(table.kind)),
                   "write [slurm] on a line of its own");
    return settings;
  }
  const auto& known = slurm_parameters();
  for (const auto& [key, place, value] : table.entries) {
    const auto found = std::find_if(known.begin(), known.end(),
                                    [&](const Parameter& one) { return one.name == key; });
    if (found == known.end()) {
      std::vector<std::string> names;
      for (const Parameter& one : known) names.push_back(one.name);
      problems.error(place, fmt::format("unknown key \"{}{}\"", path, key), suggestion(key, names));
      continue;
    }
    auto typed = coerce(value, *found, path + key, {}, problems);
    if (!typed) continue;
    check_lines(*typed, value.place, path + key, problems);
    settings[key] = std::move(*typed);
  }
  return settings;
}

SlurmSettings slurm_settings_of(const Source& experiment) {
  Problems problems;
  const auto root = parse_toml(std::make_shared<const Source>(experiment), problems.errors);
  SlurmSettings settings;
  if (const Node* table = root.find("slurm"))
    settings = read_slurm_table(*table, "slurm.", problems);
  throw_any(problems);
  return settings;
}

SlurmSettings read_slurm_settings(const std::filesystem::path& file) {
  Problems problems;
  const auto source =
      std::make_shared<const Source>(Source{file.string(), read_file(file, kFileLimit)});
  const auto root = parse_toml(source, problems.errors);
  SlurmSettings settings = read_slurm_table(root, "", problems);
  throw_any(problems);
  return settings;
}

}  // namespace perturb
