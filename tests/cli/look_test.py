# SPDX-License-Identifier: MIT
"""firn info, firn verify, firn truncate; and logs that are damaged or were not closed."""

import glob
import os
import re
import unittest

import support


class Info(support.CommandTest):
    def text(self):
        """The lines, as a dictionary."""
        lines = self.run_firn("info", self.log).stdout.decode().splitlines()
        return dict(re.fullmatch(r"([a-z ]+): +(.*)", line).groups() for line in lines)

    def test_empty_log(self):
        self.run_firn("append", "-q", "--first-index", "7", self.log)
        text = self.text()
        self.assertEqual((text["records"], text["next index"]), ("0", "7"))
        self.assertNotIn("indexes", text)
        self.assertNotIn("first record", text)
        info = self.info()
        self.assertEqual((info["records"], info["lowest_index"], info["next_index"]), (0, 7, 7))
        self.assertIsNone(info["first_timestamp"])
        self.assertIsNone(info["last_timestamp"])

    def test_records(self):
        self.append(b"a" * 1000, b"b" * 1000)
        text = self.text()
        self.assertEqual((text["log"], text["records"]), (self.log, "2"))
        self.assertEqual((text["indexes"], text["next index"]), ("0 to 1", "2"))
        self.assertRegex(text["bytes"], r"^2\d\d\d \(2\.\d KiB\)$")
        self.assertEqual((text["segments"], text["damaged ranges"]), ("1", "0"))
        self.assertEqual(text["closed"], "cleanly")
        self.assertRegex(text["first record"], r"^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC$")
        info = self.info()
        self.assertEqual((info["log"], info["records"], info["lowest_index"]), (self.log, 2, 0))
        self.assertEqual((info["segments"], info["clean"]), (1, True))
        records = self.records()
        self.assertEqual(info["first_timestamp"], records[0]["timestamp"])
        self.assertEqual(info["last_timestamp"], records[1]["timestamp"])
        self.assertEqual(info["recovery"]["damaged_ranges"], 0)

    def test_log_that_was_not_closed(self):
        process = self.start_firn("append", "--ack", "-q", self.log)
        process.stdin.write(b"a\nb\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.readline()
        process.kill()
        process.wait(support.TIMEOUT)
        for _ in range(2):  # looking changes nothing
            self.assertFalse(self.info()["clean"])
            self.assertRegex(self.text()["closed"], "^not cleanly")
            self.assertEqual(self.values(), [b"a", b"b"])
            self.run_firn("verify", self.log)
        messages = self.run_firn("append", self.log).stderr.decode()
        self.assertEqual(messages.count("\n"), 2, messages)
        self.assertTrue(self.info()["clean"])
        self.assertEqual(self.values(), [b"a", b"b"])


class Verify(support.CommandTest):
    def test_sound_log(self):
        self.append(*[b"%d" % index for index in range(1000)])
        output = self.run_firn("verify", self.log).stdout.decode()
        self.assertRegex(output, r"^1000 records in \d+ batch(es)? and 1 segment, .*: "
                                 r"all is well\n$")
        self.assertEqual(self.run_firn("verify", "-q", self.log).stdout, b"")

    def test_changes_nothing(self):
        self.append(b"a", b"b")
        before = self.files()
        self.run_firn("verify", self.log)
        self.run_firn("info", self.log)
        self.run_firn("cat", self.log)
        self.assertEqual(self.files(), before)

    def files(self):
        found = {}
        for name in os.listdir(self.log):
            with open(os.path.join(self.log, name), "rb") as file:
                found[name] = file.read()
        return found


class Damage(support.CommandTest):
    """One bit of the stored records is not as it was."""

    def setUp(self):
        super().setUp()
        self.sent = [b"%06d" % index * 100 for index in range(1000)]
        self.append(*self.sent)
        self.segment, = glob.glob(os.path.join(self.log, "*.log"))
        with open(self.segment, "rb") as file:
            self.place = file.read().index(self.sent[500]) + 3
        self.flip(self.place)

    def flip(self, place):
        with open(self.segment, "r+b") as file:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ 1]))

    def lost(self, text):
        """The range of records that a message names."""
        first, last = re.search(r"records (?:from )?(\d+) to (\d+) can't be read", text).groups()
        return range(int(first), int(last) + 1)

    def test_verify_tells_the_place(self):
        done = self.run_firn("verify", self.log, status=1)
        finding, figures = done.stdout.decode().splitlines()
        name, offset, length = re.match(r"(\S+): byte (\d+), (\d+) bytes: ", finding).groups()
        self.assertEqual(name, os.path.basename(self.segment))
        self.assertIn(self.place, range(int(offset), int(offset) + int(length)))
        self.assertIn(500, self.lost(finding))
        self.assertIn("1 finding", figures)
        done = self.run_firn("verify", "-q", self.log, status=1)
        self.assertEqual(done.stdout.decode(), finding + "\n")

    def test_cat_goes_on_behind_it(self):
        for reverse in [], ["--reverse"]:
            done = self.run_firn("cat", "-d", "length32", *reverse, self.log, status=1)
            text = done.stderr.decode()
            self.assertEqual(text.count("\n"), 1, text)
            self.assertIn(self.segment, text)
            lost = self.lost(text)
            self.assertIn(500, lost)
            self.assertLess(len(lost), 100)
            kept = [self.sent[i] for i in range(1000) if i not in lost]
            values = support.unframed(done.stdout)
            self.assertTrue(values == (kept[::-1] if reverse else kept))

    def test_cat_of_what_is_sound(self):
        self.assertEqual(self.values("--to", 300), self.sent[:300])
        self.assertEqual(self.values("--from", 700), self.sent[700:])

    def test_append_goes_on(self):
        self.append(b"more")
        self.assertEqual(self.values("--from", 1000), [b"more"])
        self.run_firn("verify", self.log, status=1)

    def test_sound_again(self):
        self.flip(self.place)
        self.run_firn("verify", self.log)
        self.assertTrue(self.values() == self.sent)


