# SPDX-License-Identifier: MIT
"""What the tests of the command share. $FIRN is the command."""

import fcntl
import json
import os
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unittest

FIRN = os.path.abspath(os.environ["FIRN"])
LITTLE_EFFORT = os.environ.get("FIRN_TEST_EFFORT") == "less"
TIMEOUT = 60


def default_signals():
    """What a shell leaves ignored in the background would be ignored by the command too."""
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE:
        signal.signal(number, signal.SIG_DFL)


class CommandTest(unittest.TestCase):
    """Each test has a directory of its own, `self.top`, and a log in it, `self.log`."""

    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="firn-cli-")
        self.addCleanup(shutil.rmtree, self.top, ignore_errors=True)
        self.log = os.path.join(self.top, "log")

    def run_firn(self, *arguments, input=b"", status=0, stdout=subprocess.PIPE, **more):
        """Runs the command to its end; its output and messages are bytes."""
        if "stdin" not in more:
            more["input"] = input
        done = subprocess.run([FIRN, *map(str, arguments)], stdout=stdout, stderr=subprocess.PIPE,
                              timeout=TIMEOUT, preexec_fn=default_signals, **more)
        self.check_end(done.args, done.returncode, status, done.stderr)
        return done

    def start_firn(self, *arguments, **more):
        """Starts the command with pipes; the test ends it (`end_firn`), or its cleanup does."""
        usual = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
        usual["preexec_fn"] = default_signals
        process = subprocess.Popen([FIRN, *map(str, arguments)], **{**usual, **more})
        self.addCleanup(self.abandon, process)
        return process

    def end_firn(self, process, status=0):
        """Closes its input and awaits its end; the rest of its output, and its messages."""
        output, messages = process.communicate(timeout=TIMEOUT)
        self.check_end(process.args, process.returncode, status, messages or b"")
        return output, messages

    def check_end(self, args, returned, status, messages):
        text = messages.decode(errors="replace")
        self.assertNotIn("Sanitizer", text)
        self.assertEqual(returned, status, f"{' '.join(args)}\n{text}")

    @staticmethod
    def abandon(process):
        if process.poll() is None:
            process.kill()
            process.wait()
        for pipe in process.stdin, process.stdout, process.stderr:
            try:
                if pipe:
                    pipe.close()
            except BrokenPipeError:
                pass

    def skipTest(self, reason):
        print(f"[  SKIPPED ] {self.id().removeprefix('__main__.')}: {reason}")
        super().skipTest(reason)

    # ---- logs

    def append(self, *values, arguments=()):
        """Appends values, which may hold anything."""
        self.run_firn("append", "-q", "-d", "length32", *arguments, self.log, input=framed(values))

    def values(self, *arguments):
        """The values of the log."""
        return unframed(self.run_firn("cat", "-d", "length32", *arguments, self.log).stdout)

    def records(self, *arguments):
        """The records of the log, as JSON has them."""
        output = self.run_firn("cat", "--format", "json", *arguments, self.log).stdout
        return [json.loads(line) for line in output.split(b"\n")[:-1]]

    def info(self):
        return json.loads(self.run_firn("info", "--json", self.log).stdout)


class FullDiskTest(CommandTest):
    """Runs a script on a file system of 8 MiB, in a mount name space of its own."""

    INSIDE = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    MOUNT = 'mount -t tmpfs -o size=8M none "$2" || exit 77; >"$3/mounted"; cd "$2"; '

    def on_full_disk(self, script):
        """$1 is the command, $2 the disk and where it runs, $3 is self.top. It must succeed."""
        disk = os.path.join(self.top, "disk")
        os.mkdir(disk)
        try:
            done = subprocess.run([*self.INSIDE, self.MOUNT + script, "sh", FIRN, disk, self.top],
                                  timeout=TIMEOUT)
        except FileNotFoundError:
            self.skipTest("no unshare here")
        if not os.path.exists(os.path.join(self.top, "mounted")):
            self.skipTest("mounting is not allowed here")
        self.assertEqual(done.returncode, 0)

    def read_file(self, name):
        with open(os.path.join(self.top, name), "rb") as file:
            return file.read()



def framed(values):
    return b"".join(len(value).to_bytes(4, "big") + value for value in values)


def unframed(data):
    values = []
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at:at + 4], "big")
        values.append(data[at + 4:at + 4 + size])
        assert len(values[-1]) == size, "cut short"
        at += 4 + size
    return values


def bytes_in_pipe(pipe):
    """How many bytes wait in a pipe, seen from either end."""
    size = fcntl.ioctl(pipe.fileno(), termios.FIONREAD, b"\0\0\0\0")
    return struct.unpack("i", size)[0]


def is_full(pipe):
    """Whether who writes to the pipe must wait; `pipe` is its reader's end. (How many bytes that
    are depends on the sizes of what was written: each page of a pipe may have a rest unused.)"""
    writer = os.open(f"/proc/self/fd/{pipe.fileno()}", os.O_WRONLY | os.O_NONBLOCK)
    try:
        return not select.select([], [writer], [], 0)[1]
    finally:
        os.close(writer)


def wait_until(condition, what):
    """For what cannot be waited for otherwise."""
    end = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.0005)


def wait_until_taken(pipe):
    wait_until(lambda: bytes_in_pipe(pipe) == 0, "the input is not read")
