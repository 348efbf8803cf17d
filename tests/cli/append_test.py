# SPDX-License-Identifier: MIT
"""firn append: acknowledgements, conditions, limits, the summary, the progress bar."""

import fcntl
import os
import pty
import re
import struct
import termios
import unittest

import support


class Append(support.CommandTest):
    def test_creates_the_log_and_goes_on(self):
        self.run_firn("append", self.log, input=b"a\nb\n")
        self.run_firn("append", self.log, input=b"c\n")
        self.assertEqual(self.values(), [b"a", b"b", b"c"])

    def test_no_input_creates_an_empty_log(self):
        self.run_firn("append", self.log)
        self.assertEqual(self.values(), [])
        self.assertEqual(self.info()["next_index"], 0)

    def test_creates_parents(self):
        self.log = os.path.join(self.top, "deep/er/log")
        self.append(b"a")
        self.assertEqual(self.values(), [b"a"])

    def test_compression(self):
        lines = [b"line %d of a text that repeats itself" % number for number in range(5000)]
        sizes = []
        for number, method in enumerate(["none", "lz4", "zstd"]):
            self.log = os.path.join(self.top, method)
            done = self.start_firn("append", "--ack", "--compression", method, self.log)
            output, errors = done.communicate(b"\n".join(lines), timeout=support.TIMEOUT)
            if number and b"does not write it" in errors:
                self.skipTest("built without " + method)
            self.assertEqual(output.split(), [b"%d" % i for i in range(5000)])
            self.assertEqual(self.values(), lines)
            sizes.append(self.info()["bytes"])
        self.assertLess(2 * sizes[1], sizes[0])
        self.assertLess(2 * sizes[2], sizes[0])

    def test_a_long_record_among_compressed_ones_is_named(self):
        for method in "lz4", "zstd":
            done = self.start_firn("append", "-q", "-z", method, "--record-bytes", "100", self.log)
            output, errors = done.communicate(b"a\nb\n" + 101 * b"c" + b"\nd\n",
                                              timeout=support.TIMEOUT)
            if b"does not write it" in errors:
                self.skipTest("built without " + method)
            self.assertEqual(done.returncode, 1)
            self.assertIn(b"record 3 of the input, at byte 4, is longer", errors)
        self.assertEqual(self.values(), [b"a", b"b", b"a", b"b"])

    def file(self, name, data):
        path = os.path.join(self.top, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def test_streams_files(self):
        datas = [b"", b"short", os.urandom(3000000), b"x" * 1500000]
        paths = [self.file(str(i), data) for i, data in enumerate(datas)]
        done = self.run_firn("append", "--ack", "-S", paths[0], "--stream-from", paths[1],
                             self.log, *paths[2:])
        self.assertEqual(done.stdout, b"0\n1\n2\n3\n")
        self.assertIn(b"4 records (0 to 3)", done.stderr)
        self.run_firn("append", "-q", "-S", "-", self.log, input=datas[2])
        records = support.unframed(self.run_firn("cat", "-d", "length32", self.log).stdout)
        self.assertEqual(records, datas + [datas[2]])
        whole = self.run_firn("cat", self.log).stdout
        self.assertEqual(whole, b"".join(data + b"\n" for data in datas + [datas[2]]))
        self.run_firn("verify", self.log)

    def test_a_file_that_cannot_be_streamed_leaves_nothing(self):
        path = self.file("large", 2000 * b"x")
        for arguments, message in (
                (["-S", os.path.join(self.top, "missing")], b"missing: No such file"),
                (["-S", self.top], b"Is a directory"),
                (["--record-bytes", "1999", "-S", path], b"limit of 1999 bytes")):
            done = self.run_firn("append", "-q", *arguments, self.log, status=1)
            self.assertIn(message, done.stderr)
        self.run_firn("append", "-q", "--record-bytes", "2000", "-S", path, self.log)
        self.assertEqual(self.info()["next_index"], 1)
        self.assertEqual([n for n in os.listdir(self.log) if n.startswith("spool")], [])
        done = self.run_firn("append", self.log, "more", status=2)
        self.assertIn(b"one argument too many", done.stderr)

    def test_durability(self):
        for number, mode in enumerate(["each", "group", "os"]):
            self.run_firn("append", "--durability", mode, self.log, input=b"one\ntwo\n")
            self.assertEqual(self.info()["next_index"], 2 * number + 2)

    def test_acknowledges_every_record_in_order(self):
        lines = b"".join(b"%d\n" % number for number in range(20000))
        for number, mode in enumerate(["each", "group", "os"]):
            done = self.run_firn("append", "--ack", "-q", "-D", mode, self.log, input=lines)
            first = 20000 * number
            self.assertEqual(done.stdout.split(), [b"%d" % i for i in range(first, first + 20000)])
            self.assertEqual(done.stderr, b"")

    def test_acknowledges_before_it_waits_for_more(self):
        for mode in "each", "group":
            process = self.start_firn("append", "--ack", "-q", "--durability", mode, self.log)
            first = self.info()["next_index"] if mode == "group" else 0
            for index in range(first, first + 20):
                process.stdin.write(b"record\n")
                process.stdin.flush()
                self.assertEqual(process.stdout.readline(), b"%d\n" % index)
            self.assertEqual(self.end_firn(process), (b"", b""))

    def test_what_is_acknowledged_is_seen_by_readers(self):
        process = self.start_firn("append", "--ack", "-q", self.log)
        for count in range(1, 6):
            process.stdin.write(b"record\n")
            process.stdin.flush()
            process.stdout.readline()
            self.assertEqual(len(self.values()), count)
        self.end_firn(process)

    def test_without_ack_prints_nothing(self):
        self.assertEqual(self.run_firn("append", self.log, input=b"a\n").stdout, b"")

    def test_no_create(self):
        self.run_firn("append", "--no-create", self.log, input=b"a\n", status=1)
        self.assertFalse(os.path.exists(self.log))
        self.append(b"a")
        self.append(b"b", arguments=["--no-create"])
        self.assertEqual(self.values(), [b"a", b"b"])

    def test_first_index(self):
        self.append(b"a", arguments=["--first-index", "1000"])
        self.append(b"b", arguments=["--first-index", "1000"])
        self.assertEqual([record["index"] for record in self.records()], [1000, 1001])
        self.run_firn("append", "--first-index", "1001", self.log, input=b"c\n", status=1)
        self.assertEqual(self.values(), [b"a", b"b"])

    def test_expect_next(self):
        self.append(b"a", b"b", arguments=["--expect-next", "0"])
        done = self.run_firn("append", "--expect-next", "0", self.log, input=b"x\n", status=1)
        self.assertIn(b"gets index 2, not 0", done.stderr)
        self.run_firn("append", "--expect-next", "3", self.log, input=b"x\n", status=1)
        self.append(b"c", arguments=["--expect-next", "2"])
        self.assertEqual(self.values(), [b"a", b"b", b"c"])

    def test_small_segments(self):
        values = [b"%d" % number * 50 for number in range(2000)]
        self.append(*values, arguments=["--segment-bytes", "16k"])
        self.assertEqual(self.values(), values)
        self.assertGreater(self.info()["segments"], 10)

    def test_limit_of_a_record(self):
        long = b"x" * 100_001
        for delimiter, data, offset in [("newline", b"a\nb\n" + long + b"\nc\n", 4),
                                        ("nul", b"a\0b\0" + long + b"\0c\0", 4),
                                        ("paragraph", b"a\n\nb\n\n\n" + long + b"\n\nc\n\n", 7),
                                        ("length32", support.framed([b"a", b"b", long, b"c"]), 10),
                                        ("newline", b"a\nb\n" + long, 4)]:
            arguments = ["-d", delimiter, "--record-bytes", "100000", "--ack", self.log]
            done = self.run_firn("append", *arguments, input=data, status=1)
            self.assertIn(b"record 3 of the input, at byte %d, is longer" % offset, done.stderr)
            self.assertEqual(len(done.stdout.split()), 2)
            self.assertEqual(self.values()[-2:], [b"a", b"b"])
        self.assertEqual(self.info()["next_index"], 10)

    def test_record_at_the_limit(self):
        self.append(b"x" * 100_000, arguments=["--record-bytes", "100000"])
        self.assertEqual([len(value) for value in self.values()], [100_000])

    def test_limit_without_options(self):
        done = self.run_firn("append", self.log, input=b"a\n" + b"x" * (9 << 20), status=1)
        self.assertIn(b"record 2 of the input, at byte 2, is longer", done.stderr)
        self.assertEqual(self.values(), [b"a"])

    def test_larger_records_on_demand(self):
        value = os.urandom(1 << 20) * 20
        self.append(value, arguments=["--record-bytes", "20M"])
        self.assertTrue(self.values() == [value])

    def test_record_that_no_segment_holds(self):
        data = b"a\n" + b"x" * 60_000 + b"\n"
        done = self.run_firn("append", "--segment-bytes", "16k", self.log, input=data, status=1)
        self.assertIn(b"record 2 of the input, at byte 2, is longer", done.stderr)
        self.assertEqual(self.values(), [b"a"])

    @unittest.skipIf(support.LITTLE_EFFORT, "a sanitizer takes memory of its own")
    def test_memory_is_bounded(self):
        data = os.path.join(self.top, "data")
        with open(data, "wb") as file:
            for _ in range(96):
                file.write((b"x" * 1023 + b"\n") * 1024)
        for mode in "each", "os":
            with open(data, "rb") as file:
                process = self.start_firn("append", "-q", "-D", mode, self.log, stdin=file)
            _, process.returncode, used = os.wait4(process.pid, 0)
            self.end_firn(process)
            self.assertLess(used.ru_maxrss, 64 * 1024, "KiB")
        self.assertEqual(self.info()["next_index"], 2 * 96 * 1024)


class Summary(support.CommandTest):
    def test_says_what_is_durable(self):
        messages = self.run_firn("append", self.log, input=b"a\nbcd\n").stderr.decode()
        self.assertRegex(messages, r"^firn append: 2 records \(0 to 1\), 6 bytes in [\d.]+ s: "
                                   r"\d+ records/s, [\d.]+ [\w]+/s\n$")
        messages = self.run_firn("append", self.log, input=b"a\n").stderr.decode()
        self.assertIn(": 1 record (2), ", messages)
        messages = self.run_firn("append", self.log).stderr.decode()
        self.assertIn(": 0 records, 0 bytes", messages)

    def test_quiet(self):
        self.assertEqual(self.run_firn("append", "-q", self.log, input=b"a\n").stderr, b"")


class Progress(support.CommandTest):
    """What a terminal of 70 columns sees."""

    def start(self, *arguments, columns=70):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = self.start_firn("append", *arguments, self.log, stderr=theirs)
        os.close(theirs)
        return process, ours

    def read_until(self, terminal, pattern):
        seen = b""
        while not re.search(pattern, seen):
            seen += os.read(terminal, 4096)
        return seen

    def read_rest(self, terminal):
        seen = b""
        try:
            while more := os.read(terminal, 4096):
                seen += more
        except OSError:  # the other side is closed
            pass
        return seen

    def screen(self, output):
        """The lines that are on the terminal in the end."""
        lines, column = [""], 0
        for letter in output.decode().replace("\r\n", "\n"):
            if letter == "\n":
                lines.append("")
                column = 0
            elif letter == "\r":
                column = 0
            elif letter == "\b":
                column -= 1
            else:
                lines[-1] = lines[-1][:column].ljust(column) + letter + lines[-1][column + 1:]
                column += 1
        return lines

    def test_bar_with_rate_and_time_to_go(self):
        process, terminal = self.start("--size", "40")
        process.stdin.write(b"x" * 19 + b"\n")
        process.stdin.flush()
        seen = self.read_until(terminal, rb"ETA \d+:\d\d")
        self.assertRegex(seen, rb"\r\[=+> +\]  50% 20 bytes, \d+ bytes/s, \d+ records/s, ETA")
        self.assertTrue(all(len(line) < 70 for line in seen.split(b"\r")))
        self.end_firn(process)

    def test_line_is_taken_away(self):
        process, terminal = self.start("--size", "40", columns=200)
        process.stdin.write(b"x" * 19 + b"\n")
        process.stdin.flush()
        seen = self.read_until(terminal, rb"ETA \d+:\d\d")
        self.end_firn(process)
        summary, end = self.screen(seen + self.read_rest(terminal))
        self.assertRegex(summary, r"^firn append: 1 record .*/s +$")
        self.assertNotIn("ETA", summary)
        self.assertEqual(end, "")

    def test_without_a_size(self):
        process, terminal = self.start()
        process.stdin.write(b"x\n")
        process.stdin.flush()
        seen = self.read_until(terminal, rb"2 bytes, \d+ bytes/s, \d+ records/s, 0:\d\d")
        self.assertNotIn(b"[", seen)
        self.end_firn(process)

    def test_narrow_terminal(self):
        process, terminal = self.start("--size", "40", columns=20)
        process.stdin.write(b"x\n")
        process.stdin.flush()
        seen = self.read_until(terminal, rb"2 bytes, ")
        self.assertTrue(all(len(line) < 20 for line in seen.split(b"\r")))
        self.end_firn(process)

    def test_quiet_shows_nothing(self):
        process, terminal = self.start("-q")
        process.stdin.write(b"x\n")
        self.end_firn(process)
        self.assertEqual(self.read_rest(terminal), b"")


if __name__ == "__main__":
    unittest.main()
