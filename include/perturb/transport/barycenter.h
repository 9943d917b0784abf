// Means of measures in the sense of transport: the measure with the least sum_k w_k W2^2 to all.
#pragma once

#include <vector>

#include "perturb/transport/measure.h"

namespace perturb::transport {

/// On a line, exactly: the quantile function is the mean of the quantile functions. Points ascend;
/// `weights` (k) undefined means equal ones. Not differentiable.
Measure line_barycenter(const std::vector<Measure>& measures, const Tensor& weights = {});

struct HistogramBarycenterOptions {
  Tensor weights;           ///< (k), undefined: equal
  double epsilon = 0.01;    ///< in the unit of the costs; the barycenter is blurred by it
  double tolerance = 1e-6;  ///< greatest L1 distance between the barycenter and a plan's marginal
  int max_iterations = 10000;
};

struct HistogramBarycenter {
  Tensor histogram;  ///< (n), double, of mass one
  Convergence convergence = Convergence::Reached;
  int iterations = 0;
  double error = 0;
};

/// Of `histograms` (k, n) on a common support with `cost` (n, n), entropic: iterative Bregman
/// projections, Benamou et al. (2015), in the log domain. ot.bregman.barycenter.
HistogramBarycenter histogram_barycenter(const Tensor& histograms, const Tensor& cost,
                                         const HistogramBarycenterOptions& options = {});

struct FreeBarycenterOptions {
  Tensor weights;           ///< of the measures (k), undefined: equal
  double tolerance = 1e-9;  ///< greatest move of a point, relative to the extent of the points
  int max_iterations = 100;
};

struct FreeBarycenter {
  Tensor points;         ///< (n, d)
  double objective = 0;  ///< sum_k w_k W2^2, whole squares
  Convergence convergence = Convergence::Reached;
  int iterations = 0;
};

/// n points of equal weight, from `start` (n, d): in turn exact plans to every measure, and each
/// point to the mean of its images. The objective never rises; the end is a local minimum. Cuturi
/// and Doucet (2014); ot.lp.free_support_barycenter.
FreeBarycenter free_barycenter(const std::vector<Measure>& measures, const Tensor& start,
                               const FreeBarycenterOptions& options = {});

}  // namespace perturb::transport
