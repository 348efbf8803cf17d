# SPDX-License-Identifier: MIT
"""firn cat: ranges, order, JSON, and outputs that fail."""

import base64
import json
import os
import signal
import subprocess
import unittest

import support


class Ranges(support.CommandTest):
    def setUp(self):
        super().setUp()
        self.append(*[b"%d" % index for index in range(100, 200)],
                    arguments=["--first-index", "100"])

    def check(self, arguments, expected):
        values = [int(value) for value in self.values(*arguments.split())]
        self.assertEqual(values, list(expected), arguments)

    def test_forwards(self):
        self.check("", range(100, 200))
        self.check("--from 150", range(150, 200))
        self.check("--to 150", range(100, 150))
        self.check("--from 120 --to 130", range(120, 130))
        self.check("--count 3", range(100, 103))
        self.check("--from 198 --count 3", range(198, 200))
        self.check("--from 120 --to 130 --count 3", range(120, 123))

    def test_backwards(self):
        self.check("--reverse", range(199, 99, -1))
        self.check("--reverse --from 150", range(199, 149, -1))
        self.check("--reverse --to 150", range(149, 99, -1))
        self.check("--reverse --from 120 --to 130", range(129, 119, -1))
        self.check("--reverse --count 3", range(199, 196, -1))
        self.check("--reverse --count 3 --to 102", range(101, 99, -1))

    def test_ends(self):
        for reverse in "", " --reverse":
            whole = range(100, 200)[::-1 if reverse else 1]
            self.check("--from 0" + reverse, whole)
            self.check("--from 99" + reverse, whole)
            self.check("--to 1000" + reverse, whole)
            self.check("--count 1000" + reverse, whole)
            self.check("--from 199" + reverse, [199])
            self.check("--from 100 --to 101" + reverse, [100])
            for nothing in ["--from 200", "--from 1000", "--to 0", "--to 100", "--to 50",
                            "--count 0", "--from 120 --to 120", "--from 18446744073709551615"]:
                self.check(nothing + reverse, [])


class Json(support.CommandTest):
    def test_members(self):
        self.append(b"k=v", b"none", arguments=["-k", "="])
        first, second = self.records()
        self.assertEqual(list(first), ["index", "timestamp", "key", "value", "headers"])
        self.assertEqual((first["index"], first["key"], first["value"]), (0, "k", "v"))
        self.assertEqual((second["index"], second["key"], second["value"]), (1, None, "none"))
        self.assertEqual(first["headers"], [])
        self.assertGreater(first["timestamp"], 1_600_000_000_000)
        self.assertLessEqual(first["timestamp"], second["timestamp"])

    def test_text(self):
        values = ["", "plain", "\"\\/\b\f\n\r\t", "".join(map(chr, range(0x80))),
                  "\u00e4\u20ac\U0001f600\u07ff\ud7ff\ue000\uffff\U0010ffff\u2028"]
        self.append(*[value.encode() for value in values])
        self.assertEqual([record["value"] for record in self.records()], values)

    def test_one_line_for_each_record(self):
        self.append(b"a\nb\r\n", b"\0")
        output = self.run_firn("cat", "-F", "json", self.log).stdout
        self.assertEqual(output.count(b"\n"), 2)

    def test_bytes_that_are_no_text(self):
        values = [b"\xff", b"a\xff", b"ab\xff", b"\x80", b"\xc3", b"\xc0\x80", b"\xc1\xbf",
                  b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xed\xa0\x80", b"\xed\xbf\xbf",
                  b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80",
                  b"\xf5\x80\x80\x80", b"\xe2\x82", b"\xf0\x9f\x98", b"\xc3\x28",
                  bytes(range(256)) * 5]
        self.append(*values)
        for record, value in zip(self.records(), values, strict=True):
            self.assertNotIn("value", record)
            self.assertEqual(base64.b64decode(record["value_base64"], validate=True), value)

    def test_key_that_is_no_text(self):
        self.append(b"\xfe\xff:v", arguments=["-k", ":"])
        record, = self.records()
        self.assertEqual((record["key_base64"], record["value"]), ("/v8=", "v"))

    def test_any_two_bytes(self):
        values = [bytes([first, second]) for first in range(256) for second in range(256)]
        self.append(*values)
        for record, value in zip(self.records(), values, strict=True):
            try:
                expected = {"value": value.decode()}
            except UnicodeDecodeError:
                expected = {"value_base64": base64.b64encode(value).decode()}
            found = {name: record[name] for name in record if name.startswith("value")}
            self.assertEqual(found, expected)


class Outputs(support.CommandTest):
    def setUp(self):
        super().setUp()
        self.append(*[b"%d" % index * 20 for index in range(20000)])

    def test_closed_pipe_ends_it_quietly(self):
        for arguments in [], ["--reverse"], ["--format", "json"]:
            process = self.start_firn("cat", *arguments, self.log)
            process.stdout.readline()
            process.stdout.close()
            self.assertEqual(process.wait(support.TIMEOUT), -signal.SIGPIPE)
            self.assertEqual(process.stderr.read(), b"")

    def test_closed_pipe_in_a_shell(self):
        script = '"$1" cat "$2" | head -1'
        done = subprocess.run(["sh", "-c", script, "sh", support.FIRN, self.log], timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
        self.assertEqual((done.stdout, done.stderr), (b"0" * 20 + b"\n", b""))

    def test_full_device(self):
        with open("/dev/full", "wb") as full:
            for arguments in [["cat", self.log], ["cat", "-n1", self.log], ["info", self.log],
                              ["cat", "-F", "json", self.log], ["verify", self.log], ["help"],
                              ["help", "cat"], ["--version"]]:
                done = self.run_firn(*arguments, stdout=full, status=1)
                self.assertIn(b"standard output: No space left on device", done.stderr)

    def test_closed_output(self):
        for redirect in ">&-", "0<&- >&-", "0<&- >&- 2>&-":
            done = subprocess.run(["sh", "-c", f'"$1" cat "$2" {redirect}', "sh", support.FIRN,
                                   self.log], timeout=60, stderr=subprocess.DEVNULL)
            self.assertEqual(done.returncode, 1)
        self.assertEqual(len(self.values()), 20000)

    def test_reads_beside_a_writer(self):
        process = self.start_firn("append", "--ack", "-q", self.log)
        process.stdin.write(b"more\n")
        process.stdin.flush()
        process.stdout.readline()
        self.assertEqual(self.values("-r", "-n", 1), [b"more"])
        self.end_firn(process)


class Records(support.CommandTest):
    def test_large_ones(self):
        values = [os.urandom(1 << 20) for _ in range(5)]
        self.append(*values)
        self.assertTrue(self.values() == values)
        self.assertTrue(self.values("--reverse") == values[::-1])
        for record, value in zip(self.records(), values, strict=True):
            self.assertTrue(base64.b64decode(record["value_base64"]) == value)

    def test_json_lines_are_json(self):
        self.append(b"a", b"b")
        output = self.run_firn("cat", "-F", "json", "-r", self.log).stdout.decode()
        self.assertEqual([json.loads(line)["value"] for line in output.splitlines()], ["b", "a"])


if __name__ == "__main__":
    unittest.main()
