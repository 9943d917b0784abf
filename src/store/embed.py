#!/usr/bin/env python3
"""Writes a C++ header with the text of a file as a constant: embed.py TEXT HEADER NAME."""
import sys

text, header, name = sys.argv[1:]
with open(text, encoding='utf-8') as file:
    content = file.read()
assert ')embedded"' not in content
with open(header, 'w', encoding='utf-8') as file:
    file.write('#pragma once\n\nnamespace perturb {\n\n'
               f'inline constexpr char {name}[] = R"embedded({content})embedded";\n\n'
               '}  // namespace perturb\n')
