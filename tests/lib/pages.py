#!/usr/bin/env python3
"""tests/lib/pages.py FILE...: the commands and links of Markdown pages, for a test.

Prints a line for each example of vmferry: the command, and the options in it. Ends with 1 if a link leads nowhere, and says which.
"""
import os
import re
import sys


def anchor(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(path):
    with open(path) as page:
        return {anchor(heading) for heading in re.findall(r"^#+ (.*)$", page.read(), re.M)}


def bad_links(path, text):
    for link in re.findall(r"\]\(([^)]+)\)", text):
        name, _, section = link.partition("#")
        if ":" in name:
            continue
        target = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
        if not os.path.exists(target) or (section and section not in anchors(target)):
            yield f"{path}: {link}"


def examples(text):
    """Of indented blocks, with lines that go on behind a backslash."""
    for line in re.findall(r"^    .*$", text.replace("\\\n", " "), re.M):
        for command, rest in re.findall(r"\bvmferry ([a-z]+(?:-[a-z]+)*)\b([^#|;]*)", line):
            options = re.findall(r"(?<=\s)--[a-z][a-z-]*", rest.split(" -- ")[0])
            yield " ".join([command, *options])


def main():
    wrong = []
    for path in sys.argv[1:]:
        with open(path) as page:
            text = page.read()
        wrong += bad_links(path, text)
        for example in examples(text):
            print(example)
    for link in wrong:
        print(f"no such place: {link}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
