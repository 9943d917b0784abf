#include "perturb/catalog/formats.h"
#include "perturb/core/error.h"

namespace perturb {
namespace {

constexpr unsigned kUnsignedByte = 0x08;

[[noreturn]] void damaged(const std::string& message) {
  throw Error(ExitCode::Usage, message, "the file is damaged or is something else: get it anew");
}

unsigned byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

std::string product(const std::vector<std::int64_t>& dims) {
  std::string text;
  for (const auto dim : dims) text += (text.empty() ? "" : " x ") + std::to_string(dim);
  return text;
}

}  // namespace

Idx read_idx(std::string_view bytes) {
  if (bytes.size() < 4)
    damaged("an IDX file starts with 4 bytes, here are " + std::to_string(bytes.size()));
  if (byte_at(bytes, 0) != 0 || byte_at(bytes, 1) != 0)
    damaged("not an IDX file: wrong magic number");
  if (byte_at(bytes, 2) != kUnsignedByte)
    damaged("an IDX file of another type than unsigned bytes");
  const std::size_t rank = byte_at(bytes, 3);
  if (rank < 1 || rank > 4) {
    damaged("an IDX file of " + std::to_string(rank) + " dimensions, where 1 to 4 are known");
  }
  const std::size_t begin = 4 + 4 * rank;
  if (bytes.size() < begin) damaged("an IDX file that ends in its header");

  Idx idx;
  // The count is bounded before it is multiplied: four dimensions of 2^32 - 1 overflow.
  std::uint64_t count = 1;
  for (std::size_t i = 0; i < rank; ++i) {
    std::uint64_t dim = 0;
    for (std::size_t k = 0; k < 4; ++k) dim = dim << 8 | byte_at(bytes, 4 + 4 * i + k);
    idx.dims.push_back(static_cast<std::int64_t>(dim));
    if (dim != 0 && count > kMostDecodedBytes / dim) {
      damaged("an IDX file whose header claims " + product(idx.dims) + " values or more");
    }
    count *= dim;
  }
  idx.values = bytes.substr(begin);
  if (idx.values.size() != count) {
    damaged("an IDX file whose header promises " + product(idx.dims) + " bytes, but " +
            std::to_string(idx.values.size()) + " follow");
  }
  return idx;
}

void check_images(const Idx& images) {
  if (images.dims.size() != 3 || images.dims[1] != 28 || images.dims[2] != 28) {
    damaged("images of " + product(images.dims) + ", where n x 28 x 28 are needed");
  }
  if (images.dims[0] == 0) damaged("no images");
}

void check_labels(const Idx& labels, int classes) {
  if (labels.dims.size() != 1)
    damaged("labels of " + product(labels.dims) + ", where n are needed");
  for (const char label : labels.values) {
    if (static_cast<unsigned char>(label) >= classes) {
      damaged("a label of " + std::to_string(static_cast<unsigned char>(label)) + ", where " +
              std::to_string(classes) + " classes are known");
    }
  }
}

std::int64_t cifar10_records(std::string_view bytes) {
  if (bytes.empty() || bytes.size() % kCifarRecord != 0) {
    damaged(std::to_string(bytes.size()) + " bytes, which is no number of records of " +
            std::to_string(kCifarRecord) + " bytes");
  }
  for (std::size_t at = 0; at < bytes.size(); at += kCifarRecord) {
    if (byte_at(bytes, at) > 9) {
      damaged("record " + std::to_string(at / kCifarRecord) + " has the label " +
              std::to_string(byte_at(bytes, at)) + ", where 10 classes are known");
    }
  }
  return static_cast<std::int64_t>(bytes.size() / kCifarRecord);
}

}  // namespace perturb
