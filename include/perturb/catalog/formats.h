// The file formats that data sets come in, read with every claim of a header checked before
// it is believed. Bytes in, plain values out; no tensors, and no files but in the caller.
//
// Law: whatever the bytes are, a reader returns what they say or throws Error(Usage) with a
// line on what is wrong; it allocates in proportion to what it was given, not to what that claims.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace perturb {

/// Decoded files larger than this are refused: ten times the largest official one.
inline constexpr std::size_t kMostDecodedBytes = std::size_t{512} << 20;

/// An IDX file of unsigned bytes (yann.lecun.com/exdb/mnist): a magic number with the type
/// and the number of dimensions, each dimension as a big-endian 32-bit count, the values.
struct Idx {
  std::vector<std::int64_t> dims;  ///< slowest first: examples, rows, columns
  std::string_view values;         ///< a view into the bytes that were read; row-major
};
Idx read_idx(std::string_view bytes);

/// At least one image of 28 x 28, or throws.
void check_images(const Idx& images);
/// One label an example, all below `classes`, or throws.
void check_labels(const Idx& labels, int classes);

/// CIFAR-10's binary release: records of one label and the red, green and blue plane of a
/// 32 x 32 image.
inline constexpr std::size_t kCifarRecord = 1 + 3 * 32 * 32;
/// The number of records, all of whose labels have been checked to be below 10.
std::int64_t cifar10_records(std::string_view bytes);

/// The content of the first plain file in a tar archive whose name, without folders, is
/// `name`; a view into `bytes`. Throws if there is none or the archive is damaged before it.
std::string_view tar_member(std::string_view bytes, std::string_view name);

struct CsvOptions {
  bool header = true;
  /// Column of the class: its name, or its place from 1 where there is no header; "" is the last.
  std::string target;
};

/// A table of numbers with a class a row.
struct CsvTable {
  std::int64_t rows = 0;
  std::int64_t features = 0;
  std::vector<std::string> names;    ///< of the features; empty without a header
  std::vector<double> values;        ///< row-major, rows x features, all finite
  std::vector<std::int64_t> labels;  ///< one a row, an index into `classes`
  /// Sorted, by number if all are numbers and by byte otherwise: what a class is called does
  /// not depend on the order of the rows.
  std::vector<std::string> classes;
};

/// RFC 4180 with blanks around a field ignored, a byte order mark allowed, either line end,
/// blank lines only at the end. Strict in everything else: a missing value, a row of another
/// length, a text among the numbers are errors with their line and column (in bytes, from 1).
CsvTable read_csv(std::string_view bytes, const CsvOptions& options = {});

}  // namespace perturb
