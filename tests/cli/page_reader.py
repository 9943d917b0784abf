"""Reads a page of perturb's, and holds it to its laws."""

import base64
import hashlib
import html.parser
import json
import re
import unicodedata

DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
# Whatever else turned up would be somebody's text that became markup.
ELEMENTS = set("""html head meta title link style body a header h1 h2 h3 h4 p ul li b meter nav div button main
    section table caption thead tbody tr th td figure figcaption details summary pre dl dt dd footer code
    script""".split())


class Reader(html.parser.HTMLParser):
    """Rows of tables by section, scripts, attributes, and the order of elements."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.rows, self.scripts, self.elements, self.links, self.policy = {}, [], [], [], ""
        self.title, self.text = "", ""
        self.section, self.cell, self.script, self.in_title = "", None, None, False
        self.feed(text)
        self.close()

    def check_safe(self, test):
        """No script but its own may run, nothing is loaded, and no character is hidden or moves others."""
        hashes = ["'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
                  for kind, text in self.scripts if kind != "application/json"]
        allowed = re.search(r"script-src ([^;]*)", self.policy)[1].split()
        test.assertCountEqual(hashes, allowed)
        test.assertIn("default-src 'none'", self.policy)
        for kind, text in self.scripts:
            if kind == "application/json":
                json.loads(text)
        test.assertEqual([link for link in self.links if not link.startswith(("#", "data:,"))], [])
        test.assertLessEqual({element[0] for element in self.elements}, ELEMENTS)
        test.assertEqual([element for element in self.elements
                          if any(name.startswith("on") for name in element[1:])], [])
        bad = {f"U+{ord(c):04X}" for c in self.text
               if (unicodedata.category(c) == "Cc" and c != "\n") or c in DIRECTIONS}
        test.assertEqual(bad, set())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.elements.append((tag, *sorted(k for k in attributes)))
        self.links += [attributes[k] for k in ("src", "href", "action", "data") if k in attributes]
        if tag == "section":
            self.section = attributes["id"]
        elif tag == "meta" and attributes.get("http-equiv"):
            self.policy = attributes["content"]
        elif tag == "tr":
            self.rows.setdefault(self.section, []).append([])
        elif tag in ("td", "th"):
            self.rows[self.section][-1].append("")
            self.cell = True
        elif tag == "script":
            self.script = attributes.get("type", "")
            self.scripts.append([self.script, ""])
        self.in_title = tag == "title"

    def handle_endtag(self, tag):
        if tag in ("tr", "tbody", "td", "th"):
            self.cell = None
        elif tag == "script":
            self.script = None
        self.in_title = False

    def handle_data(self, data):
        if self.script is not None:
            self.scripts[-1][1] += data
            return
        self.text += data
        if self.in_title:
            self.title += data
        if self.cell:
            self.rows[self.section][-1][-1] += data.rstrip("\n")
