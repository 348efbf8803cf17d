# SPDX-License-Identifier: MIT
"""Round trips through `firn append` and `firn cat`, with each delimiter and with keys."""

import os
import random
import unittest

import support

SEED = int(os.environ.get("FIRN_SEED", "1"))
MEBIBYTE = 1 << 20


def any_bytes(rng, without, most=200):
    """Random bytes that lack those in `without`; more often than not special ones."""
    special = [byte for byte in b"\0\n\r\t \xff\xc3\x80:\"\\" if byte not in without]
    plain = [byte for byte in range(256) if byte not in without]
    return bytes(rng.choice(special if rng.random() < 0.3 else plain)
                 for _ in range(rng.randrange(most)))


class RoundTrip(support.CommandTest):
    def through(self, data, *arguments):
        """What comes out, after `data` went in with the same arguments."""
        self.run_firn("append", "-q", *arguments, self.log, input=data)
        return self.run_firn("cat", *arguments, self.log).stdout

    def same(self, data, *arguments):
        self.assertTrue(self.through(data, *arguments) == data, f"FIRN_SEED={SEED}")

    def lines(self, delimiter):
        rng = random.Random(SEED)
        values = [any_bytes(rng, delimiter) for _ in range(500)]
        return [b"", b"\r", b"a\r", b""] + values + [b"y" * MEBIBYTE, b""]

    def test_newline(self):
        values = self.lines(b"\n")
        self.same(b"".join(value + b"\n" for value in values))
        self.assertTrue(self.values() == values)

    def test_nul(self):
        values = self.lines(b"\0")
        self.same(b"".join(value + b"\0" for value in values), "-d", "nul")
        self.assertTrue(self.values() == values)

    def test_length32(self):
        rng = random.Random(SEED)
        values = [any_bytes(rng, b"") for _ in range(500)]
        values += [b"", rng.randbytes(MEBIBYTE), b"\0" * MEBIBYTE, b""]
        self.same(support.framed(values), "-d", "length32")
        self.assertTrue(self.values() == values)

    def test_paragraph(self):
        rng = random.Random(SEED)
        values = []
        for _ in range(200):
            lines = [any_bytes(rng, b"\n") or b"x" for _ in range(rng.randrange(1, 6))]
            values.append(b"\n".join(lines))
        values.append(b"z\n" * (MEBIBYTE // 2) + b"end")
        self.same(b"".join(value + b"\n\n" for value in values), "-d", "paragraph")
        self.assertTrue(self.values() == values)

    def test_package_database(self):
        path = "/var/lib/dpkg/status"
        if not os.path.exists(path):
            self.skipTest("no Debian package database here")
        with open(path, "rb") as file:
            self.same(file.read(), "-d", "paragraph")

    def test_any_place_to_cut_the_input(self):
        """Records come out the same however the input arrives, byte by byte too."""
        rng = random.Random(SEED)
        data = {"newline": b"a\n\nbc\n\r\n", "nul": b"a\0\0bc\0\n\0",
                "paragraph": b"\na\nb\n\n\nc\n\n", "length32": support.framed([b"a", b"", b"bc"])}
        for delimiter, input in data.items():
            whole = self.append_in_pieces(delimiter, [input])
            for _ in range(4):
                pieces = []
                rest = input
                while rest:
                    size = rng.randrange(1, 4)
                    pieces.append(rest[:size])
                    rest = rest[size:]
                self.assertEqual(self.append_in_pieces(delimiter, pieces), whole)

    def append_in_pieces(self, delimiter, pieces):
        """The values that were appended. Each piece is given when the one before was taken: with
        a terminal-like pace, but by the size of the pipe and not by time."""
        first = self.info()["next_index"] if os.path.exists(self.log) else 0
        process = self.start_firn("append", "-q", "-d", delimiter, self.log, bufsize=0)
        for piece in pieces:
            process.stdin.write(piece)
            support.wait_until_taken(process.stdin)
        self.end_firn(process)
        return self.values("--from", first)


class Ends(support.CommandTest):
    """Inputs that are not what `firn cat` would write."""

    def check(self, delimiter, data, values):
        first = self.info()["next_index"] if os.path.exists(self.log) else 0
        self.run_firn("append", "-q", "-d", delimiter, self.log, input=data)
        self.assertEqual(self.values("--from", first), values)

    def test_last_record_without_its_delimiter(self):
        self.check("newline", b"a\nb", [b"a", b"b"])
        self.check("nul", b"a\0b", [b"a", b"b"])
        self.check("paragraph", b"a\n\nb", [b"a", b"b"])
        self.check("paragraph", b"a\n\nb\n", [b"a", b"b"])

    def test_nothing(self):
        for delimiter in "newline", "nul", "paragraph", "length32":
            self.check(delimiter, b"", [])

    def test_empty_records(self):
        self.check("newline", b"\n\n", [b"", b""])
        self.check("nul", b"\0\0", [b"", b""])
        self.check("length32", b"\0" * 8, [b"", b""])

    def test_empty_lines_around_paragraphs(self):
        self.check("paragraph", b"\n\n\n", [])
        self.check("paragraph", b"\n\na\nb\n\n\n\nc\n\n\n", [b"a\nb", b"c"])
        self.check("paragraph", b" \n\n\t", [b" ", b"\t"])

    def test_length_that_is_cut_short(self):
        for tail, offset in [(b"\0", 5), (b"\0\0\0", 5), (b"\0\0\0\5abcd", 5)]:
            data = support.framed([b"a"]) + tail
            done = self.run_firn("append", "-d", "length32", "--ack", self.log, input=data,
                                 status=1)
            self.assertIn(b"record 2 of the input, at byte %d, is cut short" % offset, done.stderr)
            self.assertEqual(len(done.stdout.split()), 1)
            self.assertEqual(self.values()[-1], b"a")


class Keys(support.CommandTest):
    def keys(self):
        return [(record["key"], record["value"]) for record in self.records()]

    def test_key_is_what_comes_before_the_first_separator(self):
        data = b"k=v\n=v\nk=\n=\nv\n\nk=v=w\n"
        self.run_firn("append", "-q", "-k", "=", self.log, input=data)
        self.assertEqual(self.keys(), [("k", "v"), ("", "v"), ("k", ""), ("", ""), (None, "v"),
                                       (None, ""), ("k", "v=w")])
        self.assertEqual(self.run_firn("cat", "-k", "=", self.log).stdout, data)
        self.assertEqual(self.run_firn("cat", self.log).stdout, b"v\nv\n\n\nv\n\nv=w\n")

    def test_separators(self):
        for written, byte in [("\\t", b"\t"), ("\\n", b"\n"), ("\\r", b"\r"), ("\\0", b"\0"),
                              ("\\\\", b"\\"), ("\\", b"\\"), (":", b":")]:
            self.log = os.path.join(self.top, "log-" + byte.hex() + str(len(written)))
            data = support.framed([b"key" + byte + b"value" + byte])
            self.run_firn("append", "-q", "-d", "length32", "-k", written, self.log, input=data)
            self.assertEqual(self.keys(), [("key", "value" + byte.decode())])
            done = self.run_firn("cat", "-d", "length32", "-k", written, self.log)
            self.assertEqual(done.stdout, data)

    def test_with_every_delimiter(self):
        for delimiter, end in [("newline", b"\n"), ("nul", b"\0"), ("paragraph", b"\n\n")]:
            self.log = os.path.join(self.top, delimiter)
            data = b"Package: a" + end + b"none" + end + b"\xff:\xfe" + end
            self.run_firn("append", "-q", "-d", delimiter, "-k", ":", self.log, input=data)
            done = self.run_firn("cat", "-d", delimiter, "-k", ":", self.log)
            self.assertEqual(done.stdout, data)


if __name__ == "__main__":
    unittest.main()
