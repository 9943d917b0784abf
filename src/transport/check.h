// What every function of this library asks of its arguments, in one voice: an Error(Usage) names
// the argument, the entry, and what is wanted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "perturb/transport/measure.h"

namespace perturb::transport {

using Doubles = std::vector<double>;

/// Throws Error(Usage): "<argument>: <message>".
[[noreturn]] void reject(const std::string& argument, const std::string& message);

/// Throws unless `value` is finite and within [least, most].
void check_number(const std::string& argument, double value, double least, double most);

/// Floating, of that many dimensions, not empty, finite.
void check_tensor(const std::string& argument, const Tensor& tensor, std::int64_t dimensions);
/// The same, and (count, count).
void check_square(const std::string& argument, const Tensor& tensor, std::int64_t count);
/// (count) finite numbers, none negative, not all zero.
void check_weights(const std::string& argument, const Tensor& weights, std::int64_t count);
/// Points (n, d), or (n) if on a line; weights that fit, or none.
void check_measure(const std::string& argument, const Measure& measure);
/// One or more measures with points (n_i, d) of one dimension d.
void check_measures(const std::string& argument, const std::vector<Measure>& measures);
/// The same for two, by name.
void check_pair(const Measure& alpha, const Measure& beta);

/// The entries as doubles, row by row.
Doubles doubles(const Tensor& tensor);
/// Weights as they are; equal ones of sum one if undefined.
Doubles masses(const Measure& measure);
/// Divided by their sum.
Doubles proportions(Doubles weights);
/// k weights of sum one for `count` things; equal ones if undefined.
Doubles shares(const std::string& argument, const Tensor& weights, std::size_t count);

/// `values`, of that shape, with the type and device of `like`.
Tensor tensor_like(const Tensor& like, const Doubles& values,
                   const std::vector<std::int64_t>& shape);
/// The same as doubles on the CPU.
Tensor tensor_of(const Doubles& values, const std::vector<std::int64_t>& shape);

/// Coordinates of a point; 1 on a line.
std::int64_t coordinates(const Measure& measure);

}  // namespace perturb::transport
