# SPDX-License-Identifier: MIT
"""What the checks of the tree share: their command line, and trees to try them on."""

import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def found_in(findings, tree):
    """What a check finds in a tree given as {name of a file: its text}."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in tree.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return list(findings(root))


def self_test(findings, good, bad):
    """Each change in `bad`, {what: (name, text)}, must have findings, and `good` must have none."""
    failed = [f"found in a good tree: {text}" for text in found_in(findings, good)]
    for what, (name, text) in bad.items():
        if not found_in(findings, {**good, name: text}):
            failed.append(f"not found: {what}")
    return failed


def main(findings, good, bad):
    """Prints what is found in the tree, or with --self-test what the check misses."""
    if sys.argv[1:] == ["--self-test"]:
        found = self_test(findings, good, bad)
    else:
        found = list(findings(pathlib.Path(sys.argv[1]).resolve() if sys.argv[1:] else ROOT))
    for text in found:
        print(text)
    return 1 if found else 0
