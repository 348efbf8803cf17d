#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A stack's file is exchanged with another implementation of its format, which is this script: it
writes files that firn reads, and reads those that firn wrote, in turn, with and without a journal
of firn's beside them. What it may not read, since changes are pending, it refuses. A file that the
reference library wrote is read where it is found."""

import fcntl
import os
import pathlib
import random
import struct
import subprocess
import tempfile
import unittest

HELPER = pathlib.Path(os.environ["FIRN_BUILD"]) / "tests/stack/exchange-helper"
REFERENCE = pathlib.Path(os.environ.get("FIRN_REFERENCE_DATA", "none"))
HEADER = 16


class Refused(Exception):
    pass


class Plain:
    """The other implementation: the file alone, locked while it is open."""

    def __init__(self, path):
        self.file = open(path, "r+b" if path.exists() else "w+b")
        fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        size = self.file.seek(0, os.SEEK_END)
        if size == 0:
            self.put(0, b"BSTK\0\1\x08\0" + struct.pack("<Q", 0))
            size = HEADER
        header = self.get(0, HEADER)
        if len(header) < HEADER or header[:6] != b"BSTK\0\1":
            self.file.close()
            raise Refused(header)
        self.length, = struct.unpack("<Q", header[8:])
        if size > HEADER + self.length:
            self.file.truncate(HEADER + self.length)
        elif size < HEADER + self.length:
            self.set_length(size - HEADER)

    def get(self, at, size):
        self.file.seek(at)
        return self.file.read(size)

    def put(self, at, data):
        self.file.seek(at)
        self.file.write(data)
        self.file.flush()

    def set_length(self, length):
        self.length = length
        self.put(8, struct.pack("<Q", length))

    def content(self):
        return self.get(HEADER, self.length)

    def push(self, data):
        self.put(HEADER + self.length, data)
        self.set_length(self.length + len(data))

    def pop(self, size):
        self.set_length(self.length - size)
        self.file.truncate(HEADER + self.length)

    def set(self, at, data):
        self.put(HEADER + at, data)

    def close(self):
        os.fsync(self.file.fileno())
        self.file.close()


def firn(path, lines=(), single=False):
    command = [HELPER, path] + (["single"] if single else [])
    done = subprocess.run(command, input="".join(line + "\n" for line in lines), text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return bytes.fromhex(done.stdout.strip())


def change(chance, held):
    """A line for the helper, and what it makes of the content."""
    size = chance.randrange(300)
    data = chance.randbytes(size)
    cut = chance.randrange(min(len(held), 200) + 1)
    at = chance.randrange(len(held) + 1)
    kind = chance.choice(["push", "extend", "pop", "set", "zero", "atrunc"])
    if kind == "push":
        return f"push {data.hex() or '-'}", held + data
    if kind == "extend":
        return f"extend {size}", held + bytes(size)
    if kind == "pop":
        return f"pop {cut}", held[:len(held) - cut]
    if kind == "atrunc":
        return f"atrunc {cut} {data.hex() or '-'}", held[:len(held) - cut] + data
    data = data[:len(held) - at] if kind == "set" else bytes(min(size, len(held) - at))
    line = f"set {at} {data.hex() or '-'}" if kind == "set" else f"zero {at} {len(data)}"
    return line, held[:at] + data + held[at + len(data):]


class Exchange(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.TemporaryDirectory(prefix="firn-exchange-")
        self.addCleanup(self.top.cleanup)
        self.path = pathlib.Path(self.top.name) / "stack"

    def use_otherwise(self, chance, held):
        plain = Plain(self.path)
        self.assertEqual(plain.content(), held)
        data = chance.randbytes(chance.randrange(1, 100))
        if chance.randrange(2) and len(held) > 10:
            plain.pop(10)
            held = held[:-10]
        plain.push(data)
        held += data
        plain.set(len(held) - 1, b"!")
        plain.close()
        return held[:-1] + b"!"

    def test_in_turn(self):
        for single in False, True:
            with self.subTest(single=single):
                chance = random.Random(7)
                held = b""
                self.path.unlink(missing_ok=True)
                for _ in range(12):
                    held = self.use_otherwise(chance, held)
                    lines = []
                    for _ in range(chance.randrange(6)):
                        line, held = change(chance, held)
                        lines.append(line)
                    self.assertEqual(firn(self.path, lines, single), held)

    def test_the_bytes(self):
        firn(self.path, ["push 616263", "extend 2"])
        self.assertEqual(self.path.read_bytes(),
                         b"BSTK\0\1\x08\0" + struct.pack("<Q", 5) + b"abc\0\0")

    def test_pending_changes_are_refused(self):
        firn(self.path, ["push 616263"])
        subprocess.run([HELPER, self.path], input="push 646566\ndie\n", text=True, check=True,
                       timeout=60)
        with self.assertRaises(Refused):
            Plain(self.path)
        self.assertEqual(firn(self.path), b"abcdef")
        plain = Plain(self.path)
        self.assertEqual(plain.content(), b"abcdef")
        plain.close()

    def test_left_unclean(self):
        for length, stored, wanted in (3, b"abcdef", b"abc"), (9, b"abcdef", b"abcdef"):
            for single in False, True:
                self.path.write_bytes(b"BSTK\0\1\x07\0" + struct.pack("<Q", length) + stored)
                self.assertEqual(firn(self.path, single=single), wanted)
                self.assertEqual(self.path.read_bytes()[8:],
                                 struct.pack("<Q", len(wanted)) + wanted)

    def test_locked(self):
        plain = Plain(self.path)
        done = subprocess.run([HELPER, self.path], input="", text=True, capture_output=True,
                              timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("another program", done.stderr)
        plain.close()

    def test_the_reference_librarys_file(self):
        written = REFERENCE / "slab/slab.bstk"
        if not written.exists():
            self.skipTest("the reference library's file is not here")
        self.path.write_bytes(written.read_bytes())
        content = firn(self.path)
        self.assertEqual(content, written.read_bytes()[HEADER:])
        for line in (REFERENCE / "slab/slab.live").read_text().splitlines():
            at, size, data = line.split()
            self.assertEqual(content[int(at):int(at) + int(size)], bytes.fromhex(data))
        self.assertEqual(self.path.read_bytes(), written.read_bytes())
        firn(self.path, ["push 00", "pop 1"])
        self.assertEqual(self.path.read_bytes(), written.read_bytes())


if __name__ == "__main__":
    unittest.main()
