#include "cli/cores.h"

#include <algorithm>
#include <fstream>
#include <sched.h>
#include <set>
#include <string>

namespace perturb {

namespace {

/// CPUs that the control group grants, rounded up; 0 if there is no limit.
std::size_t quota() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");  // "max 100000" or "150000 100000"
  double granted = 0;
  double period = 0;
  if (!(file >> granted >> period) || granted <= 0 || period <= 0) return 0;
  return static_cast<std::size_t>((granted + period - 1) / period);
}

}  // namespace

std::size_t physical_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    const std::string name = std::to_string(cpu);
    std::ifstream file("/sys/devices/system/cpu/cpu" + name + "/topology/thread_siblings_list");
    std::string siblings;
    cores.insert(std::getline(file, siblings) ? siblings : name);
  }
  const std::size_t found = std::max<std::size_t>(1, cores.size());
  const std::size_t granted = quota();
  return granted > 0 ? std::min(found, granted) : found;
}

}  // namespace perturb
