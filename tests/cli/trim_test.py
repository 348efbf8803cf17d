# SPDX-License-Identifier: MIT
"""firn trim, and times of records: --since and --until."""

import os
import re
import time
import unittest

import support


class Trim(support.CommandTest):
    def setUp(self):
        super().setUp()
        self.append(*[b"%0100d" % index for index in range(100)],
                    arguments=["--segment-bytes", "1000", "--durability", "each"])

    def trim(self, arguments, status=0):
        return self.run_firn("trim", *arguments.split(), self.log, status=status).stderr.decode()

    def check_lowest(self, lowest):
        info = self.info()
        self.assertEqual((info["lowest_index"], info["next_index"]), (lowest, 100))
        self.assertEqual([int(value) for value in self.values()], list(range(lowest, 100)))
        self.run_firn("verify", self.log)

    def test_by_index(self):
        self.assertIn("30 records, 0 to 29, go", self.trim("--before 30"))
        self.check_lowest(30)
        self.assertIn("nothing goes", self.trim("--before 30"))
        self.assertIn("nothing goes", self.trim("--before 7"))
        self.check_lowest(30)

    def test_by_number(self):
        self.trim("--keep-records 40")
        self.check_lowest(60)
        self.trim("--keep-records 1000")
        self.check_lowest(60)
        self.trim("--keep-records 0")
        self.check_lowest(100)
        self.append(b"more")
        self.assertEqual(self.values(), [b"more"])

    def test_by_bytes(self):
        before = self.info()["bytes"]
        self.trim("--keep-bytes 2k")
        after = self.info()
        self.assertGreater(after["lowest_index"], 0)
        self.assertLess(after["bytes"], before)
        self.assertGreater(after["bytes"], 1024)
        self.run_firn("verify", self.log)
        self.trim("--keep-bytes 0")
        self.check_lowest(100)

    def test_by_age(self):
        self.trim("--older-than 1h")
        self.check_lowest(0)
        end = time.monotonic()
        support.wait_until(lambda: time.monotonic() > end + 0.005, "time stands still")
        self.trim("--older-than 2ms")
        self.check_lowest(100)
        self.assertEqual([name for name in os.listdir(self.log) if name.endswith(".log")], [])

    def test_several_limits(self):
        self.trim("--before 20 --keep-records 50 --older-than 1d")
        self.check_lowest(50)

    def test_space_is_freed(self):
        def size():
            return sum(os.path.getsize(os.path.join(self.log, name))
                       for name in os.listdir(self.log) if name.endswith(".log"))
        before = size()
        text = self.trim("--before 50")
        self.assertRegex(text, r"\d+ segments, .* freed")
        self.assertLess(size(), before)

    def test_dry_run_changes_nothing(self):
        before = {name: os.stat(os.path.join(self.log, name)).st_mtime_ns
                  for name in os.listdir(self.log)}
        text = self.trim("--dry-run --quiet --keep-records 40")
        self.assertRegex(text, r"60 records, 0 to 59, go: .*; \d+ segments, .* would be freed\n$")
        self.assertEqual(before, {name: os.stat(os.path.join(self.log, name)).st_mtime_ns
                                  for name in os.listdir(self.log)})
        self.check_lowest(0)

    def test_quiet(self):
        self.assertEqual(self.trim("--quiet --before 10"), "")

    def test_wrong_calls(self):
        self.assertIn("say what is to go", self.trim("", status=2))
        for wrong in "7", "d", "7y", "-1d", "1.5h", "99999999999999999999d":
            self.assertIn("90s, 12h, 7d", self.trim(f"--older-than={wrong}", status=2))
        done = self.run_firn("trim", "--before", "1", os.path.join(self.top, "none"), status=1)
        self.assertIn(b"none", done.stderr)

    def test_while_it_is_written(self):
        writer = self.start_firn("append", "--ack", self.log)
        writer.stdin.write(b"more\n")
        writer.stdin.flush()
        self.assertEqual(writer.stdout.readline(), b"100\n")
        text = self.trim("--before 10", status=1)
        self.assertIn(str(writer.pid), text)
        self.assertIn("10 records", self.trim("--before 10 --dry-run"))
        self.end_firn(writer)


class Times(support.CommandTest):
    def setUp(self):
        super().setUp()
        self.times = []
        for group in range(5):
            self.append(b"a%d" % group, b"b%d" % group)
            last = self.records()[-1]["timestamp"]
            self.times.append(last)
            support.wait_until(lambda: time.time() * 1000 > last + 3, "time stands still")

    @staticmethod
    def seconds(milliseconds):
        return f"@{milliseconds // 1000}.{milliseconds % 1000:03}"

    @staticmethod
    def date(milliseconds, form="%Y-%m-%d %H:%M:%S", end=""):
        whole = time.strftime(form, time.gmtime(milliseconds // 1000))
        return f"{whole}.{milliseconds % 1000:03}{end}"

    def groups(self, *arguments):
        return sorted({int(value[1:]) for value in self.values(*arguments)})

    def test_since(self):
        for write in [self.seconds, self.date, lambda t: self.date(t, end=" UTC"),
                      lambda t: self.date(t, "%Y-%m-%dT%H:%M:%S", "Z")]:
            for group in range(1, 5):
                since = write(self.times[group - 1] + 1)
                self.assertEqual(self.groups("--since", since), list(range(group, 5)))
                self.assertEqual(self.groups("--until", since), list(range(group)))

    def test_ranges(self):
        since, until = self.seconds(self.times[0] + 1), self.seconds(self.times[3] + 1)
        self.assertEqual(self.groups("--since", since, "--until", until), [1, 2, 3])
        self.assertEqual(self.groups("--since", since, "--until", until, "--reverse"), [1, 2, 3])
        self.assertEqual(self.groups("--since", since, "--from", "4"), [2, 3, 4])
        self.assertEqual(self.groups("--until", until, "--to", "4"), [0, 1])
        self.assertEqual(self.groups("--since", until, "--to", "4"), [])
        self.assertEqual(self.values("--since", since, "--count", "1"), [b"a1"])

    def test_ends(self):
        self.assertEqual(self.groups("--since", "1970-01-01"), list(range(5)))
        self.assertEqual(self.groups("--since", "-1h"), list(range(5)))
        self.assertEqual(self.groups("--until", "-1h"), [])
        self.assertEqual(self.groups("--since", "9999-12-31 23:59"), [])
        self.assertEqual(self.groups("--until", "9999-12-31T23:59:59Z"), list(range(5)))

    def test_wrong_times(self):
        for wrong in ["", "yesterday", "2026", "2026-13-01", "2026-02-29", "2026-01-01 25:00",
                      "2026-01-01 12", "2026-01-01 12:00:60", "2026-01-01 12:00:00.",
                      "2026-01-01 12:00 CET", "@", "@1.", "@x", "-", "-2", "-2y", "1969-12-31"]:
            text = self.run_firn("cat", f"--since={wrong}", self.log, status=2).stderr.decode()
            self.assertIn("2026-01-31 12:00", text, wrong)
        text = self.run_firn("cat", "--since=@2", "--until=@1", self.log, status=2).stderr
        self.assertIn(b"--until is before --since", text)


if __name__ == "__main__":
    unittest.main()
