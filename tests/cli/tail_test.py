# SPDX-License-Identifier: MIT
"""firn tail: the last records, and those that follow, from writers that come, go and die."""

import signal
import threading
import unittest

import support


class Tail(support.CommandTest):
    def tail(self, *arguments):
        return self.run_firn("tail", *arguments, self.log).stdout.split()

    def follow(self, *arguments):
        follower = self.start_firn("tail", "-f", *arguments, self.log)
        follower.stdin.close()
        return follower

    def numbers(self, first, last):
        return [b"%d" % number for number in range(first, last)]

    def expect(self, follower, lines):
        for line in lines:
            self.assertEqual(follower.stdout.readline(), line + b"\n")

    def stop(self, follower):
        follower.send_signal(signal.SIGTERM)
        output = follower.stdout.read()
        messages = follower.stderr.read().decode()
        follower.wait(support.TIMEOUT)
        self.assertEqual(output, b"")
        return messages

    def test_last_ones(self):
        self.append(*self.numbers(0, 30))
        self.assertEqual(self.tail(), self.numbers(20, 30))
        self.assertEqual(self.tail("-n", "3"), self.numbers(27, 30))
        self.assertEqual(self.tail("-n", "100"), self.numbers(0, 30))
        self.assertEqual(self.tail("-n", "0"), [])
        self.assertIn(b'"index":29', self.tail("-n1", "-F", "json")[0])

    def test_follows(self):
        self.append(*self.numbers(0, 5))
        follower = self.follow("-n", "2")
        self.expect(follower, self.numbers(3, 5))
        for start in range(5, 50, 5):
            self.append(*self.numbers(start, start + 5), arguments=["--segment-bytes", "400"])
            self.expect(follower, self.numbers(start, start + 5))
        self.assertEqual(self.stop(follower), "")

    def test_follows_one_that_is_writing(self):
        writer = self.start_firn("append", "--ack", self.log)
        writer.stdin.write(b"0\n")
        writer.stdin.flush()
        self.assertEqual(writer.stdout.readline(), b"0\n")
        follower = self.follow()
        self.expect(follower, self.numbers(0, 1))
        for number in range(1, 20):
            writer.stdin.write(b"%d\n" % number)
            writer.stdin.flush()
            self.expect(follower, self.numbers(number, number + 1))
        self.end_firn(writer)
        self.assertEqual(self.stop(follower), "")

    def test_truncation_and_removal_are_told(self):
        self.append(*self.numbers(0, 20))
        follower = self.follow("-n", "1")
        self.expect(follower, [b"19"])
        self.run_firn("truncate", "-q", self.log, "10")
        self.append(b"new")
        self.expect(follower, [b"new"])
        self.run_firn("trim", "-q", "--keep-records", "0", self.log)
        self.append(b"newer")
        self.expect(follower, [b"newer"])
        self.assertRegex(self.stop(follower), "the log was truncated; it goes on at 1[01]")

    def test_ends_with_its_reader(self):
        self.append(b"one")
        follower = self.follow()
        self.expect(follower, [b"one"])
        follower.stdout.close()
        self.assertEqual(follower.wait(support.TIMEOUT), -signal.SIGPIPE)

    def test_without_a_log(self):
        self.assertIn(b"there is no log", self.run_firn("tail", self.top, status=1).stderr)


class Killed(support.CommandTest):
    """The writer is killed and comes back; who follows gets every record once, in order."""

    LIVES = 5 if support.LITTLE_EFFORT else 20
    EACH = 300 if support.LITTLE_EFFORT else 2000

    def write_life(self, first):
        """Writes numbers until some were acknowledged, and is killed. The next number to write."""
        writer = self.start_firn("append", "--ack", "--durability", "group", "--segment-bytes",
                                 "20000", self.log)
        feeder = threading.Thread(target=self.feed, args=(writer, first))
        feeder.start()
        for _ in range(self.EACH):
            self.assertTrue(writer.stdout.readline())
        writer.kill()
        feeder.join()
        writer.wait()
        for pipe in writer.stdin, writer.stdout, writer.stderr:
            try:
                pipe.close()
            except BrokenPipeError:
                pass
        return self.info()["next_index"]

    @staticmethod
    def feed(writer, first):
        try:
            for number in range(first, first + 10**9):
                writer.stdin.write(b"%d\n" % number)
        except BrokenPipeError:
            pass

    def test_no_gap_and_no_duplicate(self):
        self.append()
        follower = self.start_firn("tail", "-f", "-n", "0", self.log)
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(follower.stdout))
        reader.start()
        following = 0
        for _ in range(self.LIVES):
            following = self.write_life(following)
        self.append(b"end")
        support.wait_until(lambda: lines and lines[-1] == b"end\n", "the end is not followed")
        follower.send_signal(signal.SIGTERM)
        reader.join()
        self.assertEqual(lines, [b"%d\n" % number for number in range(following)] + [b"end\n"])


if __name__ == "__main__":
    unittest.main()
