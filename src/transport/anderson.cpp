#include "transport/anderson.h"

#include <cmath>

namespace perturb::transport {
namespace {

using Doubles = std::vector<double>;

constexpr std::size_t kMemory = 8;
/// Relative to the trace: residuals that have become alike are not told apart by their rounding.
constexpr double kRegularisation = 1e-10;

/// Solves a symmetric positive definite system in place; false if it is not.
bool solve(std::vector<Doubles> matrix, Doubles& right) {
  const auto k = right.size();
  for (std::size_t i = 0; i < k; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double rest = matrix[i][j];
      for (std::size_t l = 0; l < j; ++l) rest -= matrix[i][l] * matrix[j][l];
      if (i > j) {
        matrix[i][j] = rest / matrix[j][j];
      } else if (rest > 0) {
        matrix[i][i] = std::sqrt(rest);
      } else {
        return false;
      }
    }
  }
  for (std::size_t i = 0; i < k; ++i) {
    for (std::size_t l = 0; l < i; ++l) right[i] -= matrix[i][l] * right[l];
    right[i] /= matrix[i][i];
  }
  for (std::size_t i = k; i-- > 0;) {
    for (std::size_t l = i + 1; l < k; ++l) right[i] -= matrix[l][i] * right[l];
    right[i] /= matrix[i][i];
  }
  return true;
}

Doubles difference(const Doubles& u, const Doubles& v) {
  Doubles out(u.size());
  for (std::size_t i = 0; i < u.size(); ++i) out[i] = u[i] - v[i];
  return out;
}

}  // namespace

double Anderson::product(const Doubles& u, const Doubles& v) const {
  double sum = 0;
  for (std::size_t i = 0; i < u.size(); ++i) sum += weights_[i] * u[i] * v[i];
  return sum;
}

void Anderson::forget() {
  images_.clear();
  residuals_.clear();
  last_image_.clear();
}

Doubles Anderson::next(const Doubles& point, const Doubles& image) {
  auto residual = difference(image, point);
  if (up_to_a_constant_) {
    double mean = 0;
    for (std::size_t i = 0; i < residual.size(); ++i) mean += weights_[i] * residual[i];
    for (auto& r : residual) r -= mean;
  }
  if (!last_image_.empty()) {
    images_.push_back(difference(image, last_image_));
    residuals_.push_back(difference(residual, last_residual_));
    if (images_.size() > kMemory) {
      images_.pop_front();
      residuals_.pop_front();
    }
  }
  last_image_ = image;
  last_residual_ = residual;

  const auto k = residuals_.size();
  std::vector<Doubles> gram(k, Doubles(k));
  Doubles coefficients(k);
  double trace = 0;
  for (std::size_t i = 0; i < k; ++i) {
    for (std::size_t j = 0; j <= i; ++j) gram[i][j] = product(residuals_[i], residuals_[j]);
    coefficients[i] = product(residuals_[i], residual);
    trace += gram[i][i];
  }
  for (std::size_t i = 0; i < k; ++i) gram[i][i] += kRegularisation * trace;
  if (!solve(std::move(gram), coefficients)) {
    forget();
    return image;
  }
  auto out = image;
  for (std::size_t i = 0; i < k; ++i) {
    for (std::size_t l = 0; l < out.size(); ++l) out[l] -= coefficients[i] * images_[i][l];
  }
  return out;
}

}  // namespace perturb::transport
