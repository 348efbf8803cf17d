# SPDX-License-Identifier: MIT
"""Runs the examples twice: what the first run wrote is there for the second."""

import subprocess
import sys
import tempfile


def run(program, *arguments):
    done = subprocess.run([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    return done.returncode, done.stdout.splitlines()


def log(program, folder):
    texts = ["opened", "closed"] * 2
    expected = [f"{index}: {text}" for index, text in enumerate(texts)]
    yield run(program, f"{folder}/log"), (0, expected[:2])
    yield run(program, f"{folder}/log"), (0, expected)


def counters(program, folder):
    pipe = f"{folder}/counters"
    yield run(program, pipe, "1", "2", "30"), (0, ["1 moves: 70 130 100"])
    yield run(program, pipe, "2", "3", "5"), (0, ["2 moves: 70 125 105"])
    yield run(program, pipe, "3", "4", "5"), (1, [])
    yield run(program, pipe, "2", "1", "25"), (0, ["3 moves: 95 100 105"])


def events(program, folder):
    yield run(program, folder), (0, [])
    yield run(program, folder, "opened"), (0, [])
    yield run(program, folder, "x" * 2000), (1, [])
    yield run(program, folder, "closed"), (0, [])
    yield run(program, folder), (0, ["opened", "closed"])
    part = 64 * (4096 - 48)  # bytes of text in one; three and a half stay
    lines = [f"{number:6}" + "." * 993 for number in range(4 * part // 1000)]
    for first in range(0, len(lines), 100):
        yield run(program, folder, *lines[first:first + 100]), (0, [])
    status, found = run(program, folder)
    kept = len(found)
    yield (status, found), (0, lines[-kept:])
    yield 2 * part < kept * 1000 <= 3 * part, True


def notes(program, folder):
    file = f"{folder}/notes"
    yield run(program, file), (0, [])
    yield run(program, file, "one", "", "three"), (0, [])
    yield run(program, file), (0, ["three"])
    yield run(program, file), (0, [""])
    yield run(program, file, "four"), (0, [])
    yield run(program, file), (0, ["four"])
    yield run(program, file), (0, ["one"])
    yield run(program, file), (0, [])


def words(program, folder):
    file = f"{folder}/words"
    long = "x" * 500
    yield run(program, file), (0, [])
    yield run(program, file, "snow", long, "", "ice"), (0, [])
    yield run(program, file), (0, ["ice", "", long, "snow"])
    yield run(program, file, f"-{long}", "-ice", "firn"), (0, [])
    yield run(program, file), (0, ["firn", "", "snow"])
    yield run(program, file, "-ice"), (1, [])
    with open(file, "r+b") as blocks:  # one more, that nothing leads to
        header, size = blocks.read(8), int.from_bytes(blocks.read(8), "little") + 32
        blocks.seek(0)
        blocks.write(header + size.to_bytes(8, "little"))
        blocks.truncate(16 + size)
    done = subprocess.run([program, file], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    yield done.stderr, b"freed 32 bytes that were lost\n"
    yield run(program, file), (0, ["firn", "", "snow"])
    yield run(program, file, "-snow", "-", "-firn"), (0, [])
    yield run(program, file), (0, [])


def main():
    with tempfile.TemporaryDirectory() as folder:
        for example, program in zip((log, counters, events, notes, words), sys.argv[1:]):
            for found, expected in example(program, folder):
                if found != expected:
                    print(f"{example.__name__}: {found}, expected {expected}")
                    return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
