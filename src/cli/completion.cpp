#include <CLI/CLI.hpp>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/completer.h"

namespace perturb {

namespace {

// Each script asks `perturb completion words -- WORD...`, which answers a line a candidate:
// text, tab, help. :files, :any and :folders ask the shell for its own.

constexpr const char* kBash = R"sh(# perturb: eval "$(perturb completion bash)" in ~/.bashrc
_perturb() {
  # Not COMP_WORDS: bash splits its words at '=', which overrides contain.
  local line=${COMP_LINE:0:COMP_POINT} words candidate
  read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  local word=${words[-1]} cut=
  [[ $word == *=* && $COMP_WORDBREAKS == *=* ]] && cut=${word%"${word##*=}"}
  COMPREPLY=()
  while IFS=$'\t' read -r candidate _; do
    case $candidate in
      :files)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -X '!*.toml' -- "$word"; compgen -d -- "$word") ;;
      :any)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
      :folders)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
      *)
        [[ $candidate == *= ]] && compopt -o nospace
        COMPREPLY+=("${candidate#"$cut"}") ;;
    esac
  done < <("${COMP_WORDS[0]}" completion words -- "${words[@]:1}" 2>/dev/null)
}
complete -F _perturb perturb
)sh";

constexpr const char* kZsh = R"sh(#compdef perturb
# perturb: eval "$(perturb completion zsh)" in ~/.zshrc, after compinit
_perturb() {
  local line name
  local -a plain open
  for line in "${(@f)$("${words[1]}" completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    name=${line%%$'\t'*}
    case $name in
      '') ;;
      :files) _files -g '*.toml' ;;
      :any) _files ;;
      :folders) _files -/ ;;
      *=) open+=("$name") ;;
      *) plain+=("${name//:/\\:}:${line#*$'\t'}") ;;
    esac
  done
  (( $#open )) && compadd -S '' -- "${open[@]}"
  (( $#plain )) && _describe perturb plain
}
compdef _perturb perturb
)sh";

constexpr const char* kFish =
    R"sh(# perturb: perturb completion fish | source, in ~/.config/fish/config.fish
function __perturb_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] completion words -- $words[2..] 2>/dev/null)
        switch $line
            case ':files*'
                __fish_complete_suffix .toml
            case ':any*'
                __fish_complete_path (commandline -ct)
            case ':folders*'
                __fish_complete_directories (commandline -ct)
            case '*'
                echo $line
        end
    end
end
complete -c perturb -f -a '(__perturb_complete)'
)sh";

ExitCode print_candidates(Context& context, const std::vector<std::string>& words) {
  // The commands as the user sees them, apart from the ones that parse this very line.
  Context other;
  const auto app = make_command_line(other);
  for (const Candidate& candidate : complete(*app, context.schema, words))
    context.out.line(candidate.text + "\t" + candidate.help);
  return ExitCode::Done;
}

}  // namespace

void add_completion(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("completion", "Print the completion script of a shell");
  command->footer(
      "Completes commands, options, names, and the paths and values of overrides.\n\n"
      "Examples:\n"
      "  eval \"$(perturb completion bash)\"      in ~/.bashrc\n"
      "  eval \"$(perturb completion zsh)\"       in ~/.zshrc, after compinit\n"
      "  perturb completion fish | source       in ~/.config/fish/config.fish");
  struct Options {
    std::string shell;
    std::vector<std::string> words;
  };
  auto options = std::make_shared<Options>();
  command->add_option("SHELL", options->shell, "bash, zsh or fish")->required();
  command->add_option("WORDS", options->words)->group("");  // for the scripts
  context.on(command, [&context, options] {
    if (options->shell == "words") return print_candidates(context, options->words);
    const char* script = options->shell == "bash"   ? kBash
                         : options->shell == "zsh"  ? kZsh
                         : options->shell == "fish" ? kFish
                                                    : nullptr;
    if (!script)
      throw Error(ExitCode::Usage, "there is no completion for \"" + options->shell + "\"",
                  "there is for bash, zsh and fish");
    context.out.write(script);
    return ExitCode::Done;
  });
}

}  // namespace perturb
