# SPDX-License-Identifier: MIT
"""firn cursor, tail --cursor and trim --keep-unread."""

import json
import os
import signal
import unittest

import support


class Cursor(support.CommandTest):
    def setUp(self):
        super().setUp()
        self.append(*[b"%d" % number for number in range(20)],
                    arguments=["--durability", "each", "--segment-bytes", "300"])

    def cursor(self, action, *arguments, status=0):
        return self.run_firn("cursor", action, self.log, *arguments, status=status)

    def list(self):
        return self.cursor("list").stdout.decode().split("\n")[:-1]

    def tail(self, *arguments):
        return [int(line) for line in
                self.run_firn("tail", "--cursor", "reader", *arguments, self.log).stdout.split()]

    def test_list_set_remove(self):
        self.assertEqual(self.list(), [])
        self.cursor("set", "b", "5")
        self.cursor("set", "a", "end")
        self.cursor("set", "c", "0")
        self.assertEqual(self.list(), ["a 20 0", "b 5 15", "c 0 20"])
        self.cursor("set", "b", "7")
        self.cursor("remove", "c")
        self.assertEqual(self.list(), ["a 20 0", "b 7 13"])
        self.assertIn(b"no cursor 'c'", self.cursor("remove", "c", status=1).stderr)
        self.run_firn("verify", self.log)
        self.run_firn("truncate", "-q", self.log, "6")
        self.append(*[b"again"] * 4)
        lines = self.cursor("list", "--json").stdout.split(b"\n")[:-1]
        self.assertEqual([json.loads(line) for line in lines],
                         [{"name": "a", "index": 6, "unread": 4, "truncated": True},
                          {"name": "b", "index": 6, "unread": 4, "truncated": True}])

    def test_wrong_calls(self):
        for wrong in [["set", "a"], ["set", "a", "x"], ["set", "a", "1", "2"], ["remove"],
                      ["remove", "a", "b"], ["list", "a"], ["move", "a"]]:
            text = self.cursor(*wrong, status=2).stderr
            self.assertIn(b"try 'firn help cursor'", text)
        self.assertIn(b"next index is 20", self.cursor("set", "a", "21", status=1).stderr)
        self.assertIn(b"no name of a cursor", self.cursor("set", "a/b", "1", status=1).stderr)
        self.assertIn(b"both say", self.run_firn("tail", "-n1", "-c", "a", self.log,
                                                 status=2).stderr)
        self.run_firn("cursor", "list", os.path.join(self.top, "none"), status=1)
        self.assertEqual(self.list(), [])

    def test_tail_goes_on_where_it_was(self):
        self.assertEqual(self.tail(), list(range(20)))
        self.assertEqual(self.tail(), [])
        self.append(b"20", b"21")
        self.assertEqual(self.tail(), [20, 21])
        self.cursor("set", "reader", "19")
        self.assertEqual(self.tail(), [19, 20, 21])
        self.assertEqual(self.list(), ["reader 22 0"])

    def test_what_was_not_written_out_is_not_read(self):
        with open("/dev/full", "wb") as full:
            self.run_firn("tail", "--cursor", "reader", self.log, stdout=full, status=1)
        self.assertEqual(self.list(), ["reader 0 20"])
        self.assertEqual(self.tail(), list(range(20)))

    def test_tail_that_follows_moves_it(self):
        writer = self.start_firn("append", "--ack", self.log)
        follower = self.start_firn("tail", "-f", "--cursor", "reader", self.log)
        for number in range(20):
            self.assertEqual(follower.stdout.readline(), b"%d\n" % number)
        support.wait_until(lambda: self.list() == ["reader 20 0"], "the cursor does not move")
        writer.stdin.write(b"20\n")
        writer.stdin.flush()
        self.assertEqual(writer.stdout.readline(), b"20\n")
        self.assertEqual(follower.stdout.readline(), b"20\n")
        support.wait_until(lambda: self.list() == ["reader 21 0"], "the cursor does not move")
        follower.send_signal(signal.SIGTERM)
        follower.wait(support.TIMEOUT)
        self.end_firn(writer)
        self.assertEqual(self.tail(), [])

    def test_trim_keeps_what_is_unread(self):
        def trim(*arguments):
            return self.run_firn("trim", "--keep-records", "3", "--keep-unread", *arguments,
                                 self.log).stderr.decode()
        self.cursor("set", "slow", "0")
        self.cursor("set", "fast", "18")
        self.assertIn("nothing goes: cursor 'slow' has not read on from 0", trim())
        self.cursor("set", "slow", "11")
        self.assertIn("11 records, 0 to 10, go", trim("--dry-run"))
        self.assertIn("cursor 'slow' has not read the rest", trim())
        self.assertEqual(self.info()["lowest_index"], 11)
        self.cursor("remove", "slow")
        self.assertIn("6 records, 11 to 16, go", trim())

    def test_damage(self):
        self.cursor("set", "a", "5")
        path = os.path.join(self.log, "cursors")
        with open(path, "r+b") as file:
            for copy in range(2):
                file.seek(copy * 4096 + 30)
                file.write(b"\xff")
                file.flush()
                done = self.run_firn("verify", self.log, status=1)
                self.assertIn(b"cursors", done.stdout + done.stderr)
                if copy == 0:
                    self.assertEqual(self.list(), ["a 5 15"])
        self.assertIn(b"move the file away", self.cursor("list", status=1).stderr)
        self.run_firn("trim", "--before", "5", "--keep-unread", self.log, status=1)
        os.rename(path, os.path.join(self.top, "cursors"))
        self.cursor("set", "a", "5")
        self.assertEqual(self.list(), ["a 5 15"])


if __name__ == "__main__":
    unittest.main()
