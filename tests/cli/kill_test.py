# SPDX-License-Identifier: MIT
"""
Kills `firn append --ack` with SIGKILL amid its work, again and again, and reopens the log: every
record that was acknowledged is there, whole and at its index; what else is there was sent, in
order; and nothing of earlier lives has changed.

FIRN_SEED and FIRN_ROUNDS change the seed and the number of kills; FIRN_FIRST_ROUND leaves out the
rounds before one (each log begins anew every few rounds).
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import support

SEED = int(os.environ.get("FIRN_SEED", "1"))
ROUNDS = int(os.environ.get("FIRN_ROUNDS", "10" if support.LITTLE_EFFORT else "50"))
ROUNDS_PER_LOG = 5
DELIMITERS = {"newline": b"\n", "nul": b"\0", "length32": None}


def value_of(round_number, number):
    """What record `number` of a round holds: its name, and filling of its own."""
    rng = random.Random(f"{SEED} {round_number} {number}")
    size = rng.choice([0, 10, 100, 1000, 1000, 5000])
    return b"%d:%d:%s" % (round_number, number, rng.randbytes(size).hex().encode())


class Feeder(threading.Thread):
    """Sends records until the command is gone. A piece of the last one may have been sent."""

    def __init__(self, process, round_number, delimiter, per_write):
        super().__init__(daemon=True)
        self.fd = process.stdin.fileno()
        self.round = round_number
        self.delimiter = delimiter
        self.per_write = per_write
        self.sent = 0  # at most so many records have been sent
        self.start()

    def wrap(self, value):
        end = DELIMITERS[self.delimiter]
        return support.framed([value]) if end is None else value + end

    def run(self):
        try:
            while True:
                numbers = range(self.sent, self.sent + self.per_write)
                self.sent = numbers.stop
                left = b"".join(self.wrap(value_of(self.round, n)) for n in numbers)
                while left:
                    left = left[os.write(self.fd, left):]
        except BrokenPipeError:
            pass


class Round:
    def __init__(self, number, log):
        self.log = log
        self.number = number
        rng = random.Random(f"{SEED} {number}")
        self.delimiter = rng.choice(list(DELIMITERS))
        self.durability = rng.choice(["each", "each", "group"])
        self.per_write = rng.choice([1, 1, 10, 200])
        self.acks_awaited = int(10 ** rng.uniform(0, 3.3)) - 1
        self.delay = rng.choice([0, rng.uniform(0, 0.003)])
        self.segment_bytes = rng.choice(["64k", "1M", "128M"])

    def __str__(self):
        return (f"round {self.number}: -d {self.delimiter} -D {self.durability}"
                f" --segment-bytes {self.segment_bytes}, {self.per_write} records a write, killed"
                f" {self.delay * 1000:.1f} ms after {self.acks_awaited} acknowledgements")

    def append_and_kill(self):
        """The indexes that were acknowledged, and how many records may have been sent."""
        command = [support.FIRN, "append", "--ack", "-q", "-d", self.delimiter, "-D",
                   self.durability, "--segment-bytes", self.segment_bytes, self.log]
        with subprocess.Popen(command, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as process:
            feeder = Feeder(process, self.number, self.delimiter, self.per_write)
            lines = [process.stdout.readline() for _ in range(self.acks_awaited)]
            time.sleep(self.delay)
            assert process.poll() is None, f"ended by itself: {process.returncode}"
            process.kill()
            lines += process.stdout.read().splitlines(keepends=True)
            assert process.wait() == -signal.SIGKILL
            feeder.join()
        whole = [line for line in lines if line.endswith(b"\n")]
        return [int(line) for line in whole], feeder.sent

    def check(self, before, acknowledged, sent, found):
        """`before`: what the log held; `found`: what it holds now."""
        base = len(before)
        assert found[:base] == before, "records of earlier lives have changed"
        assert acknowledged == list(range(base, base + len(acknowledged))), "order of acks"
        new = found[base:]
        assert len(new) >= len(acknowledged), (
            f"{len(acknowledged)} acknowledged, {len(new)} there")
        assert len(new) <= sent, f"{sent} sent, {len(new)} there"
        for number, value in enumerate(new):
            assert value == value_of(self.number, number), f"record {base + number}"


def firn(*arguments):
    done = subprocess.run([support.FIRN, *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, timeout=support.TIMEOUT)
    assert done.returncode == 0, f"{arguments}: status {done.returncode}"
    return done.stdout


def values_of(log):
    return support.unframed(firn("cat", "-d", "length32", log))


def run_round(number, log, before):
    """Returns what the log holds now, and how many records were acknowledged."""
    this = Round(number, log)
    try:
        acknowledged, sent = this.append_and_kill()
        seen = []
        if before or acknowledged:  # else it may have been killed before there was a log
            seen = values_of(log)  # by a reader, before a writer recovers it
            this.check(before, acknowledged, sent, seen)
        firn("append", "-q", log)
        found = values_of(log)
        this.check(before, acknowledged, sent, found)
        assert found[:len(seen)] == seen, "recovery took back what a reader had seen"
        firn("verify", "-q", log)
    except AssertionError as error:
        first = number - number % ROUNDS_PER_LOG
        print(f"FAILED: {this}: {error}\nthe log is kept: {log}\nagain: FIRN_SEED={SEED}"
              f" FIRN_FIRST_ROUND={first} FIRN_ROUNDS={number + 1} tests/cli/kill_test.py")
        raise
    return found, len(acknowledged)


def main():
    print(f"seed {SEED}, {ROUNDS} kills")
    top = tempfile.mkdtemp(prefix="firn-kill-")
    acknowledged = found = 0
    values = []
    for number in range(int(os.environ.get("FIRN_FIRST_ROUND", "0")), ROUNDS):
        if number % ROUNDS_PER_LOG == 0:
            values = []
        before = len(values)
        log = os.path.join(top, f"log-{number // ROUNDS_PER_LOG}")
        values, acks = run_round(number, log, values)
        acknowledged += acks
        found += len(values) - before
    shutil.rmtree(top)
    print(f"note: {ROUNDS} kills: {acknowledged} records acknowledged, all of them there;"
          f" {found - acknowledged} more were durable")


if __name__ == "__main__":
    sys.exit(main())
