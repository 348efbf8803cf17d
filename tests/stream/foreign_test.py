# SPDX-License-Identifier: MIT
"""Streams that others wrote are read by firn, and firn's by others, as docs/formats.md has it.

$FIRN_REFERENCE_DATA may name a folder with files that the reference library wrote."""

import base64
import json
import os
import random
import shutil
import sys
import unittest
import zlib

sys.path.insert(0, os.path.join(os.environ["FIRN_SOURCE"], "tests/cli"))

import foreign  # noqa: E402
import support  # noqa: E402

SEED = int(os.environ.get("FIRN_SEED", "1"))
REFERENCE = os.environ.get("FIRN_REFERENCE_DATA", "none")


class ForeignTest(support.CommandTest):
    def setUp(self):
        super().setUp()
        self.dir = os.path.join(self.top, "stream")
        os.mkdir(self.dir)

    def firn(self, action, *arguments, **more):
        return self.run_firn("stream", action, *arguments, self.dir, "seq", **more)

    def cat(self):
        return self.firn("cat").stdout

    def info(self):
        return json.loads(self.firn("info", "--json").stdout)

    def figures(self, name):
        return [file[name] for file in self.info()["files"]]

    def append(self, appends, *arguments):
        """Each in an append of its own."""
        for data in appends:
            self.firn("append", "-q", "--piece", len(data), *arguments, input=data)

    def files(self):
        found = {}
        for name in os.listdir(self.dir):
            with open(os.path.join(self.dir, name), "rb") as file:
                found[name] = file.read()
        return found


class Written(ForeignTest):
    """By the independent writer."""

    def check(self, writer, content):
        writer.write(self.dir, "seq")
        before = self.files()
        self.assertTrue(foreign.read(self.dir, "seq") == content)
        self.assertEqual(json.loads(self.firn("verify", "--json").stdout)["findings"], [])
        self.assertTrue(self.cat() == content)
        self.assertEqual(self.figures("used"), [len(part.data) for part in writer.parts])
        self.assertTrue(self.info()["clean"])
        self.assertTrue(self.files() == before, "it was only looked at")
        for part in writer.parts[:-1]:
            self.assertEqual(self.figures("wasted")[writer.parts.index(part)], part.room())
        self.assertEqual(self.info()["available"], writer.parts[-1].room())

    def go_on(self, content):
        self.firn("append", "-q", input=b"and more")
        self.assertTrue(self.cat() == content + b"and more")
        self.assertTrue(foreign.read(self.dir, "seq") == content + b"and more")

    def write(self, name, shift, count, span, sizes, first=1):
        shutil.rmtree(self.dir)
        os.mkdir(self.dir)
        rng = random.Random(f"{SEED} {name}")
        writer = foreign.Writer(shift, count, span, first)
        content = b""
        for size in sizes:
            data = rng.randbytes(size)
            writer.append(data)
            content += data
        with self.subTest(name):
            self.check(writer, content)
            self.go_on(content)

    def test_ends(self):
        """An end in the middle of a block, at its end, in a file's last block, at its end."""
        size = foreign.payload(12)
        for number, sizes in enumerate([[1], [100, 200], [size], [size, 1], [size - 1, 1],
                                        [3 * size], [3 * size + 1], [100, 2 * size], [4 * size - 1],
                                        [4 * size], [4 * size, 1], [1] * 50 + [4 * size - 50]]):
            self.write(f"end {number}", 12, 4, 0, sizes)

    def test_spans(self):
        """What goes on in the next file: a little, blocks, just all; what ends there in the first
        block, at its end, behind it."""
        size = foreign.payload(12)
        span = 3 * size
        for number, sizes in enumerate([
                [4 * size - 1, 2], [4 * size - 1, size], [4 * size - 1, size + 1],
                [4 * size - 1, 2 * size + 7], [2 * size, 3 * size - 1],
                [2 * size + 5, 3 * size - 1],
                [2 * size, 3 * size, 10], [4 * size - 3, 4, 5, 6], [4 * size, 2, 3],
                [3 * size + 9] + [3 * size - 1] * 7]):
            self.write(f"span {number}", 12, 4, span, sizes)

    def test_many(self):
        rng = random.Random(SEED)
        for number in range(2 if support.LITTLE_EFFORT else 6):
            sizes = [rng.choice([1, 100, rng.randrange(1, 9000)]) for _ in range(90)]
            self.write(f"many {number}", rng.choice([12, 13]), rng.choice([8, 16]),
                       rng.choice([0, 3000, 100000]), sizes)

    def test_indexes_wrap(self):
        self.write("wrap", 12, 4, 100000, [5000] * 40, first=0xfffd)
        self.assertIn("seq.0000-12", self.files())

    def test_beginning_was_removed(self):
        """The first file begins with the end of an append whose beginning is gone."""
        writer = foreign.Writer(12, 4, 100000)
        for number in range(9):
            writer.append(bytes([number]) * 5000)
        writer.write(self.dir, "seq")
        os.remove(os.path.join(self.dir, "seq.0001-12"))
        head = 4 * 5000 - 4 * foreign.payload(12)
        rest = b"".join(bytes([number]) * 5000 for number in range(4, 9))
        self.assertGreater(head, 0)
        self.assertTrue(self.cat() == rest)
        self.assertTrue(foreign.read(self.dir, "seq") == rest)
        self.assertEqual(self.figures("wasted"), [head, 0])
        self.firn("verify", "-q")


