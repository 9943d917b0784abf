// The softmins of one transport problem in both directions, with whatever precision and layout of
// the costs suits:
//
//     f_i = -eps log sum_j b_j exp((g_j - C_ij) / eps)    and its mirror.
//
// Potentials are those of geomloss: the plan is a_i b_j exp((f_i + g_j - C_ij) / eps).
#pragma once

#include <memory>

#include "transport/softmin_pass.h"

namespace perturb::transport {

using Doubles = std::vector<double>;

/// The two sides and what lies between them. Coordinates point by point, weights not negative.
struct Clouds {
  Doubles x, y;
  Doubles a, b;
  std::int64_t dimensions = 1;
  Ground ground = Ground::HalfSquare;
};

class Softmin {
 public:
  virtual ~Softmin() = default;
  Softmin() = default;
  Softmin(const Softmin&) = delete;
  Softmin& operator=(const Softmin&) = delete;

  /// Both at once, from the same former potentials; these also keep the exponentials in range, so
  /// that the nearer they are to the answer, the fewer rows have to be done again.
  virtual void both(double epsilon, const Doubles& f, const Doubles& g, Doubles& next_f,
                    Doubles& next_g) = 0;

  const Doubles& a() const { return a_; }
  const Doubles& b() const { return b_; }
  /// By how much a dual value may be wrong for rounding alone, relative to it.
  virtual double rounding() const = 0;

 protected:
  Doubles a_, b_;
};

enum class Precision { Single, Double };

/// Up to `matrix_entries` costs are written down where a point has more than four coordinates.
std::unique_ptr<Softmin> softmin_between(const Clouds& clouds, Precision precision,
                                         std::int64_t matrix_entries);
/// Between a cloud and itself: a = b, f = g, half of the work. Only the first side of `clouds`
/// counts.
std::unique_ptr<Softmin> softmin_within(const Clouds& clouds, Precision precision,
                                        std::int64_t matrix_entries);
std::unique_ptr<Softmin> softmin_of_matrix(const Doubles& costs, const Doubles& a,
                                           const Doubles& b);

}  // namespace perturb::transport
