#include <algorithm>
#include <exception>
#include <functional>
#include <utility>

#include "catalog/digest_cache.h"
#include "perturb/catalog/data_files.h"
#include "perturb/catalog/formats.h"
#include "perturb/catalog/split.h"
#include "perturb/core/error.h"
#include "perturb/core/files.h"

namespace perturb {
namespace {

namespace fs = std::filesystem;

DataFacts missing(std::string why) {
  DataFacts facts;
  facts.missing = std::move(why);
  return facts;
}

std::string one_line(const Error& error) {
  return error.what() + (error.advice().empty() ? "" : "; " + error.advice());
}

/// Digest and number of examples of a file, remembered or computed.
DigestCache::Known known(const fs::path& path, const std::string& what, DigestCache& cache,
                         const std::function<DigestCache::Known()>& compute) {
  const std::string key = DigestCache::key_of(path, what);
  if (auto found = cache.find(key)) return *found;
  const auto computed = compute();
  // A file that changed while it was read, or may yet change within the same tick of its
  // clock, is not remembered: its key would vouch for content that nobody has read.
  if (!key.empty() && DigestCache::key_of(path, what) == key && !DigestCache::too_young(path)) {
    cache.keep(key, computed);
  }
  return computed;
}

DataFacts of_files(const DataSource& source, const Located& located, DigestCache& cache) {
  if (!located.complete) return missing(how_to_get(source.kind, located));
  DataFacts facts;
  std::string text;
  std::int64_t images = 0;
  for (std::size_t i = 0; i < source.files.size(); ++i) {
    const DataFile& file = source.files[i];
    const fs::path& path = located.files[i];
    try {
      const auto content = known(path, std::string(file.name), cache, [&] {
        const std::string bytes = read_maybe_gzip(path, kMostDecodedBytes);
        return DigestCache::Known{.digest = sha256(bytes), .examples = inspect(file, bytes)};
      });
      text += framed(file.name) + framed(content.digest.hex());
      if (file.name.find("labels") == std::string_view::npos) {
        images = content.examples;
        (file.train ? facts.train : facts.test) += images;
      } else if (content.examples != images) {
        return missing(path.string() + ": " + std::to_string(content.examples) + " labels for " +
                       std::to_string(images) + " images");
      }
    } catch (const Error& error) {
      return missing(path.string() + ": " + one_line(error));
    }
  }
  facts.digest = sha256(text);
  return facts;
}

/// What a table is split by, and into what.
struct Words {
  std::string share = "test_fraction";
  std::string rows = "examples";
};

/// Counts of a table that is split, or why it cannot be.
DataFacts divided(std::int64_t rows, std::int64_t test, double fraction, const Words& words = {}) {
  if (test < 1 || test >= rows) {
    return missing(words.share + " " + display(Value(fraction)) + " of " + std::to_string(rows) +
                   " " + words.rows + " leaves none to " + (test < 1 ? "test" : "train") + " on");
  }
  DataFacts facts;
  facts.train = rows - test;
  facts.test = test;
  return facts;
}

DataFacts of_csv(const Condition& condition, const fs::path& beside, DigestCache& cache) {
  fs::path path = condition.text("data.file");
  if (path.is_relative()) path = beside / path;
  std::error_code error;
  if (!fs::is_regular_file(path, error)) {
    return missing("there is no file " + path.string() +
                   " (data.file is relative to the "
                   "experiment file)");
  }
  const CsvOptions options{.header = condition.flag("data.header"),
                           .target = condition.text("data.target")};
  // The options are part of what is remembered: under others the table may be in error.
  const std::string what =
      "csv/" + sha256(framed(options.target) + (options.header ? "1" : "0")).brief();
  try {
    const auto content = known(path, what, cache, [&] {
      const std::string bytes = read_maybe_gzip(path, kMostDecodedBytes);
      return DigestCache::Known{.digest = sha256(bytes), .examples = read_csv(bytes, options).rows};
    });
    const double fraction = condition.number("data.test_fraction");
    auto facts = divided(content.examples, test_rows(content.examples, fraction), fraction);
    if (facts.missing.empty()) facts.digest = content.digest;
    return facts;
  } catch (const Error& problem) {
    return missing(path.string() + ": " + one_line(problem));
  }
}

DataFacts of_iris(const Condition& condition) {
  constexpr std::int64_t kSpecies = 3, kEach = 50;
  const double fraction = condition.number("data.test_fraction");
  return divided(kSpecies * kEach, kSpecies * test_rows(kEach, fraction), fraction);
}

DataFacts of_kind(const Condition& condition, const DataOptions& options, DigestCache& cache) {
  const std::string& kind = condition.text("data.kind");
  if (const auto* source = find_source(kind)) {
    return of_files(*source, locate(kind, data_folders(options)), cache);
  }
  if (kind == "csv") return of_csv(condition, options.beside, cache);
  if (kind == "iris") return of_iris(condition);
  if (kind == "weights") {
    // Counted by whoever reads the other experiment.
    const auto* networks = condition.find("data.networks");
    if (!networks) return missing("the networks of another experiment cannot be counted from here");
    const double share = condition.number("data.held_out");
    return divided(networks->as_int(), test_rows(networks->as_int(), share), share,
                   {"held_out", "networks"});
  }
  if (kind == "gaussian-blobs" || kind == "four-gaussians" || kind == "gaussian-mixture") {
    DataFacts facts;
    facts.train = condition.integer("data.examples");
    facts.test = condition.integer("data.test_examples");
    return facts;
  }
  if (kind == "evidence") {
    DataFacts facts;
    facts.train = condition.integer("data.domains") * condition.integer("data.points");
    facts.test = condition.integer("data.domains") * condition.integer("data.test_points");
    return facts;
  }
  if (kind == "histogram") {
    DataFacts facts;
    facts.train = facts.test = 1;
    return facts;
  }
  return missing("nothing is known of data of kind \"" + kind + "\" before it is loaded");
}

DataFacts limited(DataFacts facts, const Condition& condition) {
  const std::int64_t limit = condition.integer("data.train_examples");
  if (limit > 0) facts.train = std::min(facts.train, limit);
  const Value* tested = condition.find("data.test_examples");
  if (tested && tested->as_int() > 0) facts.test = std::min(facts.test, tested->as_int());
  return facts;
}

/// What it throws is a reason like any other: a plan is made without the data, too.
DataFacts of_plugin(const Component& kind, const Condition& condition, const DataOptions& options) {
  try {
    DataFacts facts = kind.facts(condition, data_folders(options));
    if (facts.missing.empty() && facts.train < 1)
      return missing("the plugin's data set " + kind.name + " has no training examples");
    return facts;
  } catch (const Error& error) {
    return missing(one_line(error));
  } catch (const std::exception& error) {
    return missing("the plugin's data set " + kind.name + ": " + error.what());
  }
}

}  // namespace

DataFacts facts(const Condition& condition, const DataOptions& options) {
  DigestCache cache(user_cache_folder());
  DataFacts facts = of_kind(condition, options, cache);
  cache.save();
  return limited(std::move(facts), condition);
}

DataFacts facts(const Condition& condition, const DataOptions& options, const Schema& schema) {
  const Component* kind = schema.find(Family::Data, condition.text("data.kind"));
  if (!kind || !kind->facts) return facts(condition, options);
  return limited(of_plugin(*kind, condition, options), condition);
}

}  // namespace perturb
