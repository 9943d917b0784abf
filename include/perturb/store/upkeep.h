// Looking after a store: what is wrong with it, and what in it nobody needs any more. Knows nothing
// of training: what has to be forgotten, the next run makes again.
//
// Measurements are never removed, and neither is a checkpoint that an experiment in the store wants
// (Retention). What goes, goes by law 6: the row first, then its blob.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "perturb/core/digest.h"
#include "perturb/store/store.h"

namespace perturb {

/// Something that `inspect` came upon.
struct Finding {
  enum class Kind {
    Database,    ///< results.db contradicts itself, or cannot be read
    Missing,     ///< a checkpoint whose blob is not there
    Size,        ///< ... is longer or shorter than its row says
    Bytes,       ///< ... does not hold the bytes of its name
    Format,      ///< ... holds them, but they are no safetensors
    Unreadable,  ///< ... is there, and the disk or its permissions do not give it
    Unused,      ///< a file that no row refers to: no damage
  };
  Kind kind = Kind::Database;
  std::string subject;  ///< "checkpoint of momentum 3 at step 200", or a file below the folder
  std::string message;  ///< what is wrong with it
  std::string advice;   ///< what to do where `repair` cannot; may be empty
  bool repairable = false;
  Digest state;  ///< of a checkpoint

  bool damage() const { return kind != Kind::Unused; }
};
/// "database", "missing", ...
std::string_view name_of(Finding::Kind kind);

struct Inspection {
  std::vector<Finding> findings;
  std::size_t checkpoints = 0;
  std::uintmax_t bytes = 0;  ///< of their blobs, as the rows say: a shared one counts once
};

/// Something that nobody needs.
struct Garbage {
  enum class Kind {
    Temporary,   ///< left by whoever was killed while it wrote a file
    Work,        ///< a folder of isolated workers of a run that was killed
    Blob,        ///< no row refers to it
    Checkpoint,  ///< no experiment wants it
  };
  Kind kind = Kind::Temporary;
  std::filesystem::path path;
  std::uintmax_t bytes = 0;  ///< that go with it; 0 where another checkpoint has the same blob
  std::string subject;       ///< whose checkpoint; else empty
  Digest state;              ///< of a checkpoint
};
std::string_view name_of(Garbage::Kind kind);

/// Whether the folder is one that isolated workers wrote to, and nobody else.
bool is_left_work(const std::filesystem::path& folder);

class Upkeep {
 public:
  /// `store` must outlive it.
  explicit Upkeep(Store& store);

  /// Told how many bytes were read, of how many.
  using Meter = std::function<void(std::uintmax_t done, std::uintmax_t all)>;
  /// Looks at everything and reads every blob. Changes nothing and holds nobody up: beside a
  /// writer, checkpoints that are replaced meanwhile are no findings, but what it has not referred
  /// to yet is called unused. Throws Error(Disk) when a folder cannot be listed.
  Inspection inspect(const Meter& meter = {}) const;

  /// Forgets the checkpoints that `inspect` of this store, open for removing, found to be bad, and
  /// returns those findings. Where the database is damaged nothing is forgotten: writing to it
  /// would make that worse. Makes the reserve again.
  std::vector<Finding> repair(const std::vector<Finding>& findings);

  /// What can go, files first. Beside a writer see `inspect`.
  std::vector<Garbage> garbage() const;

  /// Removes what `garbage` of this store, open for removing, listed, and makes the reserve again.
  /// Durable when it returns; when it throws Error(Disk), what has not gone is still garbage.
  void remove(const std::vector<Garbage>& garbage);

 private:
  void examine_database(Inspection& inspection) const;
  void examine_checkpoints(Inspection& inspection, const Meter& meter) const;
  void examine_files(Inspection& inspection) const;
  std::vector<Garbage> files() const;
  std::vector<Garbage> checkpoints() const;

  Store* store_;
};

}  // namespace perturb
