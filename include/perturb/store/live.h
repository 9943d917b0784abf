// What a run that goes on leaves for onlookers: FOLDER/live.json, a courtesy and no part of the
// results. Only the owner of the store writes it, about once a second. It may be missing, old, torn
// or somebody else's; whoever reads it gets something valid or nothing, and nobody is harmed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perturb/store/record.h"

namespace perturb {

/// Bounds of what is written and read: a file is never larger than some 100 kB.
inline constexpr std::size_t kMostLiveStages = 32;
inline constexpr std::size_t kMostLiveLosses = 40;
inline constexpr std::size_t kMostLiveEnded = 8;
inline constexpr std::size_t kLongestLiveName = 300;  ///< bytes

/// A stage under way.
struct LiveStage {
  std::int64_t number = 0;  ///< its trial's place in the experiment
  std::string name;         ///< of that trial, for people
  std::int64_t trials = 1;  ///< that have the stage in common
  std::int64_t begin = 0;   ///< steps, as are the next two
  std::int64_t step = 0;    ///< how far it is
  std::int64_t end = 0;
  double rate = 0;           ///< steps a second; 0 while not known
  std::vector<double> loss;  ///< of training, in step order, evenly spaced; may hold NaN
};

/// A trial that has just ended.
struct LiveEnded {
  std::int64_t number = 0;
  std::string name;
  Outcome outcome = Outcome::Done;
  std::int64_t step = 0;
};

struct Live {
  std::int64_t run = 0;     ///< runs.id
  std::int64_t beat = 0;    ///< grows with every write
  std::int64_t trials = 0;  ///< that the run has to carry out
  std::int64_t over = 0;    ///< of these, ended in whatever way
  std::int64_t failed = 0;  ///< of these, diverged or failed
  double share = 0;         ///< of the steps, taken: 0 to 1
  double left = -1;         ///< seconds; negative: not known
  std::int64_t stages = 0;  ///< under way, of which `running` has the first
  std::vector<LiveStage> running;
  std::vector<LiveEnded> ended;  ///< the latest, the very latest last
};

/// Replaces what is there. Not synced: after a power cut it may be anything. False, and nothing of
/// it is left, where it cannot be written (a full disk): a run is not to end of that.
bool write_live(const std::filesystem::path& store_folder, const Live& live) noexcept;
/// Missing is fine.
void remove_live(const std::filesystem::path& store_folder) noexcept;
/// Nothing where there is no regular file of the form that `write_live` gives it, within its
/// bounds.
std::optional<Live> read_live(const std::filesystem::path& store_folder) noexcept;

/// What can be told from here of a process that began a run.
enum class Sign {
  Alive,
  Gone,
  Elsewhere,  ///< on another host: nothing
};
Sign sign_of(std::string_view host, std::int64_t process);

}  // namespace perturb
