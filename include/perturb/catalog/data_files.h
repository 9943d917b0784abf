// Where the files of a data set are, on this machine and in the world, and what has to be
// known of them before anything is trained. Does not load data; the training half does,
// from the files that are located here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "perturb/core/digest.h"
#include "perturb/experiment/condition.h"
#include "perturb/experiment/schema.h"

namespace perturb {

/// One file of a data set, as officially released. Accepted as it is or with ".gz".
struct DataFile {
  std::string_view name;
  std::size_t bytes = 0;    ///< unpacked
  std::string_view sha256;  ///< of the unpacked content
  bool train = true;        ///< holds training examples
};

/// A data set that consists of files which somebody publishes.
struct DataSource {
  std::string_view kind;
  std::vector<DataFile> files;  ///< in the order in which they enter the digest
  /// Subfolders of a data folder that may hold them; the first is where `data fetch` puts them.
  std::vector<std::string_view> folders;
  /// No other data set has files of these names, so that the folder's name need not tell.
  bool own_names = false;
  std::vector<std::string_view> addresses;  ///< folders on the web, the official one first
  /// The files come in this archive (tar, gzip), else one by one as NAME.gz.
  DataFile archive;
  std::string_view package;  ///< of Debian; "" when there is none
};

const std::vector<DataSource>& data_sources();
/// Null for data that are generated, built in, or named by the experiment file.
const DataSource* find_source(std::string_view kind);

struct DataOptions {
  std::vector<std::filesystem::path> folders;  ///< --data
  std::filesystem::path beside;  ///< folder of the experiment file; "" is the current folder
};

/// Where to look, in order: --data, $PERTURB_DATA (separated by colons), `data` beside the
/// experiment file and in the current folder, user_data_folder(), the system's packages.
std::vector<std::filesystem::path> data_folders(const DataOptions& options);

/// $XDG_DATA_HOME/perturb or ~/.local/share/perturb; empty without a home.
std::filesystem::path user_data_folder();
/// $XDG_CACHE_HOME/perturb or ~/.cache/perturb; empty without a home.
std::filesystem::path user_cache_folder();

struct Located {
  std::vector<std::filesystem::path> files;  ///< as in DataSource::files, if complete
  std::vector<std::filesystem::path> looked_in;
  bool complete = false;
  std::string remark;  ///< what was nearly found: files missing, files of another data set
};

/// Looks in every folder for a subfolder of the data set's name, and in the folder itself.
/// MNIST and Fashion-MNIST have the same file names: files that lie in a folder which is not
/// named after either are told apart by their content. `kind` must have a source.
Located locate(std::string_view kind, const std::vector<std::filesystem::path>& folders);

/// Where the data set was looked for and how to get it, in one line.
std::string how_to_get(std::string_view kind, const Located& located);

/// Checks the unpacked bytes of a file: form, sizes, labels. Not the checksum, so that other
/// data in the same form may be used. Returns the number of examples, or throws Error.
std::int64_t inspect(const DataFile& file, std::string_view bytes);

/// Counts and digest for the `data.*` fields of a condition. Never throws for data that are
/// missing or damaged: DataFacts::missing says so.
///
/// The digest covers the unpacked content of the files in order with their names, or that of
/// a csv file; it is zero for data that are generated or built in. What was computed
/// is remembered in user_cache_folder() until a file changes, so that only the first call has
/// to read the files.
DataFacts facts(const Condition& condition, const DataOptions& options);

/// The same where `schema` may have data sets of plugins, which answer for themselves.
DataFacts facts(const Condition& condition, const DataOptions& options, const Schema& schema);

}  // namespace perturb
