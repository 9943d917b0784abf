// How many threads a process may use beside those that carry out stages. Towards the end of a run
// there are fewer stages than workers; what has many independent passes to make then takes the
// rest.
#pragma once

#include <atomic>
#include <cstddef>

namespace perturb {

class SpareThreads {
 public:
  /// `all`: threads that the process may use.
  explicit SpareThreads(std::size_t all) : spare_(static_cast<long>(all)) {}

  /// A stage under way in the calling thread.
  class Stage {
   public:
    explicit Stage(SpareThreads& threads) : threads_(threads) { --threads_.spare_; }
    ~Stage() { ++threads_.spare_; }
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;

   private:
    SpareThreads& threads_;
  };

  /// Takes up to `most` threads that are spare now; give them back. A stage that begins meanwhile
  /// is not held up: for a while there are more threads than there should be.
  std::size_t take(std::size_t most);
  void give_back(std::size_t threads) { spare_ += static_cast<long>(threads); }

 private:
  std::atomic<long> spare_;  ///< below 0 while stages have come that found their thread taken
};

}  // namespace perturb
