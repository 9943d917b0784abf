#include "execute/slurm_script.h"

#include <fmt/format.h>

namespace perturb {
namespace {

std::string quoted(const std::string& word) {
  const bool plain = !word.empty() && word.find_first_not_of(
                                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789_./:=,@%+-") == std::string::npos;
  if (plain) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

/// sbatch reads % in the names of logs.
std::string doubled_percents(const std::string& path) {
  std::string text;
  for (const char c : path) text += c == '%' ? std::string("%%") : std::string(1, c);
  return text;
}

constexpr const char* kWorker = R"( &
worker=$!
warned=
trap 'warned=1; kill -USR1 "$worker" 2>/dev/null' USR1
trap 'kill -TERM "$worker" 2>/dev/null' TERM
wait "$worker"
status=$?
# A signal ends a wait, not the worker.
while kill -0 "$worker" 2>/dev/null; do
  wait "$worker"
  status=$?
done
if [ "$status" -gt 128 ]; then
  wait "$worker"
  again=$?
  [ "$again" -eq 127 ] || status=$again
fi
# It has saved how far it came, and goes on from there. Where that is not allowed, whoever submitted
# this does it.
if [ "$status" -eq )";

constexpr const char* kRequeue = R"( ] && [ -n "$warned" ]; then
  scontrol requeue "$SLURM_JOB_ID" && sleep 60
fi
exit "$status"
)";

}  // namespace

std::string script_of(const SlurmOptions& options, const BatchFolder& batch,
                      const ScriptFacts& facts) {
  std::string text = "#!/bin/bash\n";
  const auto option = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) text += fmt::format("#SBATCH --{}={}\n", name, quoted(value));
  };
  option("job-name", facts.name);
  std::string array = fmt::format("0-{}", facts.tasks - 1);
  if (options.at_once > 0) array += fmt::format("%{}", options.at_once);
  option("array", array);
  if (!facts.after.empty()) {
    std::string after = "afterany";
    for (const std::string& job : facts.after) after += ":" + job;
    option("dependency", after);
  }
  option("output", doubled_percents((batch.path() / "logs").string()) + "/%a.txt");
  option("open-mode", "append");
  option("chdir", batch.path().string());
  text += "#SBATCH --requeue\n";
  option("signal", fmt::format("B:USR1@{}", options.warning));
  option("partition", options.partition);
  option("account", options.account);
  option("qos", options.qos);
  option("constraint", options.constraint);
  option("time", options.time);
  option("mem", options.memory);
  option("cpus-per-task", std::to_string(options.cpus));
  option("gpus", options.gpus);
  for (const std::string& line : options.lines) text += fmt::format("#SBATCH {}\n", line);
  text += "\n";
  for (const std::string& module : options.modules)
    text += fmt::format("module load {}\n", quoted(module));
  for (const std::string& line : options.setup) text += line + "\n";

  text += options.container.empty() ? "" : options.container + " ";
  for (const std::string& word : options.command) text += quoted(word) + " ";
  text += fmt::format("{} \"$SLURM_ARRAY_TASK_ID\" \"$SLURM_JOB_ID-${{SLURM_RESTART_COUNT:-0}}\"",
                      quoted(batch.path().string()));
  text += kWorker + std::to_string(kStagesLeft) + kRequeue;
  return text;
}

}  // namespace perturb
