// The other end of an executor that works through processes: what a worker process does.
//
// A worker gets stages and leaves records, nothing else: it never opens the database. A stage
// comes as a file with an assignment (JSON). Records are left in a folder, by rename, so that
// each is there whole or not at all: `<name>.<n>.json`, n = 0, 1, ... in the order in which they
// were made; the last one has the ending `.last.json`. `name` is the stage file's, without its
// ending. The owner takes them in order, each once, and knows a late or foreign one by its name.
#pragma once

#include <filesystem>
#include <string>

#include "perturb/execute/executor.h"

namespace perturb {

struct StageFile {
  std::filesystem::path assignment;
  std::filesystem::path records;  ///< folder
};

/// Carries out the stage in the file, in this thread, leaving its records. Throws Error when the
/// file is no assignment or a record cannot be written.
void work_on(const StageFile& stage, const Carry& carry, Progress& progress);

/// Serves an executor: reads names of stage files from standard input, a line each, and works on
/// them until it ends; writes `step <n> <loss>` at most ten times a second while one is under way,
/// `record` after each record but the last, and `over` after that one, to standard output. Whatever
/// else is printed there goes to standard error. SIGTERM stops the stage at its next step, and then
/// this returns. Throws Error as `work_on` does: the process should say so and end, for it cannot
/// answer for the stage. Once in a process.
void serve_stages(const std::filesystem::path& records, const Carry& carry);

}  // namespace perturb