class Truncate(support.CommandTest):
    def setUp(self):
        super().setUp()
        self.sent = [b"%d" % index for index in range(100, 200)]
        self.append(*self.sent, arguments=["--first-index", "100"])

    def test_removes_the_end(self):
        messages = self.run_firn("truncate", self.log, "150").stderr.decode()
        self.assertIn("50 records removed; the next one gets index 150", messages)
        self.assertEqual(self.values(), self.sent[:50])
        self.append(b"new")
        self.assertEqual(self.values(), self.sent[:50] + [b"new"])
        self.assertEqual(self.records("-r", "-n1")[0]["index"], 150)
        self.run_firn("verify", self.log)

    def test_ends(self):
        self.run_firn("truncate", self.log, "200")
        self.assertEqual(self.values(), self.sent)
        self.assertIn(b": 1 record removed", self.run_firn("truncate", self.log, "199").stderr)
        self.assertEqual(self.run_firn("truncate", "-q", self.log, "100").stderr, b"")
        self.assertEqual(self.values(), [])
        self.assertEqual(self.info()["next_index"], 100)

    def test_outside(self):
        for index in "0", "99", "201", "18446744073709551615":
            self.run_firn("truncate", self.log, index, status=1)
        self.assertEqual(self.values(), self.sent)

    def test_across_segments(self):
        self.log = os.path.join(self.top, "segments")
        values = [b"%d" % number * 50 for number in range(2000)]
        self.append(*values, arguments=["--segment-bytes", "16k"])
        for index in 1500, 777, 3:
            self.run_firn("truncate", self.log, index)
            self.assertEqual(self.values(), values[:index])
            self.run_firn("verify", self.log)


if __name__ == "__main__":
    unittest.main()
