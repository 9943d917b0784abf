// Timed by transport.py: reads what to do, prints processor seconds and the value, one line each.
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "perturb/transport/assignment.h"
#include "perturb/transport/divergence.h"

namespace {

namespace transport = perturb::transport;

/// Of the process: what the machine does beside it does not count.
double seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

/// `count` numbers of the type that the file holds, row by row.
template <class T>
at::Tensor read(const std::string& path, std::int64_t rows, std::int64_t columns) {
  auto out = at::empty({rows, columns}, c10::CppTypeToScalarType<T>::value);
  std::ifstream file(path, std::ios::binary);
  file.read(static_cast<char*>(out.data_ptr()), rows * columns * static_cast<int>(sizeof(T)));
  if (!file) std::exit(1);
  return out;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 4) {
    std::fprintf(stderr, "usage: %s FOLDER assignment|loop|converged ROUNDS\n", arguments[0]);
    return 2;
  }
  at::set_num_threads(1);
  const std::string folder = arguments[1];
  const std::string what = arguments[2];
  for (int round = 0; round < std::atoi(arguments[3]); ++round) {
    double value = 0;
    double start = 0;
    if (what == "assignment") {
      const auto cost = read<double>(folder + "/cost", 2048, 2048);
      start = seconds();
      value = transport::assign(cost).cost;
    } else {
      const auto x = read<float>(folder + "/x", 2000, 2).set_requires_grad(true);
      const auto y = read<float>(folder + "/y", 2000, 2);
      start = seconds();
      const auto found = transport::sinkhorn_divergence(
          {x, {}}, {y, {}}, {.max_iterations = what == "loop" ? 0 : 2000});
      found.value.backward();
      value = found.value.item<double>();
    }
    std::printf("%.6f %.9g\n", seconds() - start, value);
  }
  return 0;
}
