# SPDX-License-Identifier: MIT
"""Runs examples/log.c twice: what the first run appended is there for the second."""

import subprocess
import sys
import tempfile


def run(program, folder):
    done = subprocess.run([program, f"{folder}/log"], stdout=subprocess.PIPE, text=True,
                          check=True)
    return done.stdout.splitlines()


def main():
    with tempfile.TemporaryDirectory() as folder:
        first = run(sys.argv[1], folder)
        second = run(sys.argv[1], folder)
    texts = ["opened", "closed"] * 2
    expected = [f"{index}: {text}" for index, text in enumerate(texts)]
    if first != expected[:2] or second != expected:
        print(f"printed {first}, then {second}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
