# SPDX-License-Identifier: MIT
"""How `firn append` ends before its input does."""

import os
import signal
import threading
import unittest

import support

SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


class Feeder(threading.Thread):
    """Gives numbered lines to a command until that ends."""

    def __init__(self, process):
        super().__init__(daemon=True)
        self.pipe = process.stdin
        self.start()

    def run(self):
        number = 0
        try:
            while True:
                lines = b"".join(b"%d\n" % i for i in range(number, number + 100))
                number += 100
                self.pipe.write(lines)
                self.pipe.flush()
        except (BrokenPipeError, ValueError):
            pass


class Signals(support.CommandTest):
    def check_log(self, acknowledged):
        """All that was acknowledged is there, what follows is in order, and it was closed."""
        values = [int(value) for value in self.values()]
        self.assertEqual(values, list(range(len(values))))
        self.assertGreaterEqual(len(values), acknowledged)
        self.assertTrue(self.info()["clean"])
        return len(values)

    def test_amid_records(self):
        for number in SIGNALS:
            self.log = os.path.join(self.top, f"log-{number}")
            process = self.start_firn("append", "--ack", self.log)
            feeder = Feeder(process)
            for index in range(500):
                self.assertEqual(process.stdout.readline(), b"%d\n" % index)
            process.send_signal(number)
            rest = process.stdout.read().split(b"\n")
            self.assertEqual(process.wait(support.TIMEOUT), -number)
            feeder.join(support.TIMEOUT)
            self.assertEqual(rest, [b"%d" % i for i in range(500, 499 + len(rest))] + [b""])
            self.assertIn(b"interrupted: ", process.stderr.read())
            self.assertEqual(self.check_log(499 + len(rest)), 499 + len(rest))

    def test_while_it_waits_for_input(self):
        for number in SIGNALS:
            self.log = os.path.join(self.top, f"log-{number}")
            process = self.start_firn("append", "--ack", self.log)
            process.stdin.write(b"0\n1\nno end")
            process.stdin.flush()
            process.stdout.readline()
            process.stdout.readline()
            process.send_signal(number)
            self.assertEqual(process.wait(support.TIMEOUT), -number)
            self.assertEqual(self.check_log(2), 2)

    def test_while_nobody_reads_the_acknowledgements(self):
        process = self.start_firn("append", "--ack", "-q", self.log)
        Feeder(process)
        support.wait_until(lambda: support.is_full(process.stdout), "the pipe does not fill")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(support.TIMEOUT), -signal.SIGINT)
        complete = process.stdout.read().rpartition(b"\n")[0].split(b"\n")
        self.assertEqual(complete, [b"%d" % index for index in range(len(complete))])
        self.check_log(len(complete))

    def test_signals_that_were_ignored_stay_ignored(self):
        def ignore():
            signal.signal(signal.SIGINT, signal.SIG_IGN)

        process = self.start_firn("append", "--ack", "-q", self.log, preexec_fn=ignore)
        for index in range(2):
            process.stdin.write(b"%d\n" % index)
            process.stdin.flush()
            self.assertEqual(process.stdout.readline(), b"%d\n" % index)
            process.send_signal(signal.SIGINT)
        self.end_firn(process)
        self.assertEqual(self.check_log(2), 2)

    def test_signal_and_quiet(self):
        process = self.start_firn("append", "--ack", "-q", self.log)
        process.stdin.write(b"0\n")
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(support.TIMEOUT), -signal.SIGTERM)
        self.assertEqual(process.stderr.read(), b"")


class Outputs(support.CommandTest):
    def test_closed_pipe(self):
        process = self.start_firn("append", "--ack", self.log)
        Feeder(process)
        acknowledged = [process.stdout.readline() for _ in range(200)]
        process.stdout.close()
        self.assertEqual(process.wait(support.TIMEOUT), -signal.SIGPIPE)
        self.assertEqual(process.stderr.read(), b"")
        values = self.values()
        self.assertEqual(values, [b"%d" % index for index in range(len(values))])
        self.assertGreaterEqual(len(values), len(acknowledged))
        self.assertTrue(self.info()["clean"])

    def test_full_device(self):
        with open("/dev/full", "wb") as full:
            done = self.run_firn("append", "--ack", self.log, input=b"a\nb\n", stdout=full,
                                 status=1)
        self.assertIn(b"standard output: No space left on device", done.stderr)
        self.assertEqual(self.values(), [b"a", b"b"])

    def test_closed_input(self):
        process = self.start_firn("append", self.log, stdin=None, preexec_fn=lambda: os.close(0))
        output, messages = self.end_firn(process, status=1)
        self.assertIn(b"standard input: ", messages)

    def test_input_that_is_a_directory(self):
        directory = os.open(self.top, os.O_RDONLY)
        self.addCleanup(os.close, directory)
        done = self.run_firn("append", self.log, stdin=directory, status=1)
        self.assertIn(b"standard input: Is a directory", done.stderr)


if __name__ == "__main__":
    unittest.main()
