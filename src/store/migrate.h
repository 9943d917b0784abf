// What results.db has to be before anything uses it: ours, and of this layout. The layout's
// number is the database's user_version; an older file is brought up to date step by step,
// after a copy of it was put beside it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "store/sqlite.h"

namespace perturb {

/// "prtb": by this `file` and we know one of our databases from another.
inline constexpr std::int64_t kApplicationId = 0x70727462;
inline constexpr std::int64_t kLayout = 4;

/// Brings layout `to - 1` to `to`. Views are made anew afterwards.
struct Migration {
  std::int64_t to;
  const char* sql;
};
std::span<const Migration> migrations();

/// Schema, views and the two numbers, in one transaction.
void create_tables(const Database& database);

/// The layout of an existing file. Throws Error(Store) when the file is not one of ours, or
/// newer than `known`.
std::int64_t layout_of(const Database& database, std::int64_t known = kLayout);

/// Brings the file to the last of `steps`, in one transaction; throws with nothing changed. The
/// copy is results-v<from>.db (-2, -3, ... if there is one). The caller holds the store's lock.
/// Returns the copy's path; empty when there was nothing to do.
std::filesystem::path migrate(const Database& database, std::span<const Migration> steps);

}  // namespace perturb
