#include "cli/output.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/ioctl.h>
#include <unistd.h>

#include "perturb/core/error.h"

namespace perturb {

namespace {

bool color_wanted() {
  const char* no_color = std::getenv("NO_COLOR");  // https://no-color.org
  const char* term = std::getenv("TERM");
  return !(no_color && *no_color) && term && std::string_view(term) != "dumb";
}

}  // namespace

Output::Output(std::FILE* file, Loss loss)
    : file_(file),
      loss_(loss),
      terminal_(isatty(fileno(file)) == 1),
      color_(terminal_ && color_wanted()) {}

void Output::write(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size()) lost();
}

void Output::line(std::string_view text) {
  write(text);
  write("\n");
}

void Output::flush() {
  if (std::fflush(file_) != 0) lost();
}

void Output::set_color(Color color) {
  if (color == Color::Always) color_ = true;
  if (color == Color::Never) color_ = false;
}

std::size_t Output::width() const {
  if (!terminal_) return 0;
  winsize size{};
  if (ioctl(fileno(file_), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

std::size_t Output::height() const {
  if (!terminal_) return 0;
  winsize size{};
  if (ioctl(fileno(file_), TIOCGWINSZ, &size) != 0 || size.ws_row == 0) return 24;
  return size.ws_row;
}

void Output::lost() const {
  if (loss_ == Loss::Ignored) return;
  if (errno == EPIPE) throw ClosedPipe();
  throw Error(ExitCode::Disk, std::string("cannot write the output: ") + std::strerror(errno),
              "is the disk full?");
}

}  // namespace perturb
