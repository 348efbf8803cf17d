# SPDX-License-Identifier: MIT
"""firn stack: bytes in, bytes out; the file; misuse; kills; what others wrote."""

import json
import os
import random
import signal
import struct
import time
import unittest

import support

SEED = int(os.environ.get("FIRN_SEED", "1"))
ROUNDS = int(os.environ.get("FIRN_ROUNDS", "8" if support.LITTLE_EFFORT else "20"))
HEADER = 16


class StackTest(support.CommandTest):
    """Each test has the name of a stack, `self.stack`."""

    def setUp(self):
        super().setUp()
        self.stack = os.path.join(self.top, "values")

    def firn(self, action, *arguments, **more):
        return self.run_firn("stack", action, self.stack, *arguments, **more)

    def push(self, data, *arguments):
        return self.firn("push", "--create", *arguments, input=data).stderr.decode()

    def all(self):
        return self.firn("peek", "all").stdout

    def info(self):
        return json.loads(self.firn("info", "--json").stdout)

    def failed(self, *arguments, **more):
        done = self.firn(*arguments, status=1, **more)
        text = done.stderr.decode()
        self.assertEqual(done.stdout, b"")
        self.assertEqual(text.count("\n"), 1, text)
        self.assertTrue(text.startswith("firn stack: "), text)
        return text

    def refused(self, *arguments):
        done = self.run_firn("stack", *arguments, status=2)
        self.assertEqual(done.stdout, b"")
        self.assertIn(b"try 'firn help stack'", done.stderr)

    def file(self):
        with open(self.stack, "rb") as file:
            return file.read()

    def check_file(self, content):
        self.assertEqual(self.file()[:HEADER], b"BSTK\0\1\10\0" + struct.pack("<Q", len(content)))
        self.assertTrue(self.file()[HEADER:] == content)


class Bytes(StackTest):
    def test_round_trip(self):
        rest = content = b""
        for size in 1, 7, 4096, 100000, 0, 3000000:
            data = random.Random(size).randbytes(size)
            self.push(data)
            content += data
            self.check_file(content)
        self.assertTrue(self.all() == content)
        self.assertEqual(self.firn("peek", 5).stdout, content[-5:])
        self.assertEqual(self.firn("peek", 5, "--from", 9).stdout, content[9:14])
        self.assertEqual(self.firn("peek", "all", "-f", len(content)).stdout, b"")
        for size in 3, 0, 200000, "all":
            rest, taken = (b"", content) if size == "all" else \
                (content[:len(content) - size], content[len(content) - size:])
            self.assertTrue(self.firn("pop", size).stdout == taken)
            content = rest
            self.check_file(content)
        self.firn("verify", "-q")

    def test_what_it_says(self):
        self.assertRegex(self.push(b"hello"), r"^firn stack: .*: 5 bytes at byte 0, durable in ")
        self.assertRegex(self.push(b"!"), r"1 byte at byte 5,")
        self.assertRegex(self.push(b""), r"the input is empty")
        self.assertEqual(self.push(b"?", "--quiet"), "")
        self.assertEqual(self.info(), {"stack": self.stack, "bytes": 7, "clean": True,
                                       "pending_changes": 0, "pending_bytes": 0})
        self.assertIn(b"closed:  cleanly\n", self.firn("info").stdout)
        self.assertIn(b"all is well", self.firn("verify").stdout)
        self.assertIsNone(json.loads(self.firn("verify", "-j").stdout)["finding"])

    def test_more_than_a_journal_holds_by_itself(self):
        data = random.Random(1).randbytes(40 << 20)
        self.push(data)
        self.assertTrue(self.all() == data)
        self.assertTrue(self.firn("pop", "40M").stdout == data)

    def test_of_another_writer(self):
        """Its own patch version, and a header that is behind, or ahead."""
        for length, content in ((5, b"hello"), (3, b"hel"), (99, b"hello")):
            with open(self.stack, "wb") as file:
                file.write(b"BSTK\0\1\2\7" + struct.pack("<Q", length) + b"hello")
            self.assertEqual(self.all(), content)
            self.push(b" world")
            self.check_file(content + b" world")


class Misuse(StackTest):
    def test_names(self):
        for action in (("push",), ("pop", 1), ("peek", 1), ("info",), ("verify",)):
            self.assertIn("no such file", self.failed(*action).lower())
        self.assertEqual(os.listdir(self.top), [])
        with open(self.stack, "wb") as file:
            file.write(b"something else, and long enough")
        self.assertIn("not a stack", self.failed("info"))
        self.assertEqual(self.file(), b"something else, and long enough")

    def test_too_much(self):
        self.push(b"hello")
        for action in ("pop", 6), ("peek", 6), ("peek", 1, "-f", 5), ("peek", "all", "-f", 6):
            self.assertIn("it has 5 bytes", self.failed(*action))
        self.check_file(b"hello")

    def test_arguments(self):
        self.push(b"hello")
        for arguments in ((), ("info",), ("push", self.stack, 1), ("pop", self.stack),
                          ("pop", self.stack, "x"), ("pop", self.stack, -1),
                          ("peek", self.stack, 1, 2), ("turn", self.stack),
                          ("pop", "-c", self.stack, 1), ("pop", "-j", self.stack, 1),
                          ("info", "-q", self.stack), ("pop", "-f", 1, self.stack, 1)):
            self.refused(*arguments)
        self.check_file(b"hello")

    def test_output_that_fails(self):
        self.push(b"hello")
        holder = self.start_firn("stack", "pop", self.stack, "all", stdout=open("/dev/full", "wb"))
        self.end_firn(holder, status=1)
        self.check_file(b"hello")  # what could not be written was not taken

    def test_interrupted(self):
        process = self.start_firn("stack", "push", "--create", self.stack)
        process.stdin.write(bytes(1 << 20))  # more than a pipe holds: it has read some of it
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=support.TIMEOUT)
        self.assertEqual(process.returncode, -signal.SIGINT)
        self.assertIn(b"nothing was pushed", messages)
        self.assertFalse(os.path.exists(self.stack))


class Kills(StackTest):
    def test_all_or_nothing(self):
        prng = random.Random(SEED)
        content = b""
        self.push(b"")
        for _ in range(ROUNDS):
            data = prng.randbytes(prng.randrange(1, 2000000))
            process = self.start_firn("stack", "push", "-q", self.stack)
            try:
                process.stdin.write(data)
                process.stdin.close()
                process.stdin = None
            except BrokenPipeError:
                pass
            time.sleep(prng.random() * 0.03)
            process.kill()
            process.communicate(timeout=support.TIMEOUT)
            found = self.all()
            if found != content or process.returncode == 0:
                self.assertTrue(found == content + data, f"FIRN_SEED={SEED}")
                content = found
            self.firn("verify", "-q")
        self.firn("pop", 0)
        self.check_file(content)


if __name__ == "__main__":
    unittest.main()
