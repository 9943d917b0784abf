// The safetensors format: named tensors in one file that NumPy, PyTorch and JAX can read. A
// length of 8 bytes (little-endian), a JSON header of that length, and the data, back to back.
// What is read is believed only after every claim of the header has been checked against it.
// https://huggingface.co/docs/safetensors/index#format
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace perturb {

/// One tensor of a file.
struct StoredTensor {
  std::string name;
  std::string dtype;                ///< BOOL, U8, I8, F8_E5M2, F8_E4M3, I16, U16, F16, BF16, I32,
                                    ///< U32, F32, F64, I64 or U64
  std::vector<std::int64_t> shape;  ///< empty for a scalar. Its extents that are not 0 have a
                                    ///< product in range, so that strides cannot overflow
  std::string_view bytes;           ///< little-endian, row-major; belongs to somebody else
};

struct Safetensors {
  std::map<std::string, std::string> metadata;
  std::vector<StoredTensor>
      tensors;  ///< in the order of their data; bytes point into what was read

  /// Null when there is none.
  const StoredTensor* find(std::string_view name) const;
};

/// The bytes of a file. The same tensors in the same order and the same metadata give the same
/// bytes. The header is padded with spaces to 8 bytes, as the reference implementation does: the
/// first tensor is aligned, and so are all of them if none follows one of narrower elements.
/// Throws Error(Usage) for what `read_safetensors` would refuse.
std::string write_safetensors(const std::vector<StoredTensor>& tensors,
                              const std::map<std::string, std::string>& metadata);

/// Checks everything before it is used. Throws Error(Usage), which says what is wrong. `bytes`
/// must outlive the result, and nothing says that the data in them are aligned in memory.
///
/// Stricter than the reference implementation: a header of 16 MiB at most, no key twice, and no
/// key in a tensor's entry but dtype, shape and data_offsets.
Safetensors read_safetensors(std::string_view bytes);

/// The same of a file of which no more than the header is read: `bytes` are null. Throws
/// Error(Disk) where it cannot be read.
Safetensors read_safetensors_header(const std::filesystem::path& file);

}  // namespace perturb
