#include "cli/report_writer.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <fstream>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "cli/plugins.h"
#include "cli/summary_view.h"
#include "cli/wording.h"
#include "perturb/core/files.h"
#include "perturb/report/report.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kLeastPause{5};
constexpr int kPauses = 200;  ///< of the time that a page took

std::string now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

}  // namespace

void check_page(const fs::path& path) {
  std::error_code error;
  const fs::file_type type = fs::status(path, error).type();
  if (type == fs::file_type::not_found) return;
  if (type == fs::file_type::regular) {
    std::array<char, 2048> head{};
    std::ifstream file(path, std::ios::binary);
    file.read(head.data(), head.size());
    const std::string_view text(head.data(), static_cast<std::size_t>(file.gcount()));
    if (text.empty() || text.find("<meta name=generator content=\"perturb ") != text.npos) return;
  }
  throw Error(ExitCode::Usage, path.string() + " is there already, and is no page of perturb's",
              "name another one with -o");
}

ReportWriter::ReportWriter(Context& context, const Experiment& experiment, const Store& store,
                           Options options)
    : context_(context), experiment_(experiment), store_(store), options_(std::move(options)) {
  if (options_.page.empty()) options_.page = options_.file.stem().string() + ".html";
  check_page(options_.page);
}

void ReportWriter::write(const Plan& plan, int refresh) {
  const Results results = results_of(experiment_, plan, store_);
  const std::string text = report_page(
      results, store_,
      {.summary = options_.summary,
       .plotters = all_plotters(context_),
       .command = context_.command_line,
       .written = now(),
       .work = {{"trials",
                 fmt::format("{}, of which {} distinct", plan.trials.size(), plan.distinct)},
                {"steps asked for", grouped(plan.steps_asked)},
                {"when what trials share is trained once", grouped(plan.steps_shared)}},
       .refresh = refresh});
  // Nobody's only copy: the store has everything.
  write_unsynced(options_.page, text);
}

std::string ReportWriter::follow(const Plan& plan) {
  const Clock::time_point begun = Clock::now();
  if (begun < next_) return {};
  std::string trouble;
  try {
    write(plan, /*refresh=*/static_cast<int>(kLeastPause.count()));
  } catch (const Error& error) {
    if (!std::exchange(told_, true)) trouble = "no report was written: " + printable(error.what());
  }
  const Clock::time_point ended = Clock::now();
  next_ = ended + std::max<Clock::duration>(kLeastPause, kPauses * (ended - begun));
  return trouble;
}

}  // namespace perturb
