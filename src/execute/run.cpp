#include "perturb/execute/run.h"

namespace perturb {

namespace {

void count(RunCounts& counts, Outcome outcome) {
  switch (outcome) {
    case Outcome::Done:
      ++counts.done;
      return;
    case Outcome::Diverged:
      ++counts.diverged;
      return;
    case Outcome::Interrupted:
      ++counts.interrupted;
      return;
    case Outcome::Failed:
    case Outcome::Crashed:
    case Outcome::OutOfMemory:
    case Outcome::TimedOut:
      ++counts.failed;
      return;
  }
}

}  // namespace

RunCounts carry_out(const std::vector<std::size_t>& order, Executor& executor,
                    const RunEvents& events, const std::atomic<bool>& stop,
                    const RunOptions& options) {
  RunCounts counts;
  std::size_t next = 0;
  std::size_t under_way = 0;
  bool stopping = false;
  while (under_way > 0 || (next < order.size() && !stopping)) {
    const bool failed = options.fail_fast && counts.failed + counts.diverged > 0;
    if (!stopping && (stop.load() || failed)) {
      stopping = true;
      executor.stop();
      continue;
    }
    while (!stopping && next < order.size() && executor.room() > 0 && !stop.load()) {
      executor.start(order[next]);
      ++under_way;
      if (events.started) events.started(order[next]);
      ++next;
    }
    Ended ended;
    if (under_way > 0 && executor.wait(options.tick_milliseconds, ended)) {
      --under_way;
      count(counts, ended.record.outcome);
      events.keep(ended);
      if (events.ended) events.ended(ended);
    } else if (events.idle) {
      events.idle();
    }
    if (events.tick) events.tick(executor.running());
  }
  counts.not_started = order.size() - next;
  return counts;
}

}  // namespace perturb
