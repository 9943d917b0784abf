// What the readers of an experiment file's parts share: what has been read so far, and how tables
// and keys of the condition are walked through. Each part has a reader of its own.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "experiment/reader.h"

namespace perturb {

struct Reading {
  const Fields& fields;
  const std::filesystem::path& folder;  ///< that relative names of files start from
  Problems& problems;
  Declaration out;
  std::vector<Override> overrides;      ///< of the command line, each of a field that there is
  std::set<std::string> overridden;     ///< paths whose levels in the file were replaced by them
  std::map<std::string, Place> varied;  ///< where each varying path varies
};

/// "optimizer" of "optimizer.lr", and "lr".
std::string section_of(const std::string& path);
std::string key_of(const std::string& path);
/// The section of a name, or null.
const Section* find_section(std::string_view name);

/// Calls `read` for every table of an array of tables; anything else there is an error.
void each_table(const Reading& reading, const Node& root, const std::string& key,
                const std::function<void(const Node&)>& read);

/// Calls `leaf(path, place, node)` for every condition key below a table, and says which keys
/// are unknown. `prefix` is the path so far.
void each_field(const Reading& reading, const Node& table, const std::string& prefix,
                const std::function<void(const std::string&, const Place&, const Node&)>& leaf);

/// Says that no condition has this key, and which is near.
void say_unknown(const Reading& reading, const std::string& path, const Place& place);

/// Whether the keys of an entry are paired.
bool read_zip(const Reading& reading, const Node& entry);

/// Notes where a path varies; it may in one place only.
void note_varied(Reading& reading, const std::string& path, const Place& place);

}  // namespace perturb
