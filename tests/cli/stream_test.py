# SPDX-License-Identifier: MIT
"""firn stream: bytes in, bytes out; trimming; damage; locks; misuse; kills; a full disk.

FIRN_SEED and FIRN_ROUNDS change the seed and the number of kills."""

import json
import os
import random
import shutil
import signal
import unittest

import support

SEED = int(os.environ.get("FIRN_SEED", "1"))
ROUNDS = int(os.environ.get("FIRN_ROUNDS", "6" if support.LITTLE_EFFORT else "20"))
PAYLOAD = 4096 - 48
SMALL = ["--block-count", "4"]  # files of 16 KiB
FILE = 4 * PAYLOAD              # of which so much is data


class StreamTest(support.CommandTest):
    """Each test has a directory, `self.dir`, for a stream called "main"."""

    def setUp(self):
        super().setUp()
        self.dir = os.path.join(self.top, "journal")
        os.mkdir(self.dir)

    def firn(self, action, *arguments, **more):
        return self.run_firn("stream", action, *arguments, self.dir, "main", **more)

    def append(self, data, *arguments):
        return self.firn("append", "-q", *arguments, input=data)

    def cat(self, *arguments):
        return self.firn("cat", *arguments).stdout

    def info(self):
        return json.loads(self.firn("info", "--json").stdout)

    def figures(self, name):
        return [file[name] for file in self.info()["files"]]

    def failed(self, *arguments, lines=1, **more):
        done = self.firn(*arguments, status=1, **more)
        self.assertEqual(done.stdout, b"")
        text = done.stderr.decode()
        self.assertEqual(text.count("\n"), lines, text)
        self.assertTrue(text.startswith("firn stream: "), text)
        return text

    def refused(self, *arguments):
        done = self.run_firn("stream", *arguments, status=2)
        self.assertEqual(done.stdout, b"")
        self.assertIn(b"try 'firn help stream'", done.stderr)
        return done.stderr.decode()

    def path(self, name):
        return os.path.join(self.dir, name)

    def flip(self, name, at):
        with open(self.path(name), "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1]))

    def start_append(self, *arguments):
        return self.start_firn("stream", "append", *arguments, self.dir, "main")

    def feed(self, process, data):
        process.stdin.write(data)
        process.stdin.flush()
        support.wait_until_taken(process.stdin)

    def leave_lock(self):
        """That of a process that was killed; its id."""
        process = self.start_append("--ack")
        process.stdin.write(b"left\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), b"5\n")
        process.kill()
        process.wait()
        return process.pid


class Bytes(StreamTest):
    def test_round_trip(self):
        data = random.Random(SEED).randbytes(3_000_000)
        content = b""
        for size in 0, 1, 10, 4000, PAYLOAD, 20000, 1_000_000, 2_000_000:
            self.append(data[:size], *SMALL, "--block-count", "100")
            content += data[:size]
            self.assertTrue(self.cat() == content)
        self.firn("verify", "-q")
        info = self.info()
        self.assertEqual((info["used"], info["end"], info["wasted"]), (len(content),) * 2 + (0,))
        self.assertEqual(sorted(os.listdir(self.dir)),
                         ["main.%04x-12" % (number + 1) for number in range(len(info["files"]))])

    def test_defaults(self):
        self.append(b"hello, snow\n")
        self.assertEqual(os.listdir(self.dir), ["main.0001-12"])
        self.assertEqual(os.path.getsize(self.path("main.0001-12")), 16 << 20)
        self.assertEqual(self.cat(), b"hello, snow\n")

    def test_much(self):
        data = random.Random(SEED).randbytes(1 << 20) * (4 if support.LITTLE_EFFORT else 40)
        with open(os.path.join(self.top, "input"), "wb") as file:
            file.write(data)
        with open(file.name, "rb") as file:
            self.firn("append", stdin=file)
        self.assertTrue(self.cat() == data)

    def test_shape_of_files(self):
        """As asked for; if not, as it was."""
        self.append(b"x" * 300_000, "--block-shift", 13, "--block-count", 10)
        self.append(b"y" * 100_000)
        self.assertEqual(set(self.figures("block_bytes")), {8192})
        self.assertEqual(set(self.figures("blocks")), {10})
        self.append(b"z" * 100_000, "--block-shift", 12)
        self.assertEqual(self.figures("block_bytes")[-1], 4096)
        self.assertEqual(self.cat(), b"x" * 300_000 + b"y" * 100_000 + b"z" * 100_000)
        self.firn("verify", "-q")

    def test_lines(self):
        """They are not divided: neither by a pause of the input nor by a file's end."""
        process = self.start_append("--lines", "--ack", *SMALL)
        for drop, acks in (b"one\ntw", b"4\n"), (b"o\nthree\n", b"14\n"), (b"four", b""):
            self.feed(process, drop)
            self.assertEqual(process.stdout.read(len(acks)), acks)
        self.assertEqual(self.end_firn(process)[0], b"18\n")
        self.append(b"\n" + b"x" * 9999 + b"\n" + b"y" * 9999 + b"\n", "--lines")
        self.assertEqual(self.figures("used"), [10019, 10000])
        self.assertEqual(self.cat(), b"one\ntwo\nthree\nfour\n" + b"x" * 9999 + b"\n" +
                         b"y" * 9999 + b"\n")

    def test_many_lines(self):
        """More than a file takes, come at once; with spans, each file is filled."""
        for span in [], ["--span", 3000]:
            data = b"".join(b"%d\n" % 10 ** (i % 2000) for i in range(300))
            self.append(data, "--lines", *span, *SMALL)
            self.assertTrue(self.cat() == data)
            wasted = self.figures("wasted")
            self.assertEqual(any(wasted), not span)
            self.assertTrue(max(wasted) < 2000)
            shutil.rmtree(self.dir)
            os.mkdir(self.dir)

    def test_long_line(self):
        data = b"short\n" + b"x" * 20000 + b"\nshort again\n"
        text = self.failed("append", "--lines", *SMALL, input=data, lines=2)
        self.assertIn("byte 6 of the input: ", text)
        self.assertIn("--block-count", text)
        self.assertIn("6 bytes durable: go on with byte 6 of the input", text)
        self.assertEqual(self.cat(), b"short\n")
        self.append(data[6:], "--lines", "--block-count", 10)
        self.append(b"z" * 3_000_000 + b"\n", "--lines", "--block-count", 1000)
        self.assertTrue(self.cat() == data + b"z" * 3_000_000 + b"\n")

    def test_span(self):
        self.append(b"".join(b"%09d\n" % number * 100 for number in range(40)), "--piece", 1000,
                    "--span", 2000, *SMALL)
        self.assertEqual(self.figures("used"), [FILE, FILE, 40000 - 2 * FILE])
        self.append(b"x" * 9000, "--piece", 9000, "--span", 9000)
        self.assertEqual(self.figures("used")[2:], [40000 - 2 * FILE, 9000])
        self.append(b"x" * 9000, "--piece", 9000, "--span", 9001)
        self.assertEqual(self.figures("used")[3:], [FILE, 18000 - FILE])

    def test_pieces(self):
        process = self.start_append("--piece", "10", "--ack")
        for drop, acks in (b"aaaaaaaaaabb", b"10\n"), (b"bbbbbbbb", b"20\n"), (b"ccc", b""):
            self.feed(process, drop)
            self.assertEqual(process.stdout.read(len(acks)), acks)
        self.assertEqual(self.end_firn(process)[0], b"23\n")
        self.assertEqual(self.cat(), b"aaaaaaaaaabbbbbbbbbbccc")

    def test_summary(self):
        text = self.firn("append", input=b"abcdefgh").stderr.decode()
        self.assertRegex(text, r"journal/main: 8 bytes, 1 append, durable in \d+\.\d+ s\n$")
        self.assertEqual(self.append(b"abc").stderr, b"")
        self.assertIn(b"journal/main: the input is empty", self.firn("append").stderr)

    def test_range(self):
        data = random.Random(SEED).randbytes(50000)
        self.append(data, *SMALL)
        for first, last in (0, 50000), (10, 20), (20000, 20000), (16000, 33000), (49999, 50000):
            self.assertTrue(self.cat("--from", first, "--to", last) == data[first:last])
        self.assertTrue(self.cat("--from", 40000) == data[40000:])
        self.assertTrue(self.cat("--to", 20000) == data[:20000])
        self.assertTrue(self.cat("--to", 60000) == data)
        self.assertEqual(self.cat("--from", 50000), b"")
        for count in 0, 10, 30000, 50000, 60000:
            self.assertTrue(self.cat("--last", count) == data[50000 - min(count, 50000):])
        self.assertIn("position 50001 is beyond the end, 50000", self.failed("cat", "-f", 50001))

    def test_output_goes_away(self):
        self.append(bytes(3_000_000))
        process = self.start_firn("stream", "cat", self.dir, "main")
        process.stdout.read(1)
        process.stdout.close()
        self.assertEqual(process.wait(), -signal.SIGPIPE)
        with open("/dev/full", "wb") as full:
            for action in "cat", "info", "verify":
                text = self.firn(action, stdout=full, status=1).stderr
                self.assertIn(b"standard output", text)

    def test_acknowledgements_go_away(self):
        process = self.start_append("--lines", "--ack")
        process.stdout.close()
        process.stdin.write(b"kept\n")
        process.stdin.flush()
        self.assertEqual(process.wait(), -signal.SIGPIPE)
        self.assertEqual(self.cat(), b"kept\n")
        with open("/dev/full", "wb") as full:
            text = self.firn("append", "--ack", input=b"too\n", stdout=full, status=1).stderr
        self.assertIn(b"standard output", text)
        self.assertIn(b"4 bytes durable", text)
        self.assertEqual(self.cat(), b"kept\ntoo\n")

    def test_several_streams(self):
        self.append(b"main")
        self.run_firn("stream", "append", self.dir, "ma", input=b"other")
        self.run_firn("stream", "append", self.dir, "main.old", input=b"old")
        self.assertEqual(self.cat(), b"main")
        self.assertEqual(self.run_firn("stream", "cat", self.dir, "ma").stdout, b"other")
        self.assertEqual(self.run_firn("stream", "cat", self.dir, "main.old").stdout, b"old")


class Trim(StreamTest):
    def setUp(self):
        super().setUp()
        self.data = random.Random(SEED).randbytes(5 * FILE + 100)
        self.append(self.data, *SMALL)

    def test_before(self):
        for position, files in (0, 6), (FILE - 1, 6), (FILE, 5), (0, 5), (2 * FILE + 1, 3):
            self.firn("trim", "--before", position)
            self.assertEqual(len(self.info()["files"]), files)
            self.assertTrue(self.cat() == self.data[-(files - 1) * FILE - 100:])
        text = self.failed("trim", "--before", 2 * FILE + 101)
        self.assertIn(f"is beyond the end, {2 * FILE + 100}", text)

    def test_keep(self):
        text = self.firn("trim", "--keep", FILE + 101).stderr.decode()
        self.assertIn(f"3 files removed, 47.4 KiB: positions are smaller by {3 * FILE} now", text)
        self.assertIn(b"no file lies wholly before that",
                      self.firn("trim", "--keep", FILE + 101).stderr)
        self.firn("trim", "--keep", "1G", "-q")
        self.assertTrue(self.cat() == self.data[3 * FILE:])

    def test_the_last_file_stays(self):
        self.assertEqual(self.firn("trim", "--keep", 0, "-q").stderr, b"")
        self.assertTrue(self.cat() == self.data[5 * FILE:])
        self.firn("trim", "--before", 100)
        self.append(b"x" * (FILE - 100))
        self.firn("trim", "--keep", 0)
        self.assertEqual(self.info()["used"], FILE)
        self.append(b"y")
        self.firn("trim", "--keep", 0)
        self.assertEqual(self.cat(), b"y")
        self.assertEqual(os.listdir(self.dir), ["main.0007-12"])

    def test_empty(self):
        self.run_firn("stream", "append", self.dir, "none", *SMALL)
        for arguments in ["--keep", "0"], ["--before", "0"]:
            self.run_firn("stream", "trim", *arguments, self.dir, "none")
        self.assertEqual(self.run_firn("stream", "cat", self.dir, "none").stdout, b"")

    def test_spanned(self):
        """What is left of an append whose beginning is gone is wasted."""
        self.run_firn("stream", "append", "-p", 10000, "-s", 20000, *SMALL, self.dir, "spans",
                      input=self.data[:40000])
        text = self.run_firn("stream", "trim", "-B", 25000, self.dir, "spans").stderr
        self.assertIn(b"positions are smaller by 20000 now", text)
        rest = self.run_firn("stream", "cat", self.dir, "spans").stdout
        self.assertTrue(rest == self.data[20000:40000])
        self.run_firn("stream", "verify", "-q", self.dir, "spans")


class Look(StreamTest):
    def test_info(self):
        self.append(b"x" * 9000 + b"\n" + b"y" * 9000 + b"\n", "--lines", *SMALL)
        first = {"file": "main.0001-12", "blocks": 4, "block_bytes": 4096, "bytes": 16384,
                 "capacity": FILE, "used": 9001, "wasted": FILE - 9001, "available": 0}
        last = {**first, "file": "main.0002-12", "wasted": 0, "available": FILE - 9001}
        self.assertEqual(self.info(), {
            "stream": f"{self.dir}/main", "blocks": 8, "block_bytes": 4096, "bytes": 32768,
            "capacity": 2 * FILE, "used": 18002, "wasted": FILE - 9001,
            "available": FILE - 9001, "end": 18002, "clean": True, "cut_bytes": 0,
            "dead_lock": None, "files": [first, last]})
        text = self.firn("info").stdout.decode()
        for line in ["files:        2 (main.0001-12 to main.0002-12)", "blocks:       8",
                     "bytes:        32768 (32.0 KiB)", "used:         18002 (17.6 KiB)",
                     "end:          18002", "closed:       cleanly"]:
            self.assertIn(line + "\n", text)
        self.assertNotIn("locked", text)
        text = self.firn("info", "--files").stdout.decode()
        self.assertRegex(text, r"\nmain\.0002-12 +4 +4096 +9001 +0 +7191\n")

    def test_verify(self):
        self.append(b"x" * 9000, *SMALL)
        self.assertRegex(self.firn("verify").stdout, rb"^1 file, 4 blocks, 8\.8 KiB, .* is well\n$")
        self.assertEqual(self.firn("verify", "--quiet").stdout, b"")
        self.assertEqual(json.loads(self.firn("verify", "--json").stdout), {
            "stream": f"{self.dir}/main", "findings": [], "blocks": 4, "used": 9000, "clean": True})

    def test_damage(self):
        """Each is found, in its place; nothing else reads it; nothing is changed."""
        self.append(random.Random(SEED).randbytes(3 * FILE), *SMALL)
        self.flip("main.0001-12", 100)
        self.flip("main.0001-12", 4096 + 1)
        self.flip("main.0003-12", 2 * 4096 + 4095)
        with open(self.path("main.0003-12"), "rb") as file:
            before = file.read()
        lines = self.firn("verify", status=1).stdout.decode().splitlines()
        self.assertRegex(lines[0], r"^main\.0001-12: block 0, at byte 0: ")
        self.assertRegex(lines[1], r"^main\.0001-12: block 1, at byte 4096: ")
        self.assertRegex(lines[-2], r"^main\.0003-12: block 2, at byte 8192: ")
        self.assertEqual(lines[-1], f"{len(lines) - 1} findings")
        quiet = self.firn("verify", "-q", status=1)
        self.assertEqual(quiet.stdout.decode().splitlines(), lines[:-1])
        self.assertEqual(quiet.stderr, b"")
        found = json.loads(self.firn("verify", "--json", status=1).stdout)["findings"]
        places = [(one["file"], one["block"], one["byte"]) for one in found]
        self.assertEqual(places[0], ("main.0001-12", 0, 0))
        self.assertEqual(places[-1], ("main.0003-12", 2, 8192))
        for arguments in ["cat"], ["append"], ["trim", "--keep", "0"]:
            self.assertIn("'firn stream verify' lists all damage", self.failed(*arguments))
        with open(self.path("main.0003-12"), "rb") as file:
            self.assertTrue(file.read() == before)
        self.assertEqual(len(os.listdir(self.dir)), 3, "no lock is left")

    def test_behind_the_end(self):
        self.append(b"x" * 100, *SMALL)
        self.flip("main.0001-12", 2 * 4096 + 100)
        self.assertEqual(self.cat(), b"x" * 100)
        self.flip("main.0001-12", 3 * 4096)
        self.assertIn("block 3", self.firn("verify", status=1).stdout.decode())

    def test_files_that_are_not_whole(self):
        self.append(bytes(4 * FILE), *SMALL)
        os.truncate(self.path("main.0002-12"), 10000)
        for arguments in ["cat"], ["verify"], ["info"], ["append"]:
            self.assertIn("main.0002-12", self.failed(*arguments))
        os.remove(self.path("main.0002-12"))
        for arguments in ["cat"], ["verify"], ["info"], ["append"]:
            self.failed(*arguments)
        self.assertNotIn("main.0002-12", os.listdir(self.dir))


class Locks(StreamTest):
    def test_locked(self):
        process = self.start_append("--lines", "--ack")
        process.stdin.write(b"first\n")
        process.stdin.flush()
        process.stdout.readline()
        for arguments in ["cat"], ["info"], ["verify"], ["append"], ["append", "--break-lock"], \
                ["trim", "--keep", "0", "--break-lock"]:
            text = self.failed(*arguments)
            self.assertIn(str(process.pid), text)
            self.assertIn("wait until it has ended", text)
        self.end_firn(process)
        self.assertEqual(self.cat(), b"first\n")

    def test_process_is_gone(self):
        gone = self.leave_lock()
        for arguments in ["append"], ["trim", "--keep", "0"]:
            text = self.failed(*arguments)
            self.assertIn(f"left by process {gone}, which is gone", text)
            self.assertIn("--break-lock", text)
        done = self.firn("cat")
        self.assertEqual(done.stdout, b"left\n")
        self.assertIn(f"locked by process {gone}, which is gone: not minded", done.stderr.decode())
        info = self.info()
        self.assertEqual((info["clean"], info["dead_lock"]), (False, gone))
        text = self.firn("info").stdout.decode()
        self.assertIn(f"locked:       by process {gone}, which is gone\n", text)
        self.assertIn("closed:       not cleanly", text)
        self.firn("verify", "-q")
        text = self.firn("append", "--break-lock", input=b"more\n").stderr.decode()
        self.assertIn(f"the lock of process {gone}, which is gone, is broken", text)
        self.assertEqual(self.cat(), b"left\nmore\n")
        self.assertTrue(self.info()["clean"])
        self.assertNotIn("main.lock", os.listdir(self.dir))

    def test_trim_breaks_it(self):
        self.append(bytes(2 * FILE), *SMALL)
        self.leave_lock()
        self.firn("trim", "--keep", 1, "--break-lock")
        self.assertEqual(self.cat(), b"left\n")

    def test_lock_of_nobody(self):
        self.append(b"kept")
        os.symlink("somebody", self.path("main.lock"))
        for arguments in ["cat"], ["append", "--break-lock"]:
            self.assertIn('locked: "somebody"', self.failed(*arguments))


class Misuse(StreamTest):
    def test_wrong_calls(self):
        for arguments, expected in [
                ([], "say what to do"), (["info"], "info: no directory named"),
                (["look", "x", "y"], "'look': write append, cat, info, verify or trim"),
                (["cat", "x"], "cat: name the directory, and the stream in it"),
                (["cat", "x", "y", "z"], "cat: too many arguments"),
                (["trim", "x", "y"], "--before, or --keep"),
                (["trim", "x", "y", "-B", "1", "-k", "1"], "--before, or --keep"),
                (["trim", "x", "y", "-B", "many"], "--before: 'many'"),
                (["cat", "x", "y", "-n", "1", "-f", "1"], "--last"),
                (["cat", "x", "y", "-f", "2", "-t", "1"], "--to 1 is below --from 2"),
                (["cat", "x", "y", "--ack"], "--ack says nothing to 'cat'"),
                (["cat", "x", "y", "--break-lock"], "--break-lock says nothing to 'cat'"),
                (["append", "x", "y", "--json"], "--json says nothing to 'append'"),
                (["append", "x", "y", "-S", "11"], "--block-shift: write a number from 12 to 27"),
                (["append", "x", "y", "-S", "28"], "--block-shift"),
                (["append", "x", "y", "-N", "0"], "--block-count"),
                (["append", "x", "y", "-p", "0"], "--piece"),
                (["append", "x", "y", "-p", "1G"], "--piece"),
                (["append", "x", "y", "-p", "1", "-l"], "--piece and --lines")]:
            self.assertIn(expected, self.refused(*arguments))

    def test_no_stream(self):
        for arguments in ["cat"], ["info"], ["verify"], ["trim", "-k", "0"], \
                ["append", "--no-create"]:
            text = self.failed(*arguments)
            self.assertIn(f"{self.dir}: no stream 'main' here", text)
            self.assertIn("'firn stream append' creates one", text)
        self.assertEqual(os.listdir(self.dir), [])
        os.rmdir(self.dir)
        for arguments in ["cat"], ["info"], ["verify"], ["trim", "-k", "0"], ["append"]:
            text = self.failed(*arguments)
            self.assertIn(self.dir, text)
            self.assertIn("--make-dir", text)
        self.assertEqual(os.listdir(self.top), [])

    def test_make_dir(self):
        self.dir = os.path.join(self.top, "a")
        self.append(b"one", "--make-dir", *SMALL)
        self.append(b"two", "--make-dir")
        self.assertEqual(self.cat(), b"onetwo")
        self.dir = os.path.join(self.top, "b", "c")
        self.assertIn("b/c", self.failed("append", "--make-dir"))
        self.run_firn("stream", "append", "-m", "here", "x", input=b"x", cwd=self.top)
        self.run_firn("stream", "append", "-m", "there/", "x", input=b"x", cwd=self.top)
        self.assertEqual(self.run_firn("stream", "cat", "there", "x", cwd=self.top).stdout, b"x")

    def test_names(self):
        for name in "", "a/b":
            done = self.run_firn("stream", "append", self.dir, name, status=1)
            self.assertTrue(done.stderr.startswith(b"firn stream: "), done.stderr)
        self.run_firn("stream", "append", self.dir, "n" * 300, status=1)
        self.assertEqual(os.listdir(self.dir), [])

    def test_something_else(self):
        """Files that are no stream's stay as they are."""
        self.dir = os.path.join(self.top, "letter")
        with open(self.dir, "wb") as file:
            file.write(b"a letter\n")
        for arguments in ["cat"], ["info"], ["verify"], ["append"], ["append", "--make-dir"]:
            self.assertIn(self.dir, self.failed(*arguments))
        self.dir = self.top
        with open(self.path("main.txt"), "wb") as file:
            file.write(b"a letter\n")
        for arguments in ["cat"], ["info"], ["verify"], ["append"]:
            self.assertIn("main.txt", self.failed(*arguments))
        self.assertEqual(sorted(os.listdir(self.dir)), ["journal", "letter", "main.txt"])

    def test_text_in_place_of_blocks(self):
        with open(self.path("main.0001-12"), "wb") as file:
            file.write(b"somebody's letter\n".ljust(8192, b"."))
        for arguments in ["cat"], ["info"], ["append"]:
            self.assertIn("main", self.failed(*arguments))
        self.assertIn(b"main.0001-12: block 0", self.firn("verify", status=1).stdout)

    def test_interrupt(self):
        for number, arguments, kept in ((signal.SIGINT, [], b"one\ntw"),
                                        (signal.SIGTERM, ["--lines"], b"one\n"),
                                        (signal.SIGHUP, ["-p", "5"], b"one\nt")):
            process = self.start_append("--ack", *arguments)
            self.feed(process, b"one\ntw")
            process.stdout.readline()
            process.send_signal(number)
            _, text = self.end_firn(process, status=-number)
            self.assertIn(f"go on with byte {len(kept)} of the input".encode(), text)
            self.assertIn(b"interrupted: ", text)
            self.assertEqual(self.cat(), kept)
            self.assertTrue(self.info()["clean"])
            shutil.rmtree(self.dir)
            os.mkdir(self.dir)

    def test_forbidden(self):
        self.append(b"kept")
        os.chmod(self.top, 0o755)
        other = {}
        if os.geteuid() == 0:
            command = os.path.join(self.top, "firn")
            shutil.copy(support.FIRN, command)
            os.chmod(command, 0o755)
            other = {"user": 65534, "group": 65534, "extra_groups": [], "executable": command}
        os.chmod(self.path("main.0001-12"), 0o600 if other else 0o000)
        self.assertIn("ermission denied", self.failed("cat", **other))
        os.chmod(self.path("main.0001-12"), 0o644)
        os.chmod(self.dir, 0o755 if other else 0o555)
        self.assertIn("ermission denied", self.failed("append", **other))
        self.assertEqual(self.firn("cat", **other).stdout, b"kept")


class Kill(StreamTest):
    """Kills `firn stream append` amid its work. What was acknowledged is there, and of what was not
    a beginning; lines are whole, or not there; a reader sees what the next writer recovers."""

    def lines(self, life, rng):
        return b"".join(b"%d %d " % (life, number) +
                        b"x" * rng.randrange(rng.choice([5, 500, 6000])) + b"\n"
                        for number in range(rng.choice([20, 1000])))

    def feed_and_kill(self, arguments, data, rng):
        """(bytes that were sent, bytes that were acknowledged)"""
        process = self.start_append("-q", "--ack", *arguments)
        sent, stop = 0, rng.randrange(len(data))
        while sent < stop:
            size = rng.choice([10, 1000, 60000])
            process.stdin.write(data[sent:sent + size])
            process.stdin.flush()
            sent = min(sent + size, len(data))
            if rng.randrange(5) == 0:
                support.wait_until(lambda: support.bytes_in_pipe(process.stdin) == 0 or
                                   process.poll() is not None, "the input is not read")
        process.kill()
        output, messages = process.communicate()
        self.assertEqual((process.returncode, messages), (-signal.SIGKILL, b""))
        whole = output.split(b"\n")[:-1]
        return sent, int(whole[-1]) if whole else 0

    def run_life(self, life, before):
        rng = random.Random(f"{SEED} {life}")
        data = self.lines(life, rng)
        arguments = rng.choice([["--lines"], ["--lines", "--span", "9000"], []])
        lock = ["--break-lock"] if life > 1 else []
        sent, durable = self.feed_and_kill([*arguments, *lock, "--block-count", "20"], data, rng)
        after = self.cat()
        self.assertTrue(after.startswith(before + data[:durable]), "what was acknowledged is gone")
        self.assertTrue((before + data[:sent]).startswith(after), "it is not what was sent")
        if arguments and before.endswith(b"\n"):
            self.assertEqual(after[-1:], b"\n", "a line is torn")
        self.firn("verify", "-q")
        if life % 2:  # else the next one to be killed recovers
            self.append(b"\n", "--break-lock")
            self.assertTrue(self.cat() == after + b"\n", "recovery changed what a reader saw")
            self.assertTrue(self.info()["clean"])
            os.symlink("999999999", self.path("main.lock"))
            after += b"\n"
        return after, durable

    def test_kill(self):
        content, total = b"", 0
        self.append(b"\n", "--block-count", 20)
        content = b"\n"
        os.symlink("999999999", self.path("main.lock"))
        for life in range(2, ROUNDS + 2):
            try:
                content, durable = self.run_life(life, content)
            except AssertionError:
                print(f"FAILED: seed {SEED}, life {life}; again: FIRN_SEED={SEED}"
                      f" FIRN_ROUNDS={life}")
                raise
            total += durable
        print(f"note: seed {SEED}, {ROUNDS} kills: {total} bytes were acknowledged")
        self.assertGreater(total, 1000)


class FullDisk(support.FullDiskTest):
    SCRIPT = """
        mkdir s
        "$1" stream append --block-count 250 s main < "$3/input" 2> "$3/messages"
        echo $? > "$3/status"
        "$1" stream verify -q s main && "$1" stream cat s main > "$3/bytes" &&
        "$1" stream trim -q --keep 3000000 s main &&
        "$1" stream append -q s main < "$3/again" && "$1" stream cat -n 1000000 s main > "$3/last"
    """

    def test_what_was_acknowledged_is_kept(self):
        data = random.Random(5).randbytes(16_000_000)
        for name, content in ("input", data), ("again", data[-1000000:]):
            with open(os.path.join(self.top, name), "wb") as file:
                file.write(content)
        self.on_full_disk(self.SCRIPT)
        self.assertEqual(self.read_file("status"), b"1\n")
        text = self.read_file("messages").decode()
        self.assertIn("make room", text)
        durable = int(text.split(" durable: go on with byte ")[1].split()[0])
        self.assertGreater(durable, 4_000_000)
        self.assertTrue(self.read_file("bytes") == data[:durable])
        self.assertTrue(self.read_file("last") == data[-1000000:])


if __name__ == "__main__":
    unittest.main()