class Read(ForeignTest):
    """By the independent reader, and equal to what the independent writer makes."""

    def test_same_files(self):
        rng = random.Random(f"{SEED} same")
        for span in 0, 6000:
            writer = foreign.Writer(12, 8, span)
            appends = [rng.randbytes(rng.randrange(1, 9000)) for _ in range(30)]
            for data in appends:
                writer.append(data)
            self.append(appends, "--block-count", 8, "--span", span)
            self.assertTrue(foreign.read(self.dir, "seq") == b"".join(appends))
            self.assertTrue(self.files() == writer.files("seq"))
            shutil.rmtree(self.dir)
            os.mkdir(self.dir)

    # Of two files of four blocks, and the appends of STORED_SIZES; made once by foreign.py.
    STORED_SIZES = [10, 4038, 3000, 9000, 145, 300]
    STORED = {
        "seq.0001-12":
            "eNrt17sJwgAUQNEXUjmOIHaKLmHvr7OxF0Gcwto9MoDiAq7gDnkGBAubFDYJnDPC7W4RH3VmjvejYb"
            "RYfq0AAACAnjjNP19/rDKf19207f/XAABA520AfhTN088OEdU5c3ErL23/rxgAAAD08P8HzdRPIup7"
            "5usRpf8HAACA/2075g2qO6JD",
        "seq.0002-12":
            "eNrtwTEBwCAAA7AeUzAbKEEI04sDFHBzMgkgIEl/kydJmXuvXkcO2se1AAAAAAAAAAAAAAAAAAAAwJ"
            "0fDoR+2Q==",
    }

    def test_stored_image(self):
        appends = [bytes([97 + number]) * size for number, size in enumerate(self.STORED_SIZES)]
        self.append(appends, "--block-count", 4, "--span", 1000)
        stored = {name: zlib.decompress(base64.b64decode(text))
                  for name, text in self.STORED.items()}
        self.assertTrue(self.files() == stored)

    def test_trimmed(self):
        data = random.Random(SEED).randbytes(200000)
        self.firn("append", "-q", "--block-count", 8, input=data)
        self.firn("trim", "-q", "--keep", 100000)
        rest = foreign.read(self.dir, "seq")
        self.assertTrue(data.endswith(rest))
        self.assertTrue(100000 <= len(rest) < 140000)


class Reference(ForeignTest):
    """Files that the reference library wrote; always copies of them."""

    FIGURES = [(64768, 0), (58839, 5929), (64768, 0), (64768, 0), (61740, 3028), (10824, 0)]
    AVAILABLE = 53944

    def setUp(self):
        super().setUp()
        source = os.path.join(REFERENCE, "stream-sequence")
        if not os.path.isdir(source):
            self.skipTest("no files of the reference library here")
        for name in os.listdir(source):
            shutil.copyfile(os.path.join(source, name), os.path.join(self.dir, name))
        with open(source + ".expected", "rb") as file:
            self.expected = file.read()

    def test_content_and_figures(self):
        before = self.files()
        self.assertTrue(self.cat() == self.expected)
        self.assertTrue(foreign.read(self.dir, "seq") == self.expected)
        self.assertEqual(list(zip(self.figures("used"), self.figures("wasted"))), self.FIGURES)
        self.assertEqual(self.info()["available"], self.AVAILABLE)
        self.assertTrue(self.info()["clean"])
        self.assertEqual(json.loads(self.firn("verify", "--json").stdout)["findings"], [])
        self.assertTrue(self.files() == before)

    def test_going_on(self):
        more = random.Random(SEED).randbytes(100000)
        self.firn("append", "-q", input=more)
        self.assertTrue(self.cat() == self.expected + more)
        self.assertTrue(foreign.read(self.dir, "seq") == self.expected + more)
        self.firn("verify", "-q")

    def test_trim(self):
        self.firn("trim", "-q", "--before", 64768 + 58839)
        self.assertEqual(min(self.files()), "seq.0003-12")
        self.assertTrue(self.expected.endswith(self.cat()))


if __name__ == "__main__":
    unittest.main()
