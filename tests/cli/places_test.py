# SPDX-License-Identifier: MIT
"""Directories that are missing, forbidden, in use or no logs."""

import os
import shutil
import unittest

import support

READERS = [["cat"], ["info"], ["verify"]]


class PlaceTest(support.CommandTest):
    def failed(self, *arguments, **more):
        """Fails with one line on standard error, and nothing else."""
        done = self.run_firn(*arguments, status=1, **more)
        self.assertEqual(done.stdout, b"")
        text = done.stderr.decode()
        self.assertEqual(text.count("\n"), 1, text)
        self.assertTrue(text.startswith(f"firn {arguments[0]}: "), text)
        return text


class Places(PlaceTest):
    def test_missing(self):
        for arguments in READERS + [["append", "--no-create"]]:
            self.assertIn(self.log, self.failed(*arguments, self.log))
        self.assertIn(self.log, self.failed("truncate", self.log, "0"))
        self.assertFalse(os.path.exists(self.log))

    def test_empty_directory(self):
        os.mkdir(self.log)
        for arguments in READERS + [["append", "--no-create"]]:
            self.assertIn(self.log, self.failed(*arguments, self.log))
        self.append(b"a")
        self.assertEqual(self.values(), [b"a"])

    def test_file_in_the_place_of_a_directory(self):
        with open(self.log, "wb") as file:
            file.write(b"text")
        for arguments in READERS + [["append"]]:
            self.assertIn(self.log, self.failed(*arguments, self.log))
            self.failed(*arguments, os.path.join(self.log, "below"))
        with open(self.log, "rb") as file:
            self.assertEqual(file.read(), b"text")

    def test_directory_of_something_else(self):
        os.mkdir(self.log)
        other = os.path.join(self.log, "letter.txt")
        with open(other, "wb") as file:
            file.write(b"text")
        for arguments in READERS:
            self.assertIn(self.log, self.failed(*arguments, self.log))
        self.assertEqual(os.listdir(self.log), ["letter.txt"])

    def test_second_writer_is_told_who_writes(self):
        first = self.start_firn("append", "--ack", "-q", self.log)
        first.stdin.write(b"a\n")
        first.stdin.flush()
        first.stdout.readline()
        for arguments in [["append", self.log], ["truncate", self.log, "0"]]:
            text = self.failed(*arguments)
            self.assertIn(str(first.pid), text)
            self.assertIn(self.log, text)
        self.end_firn(first)
        self.append(b"b")
        self.assertEqual(self.values(), [b"a", b"b"])


class Permissions(PlaceTest):
    """Run by somebody else if we are the superuser, whom nothing is forbidden."""

    def setUp(self):
        super().setUp()
        os.chmod(self.top, 0o755)
        self.other = {}
        if os.geteuid() == 0:
            command = os.path.join(self.top, "firn")
            shutil.copy(support.FIRN, command)
            os.chmod(command, 0o755)
            self.other = {"user": 65534, "group": 65534, "extra_groups": [], "executable": command,
                          "cwd": self.top}

    def forbid(self, path, mode):
        os.chmod(path, mode)
        self.addCleanup(os.chmod, path, 0o755)

    def test_directory_that_cannot_be_created(self):
        self.forbid(self.top, 0o555)
        text = self.failed("append", self.log, input=b"a\n", **self.other)
        self.assertIn(self.log, text)
        self.assertIn("ermission denied", text)

    def test_log_that_is_read_only(self):
        self.append(b"a")
        for name in os.listdir(self.log):
            os.chmod(os.path.join(self.log, name), 0o444)
        self.forbid(self.log, 0o555)
        self.assertIn("ermission denied", self.failed("append", self.log, **self.other))
        done = self.run_firn("cat", self.log, **self.other)
        self.assertEqual(done.stdout, b"a\n")
        self.run_firn("info", self.log, **self.other)
        self.run_firn("verify", self.log, **self.other)

    def test_log_that_is_forbidden(self):
        self.append(b"a")
        self.forbid(self.log, 0o700 if os.geteuid() == 0 else 0o000)
        for arguments in READERS + [["append"]]:
            self.assertIn("ermission denied", self.failed(*arguments, self.log, **self.other))


class FullDisk(support.FullDiskTest):
    SCRIPT = """
        "$1" append --ack --segment-bytes 1M "$2/log" < "$3/input" > "$3/acks" 2> "$3/messages"
        echo $? > "$3/status"
        "$1" cat -d length32 "$2/log" > "$3/values" && "$1" verify -q "$2/log"
    """

    def test_what_was_acknowledged_is_kept(self):
        lines = [b"%06d" % index * 170 for index in range(16000)]
        with open(os.path.join(self.top, "input"), "wb") as file:
            file.writelines(line + b"\n" for line in lines)
        self.on_full_disk(self.SCRIPT)
        self.assertEqual(self.read_file("status"), b"1\n")
        self.assertIn(b"make room", self.read_file("messages"))
        acknowledged = self.read_file("acks").split()
        self.assertEqual(acknowledged, [b"%d" % index for index in range(len(acknowledged))])
        values = support.unframed(self.read_file("values"))
        self.assertGreaterEqual(len(values), len(acknowledged))
        self.assertGreater(len(values), 3000)
        self.assertTrue(values == lines[:len(values)])


if __name__ == "__main__":
    unittest.main()
