// The program: reads the command line, runs one command, and turns whatever goes wrong into a
// message that ends in what to do next, and an exit code.
#include <algorithm>
#include <cstdlib>
#include <exception>
#include <signal.h>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <malloc.h>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "perturb/catalog/catalog.h"
#include "perturb/core/diagnostic.h"
#include "perturb/report/table.h"

namespace perturb {
namespace {

/// glibc gives large blocks back to the system after every use, and trials in one process
/// then fight over page faults: two LeNets had 1.45 times the throughput of one, and 1.95
/// times with these thresholds.
void keep_memory() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the largest that glibc accepts
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 16 << 20);
}

void say(Context& context, const Error& error) {
  if (const auto* invalid = dynamic_cast<const InvalidExperiment*>(&error)) {
    context.err.line(invalid->what());
    return;
  }
  context.err.line(inked("error: ", Ink::Red, context.err.color()) + printable(error.what()));
  if (!error.advice().empty()) context.err.line("  " + printable(error.advice()));
}

int run(int argc, char** argv) {
  Context context;
  context.schema = builtin_schema();
  try {
    const ExitCode code =
        run_command_line(std::vector<std::string>(argv + 1, argv + argc), context);
    context.out.flush();
    return static_cast<int>(code);
  } catch (const ClosedPipe&) {
    // As a program that SIGPIPE ends: quietly, with the code that shells know.
    return 128 + SIGPIPE;
  } catch (const Error& error) {
    say(context, error);
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    context.err.line(inked("internal error: ", Ink::Red, context.err.color()) +
                     printable(error.what()));
    context.err.line("  this is a bug in perturb " PERTURB_VERSION
                     ": please report it with the command and the experiment file");
    return static_cast<int>(ExitCode::Bug);
  }
}

}  // namespace
}  // namespace perturb

int main(int argc, char** argv) {
  perturb::keep_memory();
  // A closed pipe is noticed where it is written to; a run must not die of its progress.
  signal(SIGPIPE, SIG_IGN);
  const int code = perturb::run(argc, argv);
  // Data may still lie in the buffer if an exception came first; a failure now has been told.
  std::fflush(stdout);
  return code;
}
