"""Makes files constants of the program: embed.py OUT.cpp NAME=FILE ..."""

import pathlib
import sys

DELIMITER = "embedded"


def main():
    text = '#include "report/page/assets.h"\n\nnamespace perturb {\n'
    for word in sys.argv[2:]:
        name, path = word.split("=", 1)
        content = pathlib.Path(path).read_text("utf-8")
        if f"){DELIMITER}" in content:
            raise SystemExit(f"{path} cannot be written as a raw string")
        text += f'\nconst std::string_view {name} = R"{DELIMITER}({content}){DELIMITER}";\n'
    pathlib.Path(sys.argv[1]).write_text(text + "\n}  // namespace perturb\n", "utf-8")


if __name__ == "__main__":
    main()
