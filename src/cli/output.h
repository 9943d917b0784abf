// Where a command's text goes: stdout is data, stderr is progress and messages. Knows whether
// somebody watches (a terminal) or something reads (a pipe), and notices when nobody does.
#pragma once

#include <cstddef>
#include <cstdio>
#include <stdexcept>
#include <string_view>

namespace perturb {

/// Whoever read our output has gone (`perturb show x.toml | head`). Not an error: the program
/// ends quietly.
struct ClosedPipe : std::runtime_error {
  ClosedPipe() : std::runtime_error("closed pipe") {}
};

enum class Color { Auto, Always, Never };

class Output {
 public:
  /// What a text that cannot be written means. Data must not be lost silently; progress may,
  /// for nobody wants a training to end because a terminal was closed.
  enum class Loss { Thrown, Ignored };

  /// Does not own `file`. Color::Auto is colour on a terminal, unless NO_COLOR is set or
  /// TERM is "dumb".
  explicit Output(std::FILE* file, Loss loss = Loss::Thrown);

  /// Throws ClosedPipe, or Error(Disk) when the text cannot be written (a full disk).
  void write(std::string_view text);
  void line(std::string_view text);
  void flush();

  bool terminal() const { return terminal_; }
  bool color() const { return color_; }
  void set_color(Color color);
  /// Columns of the terminal; 0 when it is not one.
  std::size_t width() const;
  /// Lines of the terminal; 0 when it is not one.
  std::size_t height() const;

 private:
  void lost() const;
  std::FILE* file_;
  Loss loss_;
  bool terminal_;
  bool color_;
};

}  // namespace perturb
