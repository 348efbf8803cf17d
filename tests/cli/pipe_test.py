# SPDX-License-Identifier: MIT
"""firn pipe: chunks in, chunks out; misuse; kills; a full disk.

FIRN_SEED and FIRN_ROUNDS change the seed and the number of kills."""

import json
import os
import random
import shutil
import signal
import time
import unittest

import support

SEED = int(os.environ.get("FIRN_SEED", "1"))
ROUNDS = int(os.environ.get("FIRN_ROUNDS", "8" if support.LITTLE_EFFORT else "30"))


class PipeTest(support.CommandTest):
    """Each test has the name of a pipe, `self.pipe`."""

    def setUp(self):
        super().setUp()
        self.pipe = os.path.join(self.top, "cells")

    def firn(self, action, *arguments, **more):
        return self.run_firn("pipe", action, self.pipe, *arguments, **more)

    def create(self, chunk_bytes, chunks=0, data=b""):
        return self.firn("write", 0, "--create", "-b", chunk_bytes, "-n", chunks, input=data)

    def read(self, *arguments):
        return self.firn("read", *(arguments or ["--all"])).stdout

    def info(self):
        return json.loads(self.firn("info", "--json").stdout)

    def failed(self, *arguments, lines=1, **more):
        done = self.firn(*arguments, status=1, **more)
        self.assertEqual(done.stdout, b"")
        text = done.stderr.decode()
        self.assertEqual(text.count("\n"), lines, text)
        self.assertTrue(text.startswith("firn pipe: "), text)
        return text

    def refused(self, *arguments):
        done = self.run_firn("pipe", *arguments, status=2)
        self.assertEqual(done.stdout, b"")
        self.assertIn(b"try 'firn help pipe'", done.stderr)
        return done.stderr.decode()

    def file(self, name=""):
        with open(self.pipe + name, "rb") as file:
            return file.read()


class Chunks(PipeTest):
    def test_round_trip(self):
        for size in 1, 7, 512, 4096, 100000:
            data = random.Random(size).randbytes(size * 11)
            self.create(size, 20)
            self.firn("write", 5, input=data)
            zeros = bytes(size)
            self.assertTrue(self.read() == zeros * 5 + data + zeros * 4)
            self.assertEqual(self.read(5), data[:size])
            self.assertEqual(self.read(6, 3), data[size:4 * size])
            self.assertEqual(self.read(14, "all"), data[9 * size:] + zeros * 4)
            self.assertEqual(self.read(20, "all"), b"")
            self.assertEqual(self.read(3, 0), b"")
            self.assertTrue(self.file() == self.read(), "a closed pipe is a plain file")
            self.firn("verify", "-q")
            for end in "", ".journal", ".lock":
                os.remove(self.pipe + end)

    def test_the_largest_chunk(self):
        data = random.Random(1).randbytes(16 << 20)
        self.create("16M", 2)
        self.firn("write", 1, input=data)
        self.assertTrue(self.read(1) == data)
        self.firn("write", 0, "--atomic", input=data)
        self.assertTrue(self.read() == data + data)
        self.assertIn("--chunk-bytes", self.refused("write", self.pipe + "2", "0", "-c", "-b", "0"))
        self.pipe += "3"
        self.failed("write", 0, "-c", "-b", "17M")
        self.assertFalse(os.path.exists(self.pipe))

    def test_much(self):
        """More than the buffers and the journal hold, from a file and from a pipe."""
        data = random.Random(2).randbytes(1 << 20) * (10 if support.LITTLE_EFFORT else 80)
        with open(os.path.join(self.top, "input"), "wb") as file:
            file.write(data)
        with open(file.name, "rb") as file:
            self.firn("write", 0, "-c", "-b", 512, "-n", len(data) // 512, stdin=file)
        self.assertTrue(self.read() == data)
        self.firn("write", "end", "--grow", input=data)
        self.assertTrue(self.read() == data * 2)

    def test_summary(self):
        text = self.create(4, 10, b"abcdefgh").stderr.decode()
        self.assertRegex(text, r"cells: 2 chunks \(0 to 1\), 8 bytes, durable in \d+\.\d+ s\n$")
        self.assertIn("1 chunk (9), ", self.firn("write", 9, input=b"wxyz").stderr.decode())
        self.assertEqual(self.firn("write", 9, "-q", input=b"wxyz").stderr, b"")
        self.assertIn("cells: the input is empty", self.firn("write", 0).stderr.decode())

    def test_grow(self):
        self.create(4)
        self.assertEqual(self.info()["chunks"], 0)
        self.firn("write", 0, "--grow", input=b"aaaabbbb")
        self.firn("write", "end", "--grow", input=b"cccc")
        self.firn("write", 2, "--grow", input=b"CCCCdddd")
        self.assertEqual(self.read(), b"aaaabbbbCCCCdddd")
        self.firn("write", 6, "--grow", "--atomic", input=b"gggg")
        self.assertEqual(self.read(), b"aaaabbbbCCCCdddd" + bytes(8) + b"gggg")
        self.firn("write", 9, "--grow", input=b"")
        self.assertEqual(self.info()["chunks"], 7)

    def test_end(self):
        self.create(4, 3)
        text = self.failed("write", 2, input=b"aaaabbbb", lines=2)
        self.assertIn("chunk 3 is beyond the end: it has 3 chunks; --grow adds more", text)
        self.assertIn("1 chunk (2) durable: go on with byte 4 of the input at chunk 3", text)
        self.assertEqual(self.read(), bytes(8) + b"aaaa")
        self.assertIn("nothing was written",
                      self.failed("write", 1, "-a", input=b"bbbbccccdddd", lines=2))
        self.failed("write", 4, input=b"aaaa")
        self.assertEqual(self.read(), bytes(8) + b"aaaa")
        self.assertIn("chunk 3 is beyond the end: it has 3 chunks", self.failed("read", 3))
        self.assertIn("chunk 3 is beyond", self.failed("read", 1, 3))
        self.failed("read", 4, "all")
        self.failed("read", 18446744073709551615, 18446744073709551615)
        self.failed("write", 18446744073709551615, "--grow", input=b"aaaa", lines=2)
        self.assertEqual(self.info()["chunks"], 3)

    def test_last_chunk_in_part(self):
        self.create(4, 3)
        text = self.failed("write", 0, input=b"aaaabb", lines=2)
        self.assertIn("after 2 of 4 bytes: --pad fills", text)
        self.assertIn("1 chunk (0) durable", text)
        self.assertEqual(self.read(), b"aaaa" + bytes(8))
        self.failed("write", 1, "--atomic", input=b"bbbbcc", lines=2)
        self.assertEqual(self.read(), b"aaaa" + bytes(8))
        self.firn("write", 1, "--pad", input=b"bbbbcc")
        self.assertEqual(self.read(), b"aaaabbbbcc\0\0")
        self.firn("write", 0, "--pad", "--atomic", input=b"x")
        self.assertEqual(self.read(), b"x\0\0\0bbbbcc\0\0")

    def test_atomic_is_bounded(self):
        self.create(4096, 12000)
        text = self.failed("write", 0, "--atomic", input=b"x" * (40 << 20), lines=2)
        self.assertIn("32.0 MiB at most", text)
        self.assertIn("nothing was written", text)
        self.assertFalse(any(self.read()))
        data = random.Random(3).randbytes(32 << 20)
        self.firn("write", 100, "--atomic", input=data)
        self.assertTrue(self.read(100, 8192) == data)
        self.failed("write", 0, "--atomic", input=data + b"x", lines=2)
        self.failed("write", "end", "--atomic", "--grow", "--pad", input=data + b"x", lines=2)
        self.assertEqual(self.info()["chunks"], 12000)
        self.pipe += "1"
        self.create(4096)
        self.firn("write", 0, "--atomic", "--grow", input=data)
        self.assertTrue(self.read() == data)

    def test_input_in_drops(self):
        self.create(10, 4)
        process = self.start_firn("pipe", "write", self.pipe, "0")
        for drop in b"aaaaaaaaaa", b"bbb", b"bbbbbbb", b"ccccccccccdd", b"dddddddd":
            process.stdin.write(drop)
            process.stdin.flush()
            support.wait_until_taken(process.stdin)
        self.end_firn(process)
        self.assertEqual(self.read(), b"a" * 10 + b"b" * 10 + b"c" * 10 + b"d" * 10)

    def test_output_goes_away(self):
        self.create(4096, 1000)
        process = self.start_firn("pipe", "read", self.pipe, "--all")
        process.stdout.read(1)
        process.stdout.close()
        self.assertEqual(process.wait(), -signal.SIGPIPE)
        with open("/dev/full", "wb") as full:
            text = self.firn("read", "--all", stdout=full, status=1).stderr
        self.assertIn(b"standard output", text)


class Figures(PipeTest):
    def test_info(self):
        self.create(512, 4)
        self.assertEqual(self.info(), {
            "pipe": self.pipe, "chunk_bytes": 512, "chunks": 4, "bytes": 2048, "clean": True,
            "pending_changes": 0, "pending_bytes": 0})
        text = self.firn("info").stdout.decode()
        for line in ["chunk bytes:  512", "chunks:       4", "bytes:        2048 (2.0 KiB)",
                     "closed:       cleanly"]:
            self.assertIn(line + "\n", text)

    def test_verify(self):
        self.create(512, 4)
        self.assertRegex(self.firn("verify").stdout, rb"^4 chunks, 2\.0 KiB, .*: all is well\n$")
        self.assertEqual(self.firn("verify", "--quiet").stdout, b"")
        self.assertEqual(json.loads(self.firn("verify", "--json").stdout), {
            "pipe": self.pipe, "chunks": 4, "unreadable_chunks": 0, "pending_changes": 0,
            "damaged_slots": 0, "finding": None})

    def damage(self, offset, size=100):
        with open(self.pipe + ".journal", "r+b") as file:
            file.seek(offset)
            file.write(b"x" * size)

    def test_a_damaged_slot_is_told(self):
        self.create(512, 4)
        self.damage(100)
        done = self.firn("verify", status=1)
        self.assertIn(b"journal", done.stdout)
        self.assertIn(b"1 copy of the journal's header damaged", done.stdout)
        self.assertEqual(self.read(), bytes(2048))
        check = json.loads(self.firn("verify", "--json", status=1).stdout)
        self.assertEqual(check["damaged_slots"], 1)
        self.assertIn("journal", check["finding"])
        self.firn("write", 0, input=bytes(512))
        self.firn("verify")

    def test_a_damaged_journal_is_told(self):
        self.create(512, 4)
        self.damage(100)
        self.damage(4196)
        for arguments in ["verify"], ["info"], ["read", "0"], ["write", "0"]:
            self.assertIn("journal", self.failed(*arguments))


class Misuse(PipeTest):
    def test_wrong_calls(self):
        for arguments, expected in [
                ([], "say what to do"), (["info"], "info: no pipe named"),
                (["look", "x"], "'look': write info, read, write or verify"),
                (["info", "x", "1"], "info: too many arguments"),
                (["verify", "x", "1"], "verify: too many arguments"),
                (["read", "x"], "say which chunk, or --all"),
                (["read", "x", "1", "2", "3"], "too many arguments"),
                (["read", "x", "-A", "1"], "--all"), (["read", "x", "one"], "'one' is no index"),
                (["read", "x", "1", "two"], "'two' is no count"),
                (["write", "x"], "say at which chunk"),
                (["write", "x", "one"], "'one' is no index"),
                (["write", "x", "0", "1"], "too many arguments"),
                (["write", "x", "0", "--chunks", "3"], "--chunks needs --create"),
                (["write", "x", "0", "--json"], "--json says nothing to 'write'"),
                (["info", "x", "--grow"], "--grow says nothing to 'info'"),
                (["read", "x", "0", "--pad"], "--pad says nothing to 'read'"),
                (["info", "x", "-b", "many"], "--chunk-bytes: 'many': write a size"),
                (["info", "x", "-b", "0"], "--chunk-bytes")]:
            self.assertIn(expected, self.refused(*arguments))

    def test_no_pipe(self):
        for arguments in ["info"], ["verify"], ["read", "0"], ["write", "0"]:
            text = self.failed(*arguments)
            self.assertIn(self.pipe, text)
            self.assertIn("--create", text)
        self.assertIn("--chunk-bytes", self.failed("write", 0, "--create"))
        self.pipe = os.path.join(self.top, "none", "cells")
        self.assertIn("none", self.failed("write", 0, "--create", "-b", 4))
        self.assertEqual(os.listdir(self.top), [])

    def test_one_of_the_two_files(self):
        """A copy of one of them is neither the old state nor the new one."""
        self.create(512, 100)
        writer = self.start_firn("pipe", "write", self.pipe, "0")
        writer.stdin.write(b"x" * 5120)
        writer.stdin.flush()
        support.wait_until_taken(writer.stdin)
        support.wait_until(lambda: os.path.getsize(self.pipe) > 51200, "it is not marked")
        writer.kill()
        writer.wait()
        for end in "", ".journal":
            shutil.copy(self.pipe + end, self.pipe + end + ".kept")
            os.remove(self.pipe + end)
            for arguments in ["info"], ["verify"], ["read", "0"], ["write", "0"], \
                    ["write", "0", "-c", "-b", "512"]:
                text = self.failed(*arguments)
                self.assertIn("missing", text)
                self.assertIn("restore both", text)
            os.rename(self.pipe + end + ".kept", self.pipe + end)
        info = self.info()
        self.assertFalse(info["clean"])
        if info["pending_changes"]:
            self.assertRegex(self.firn("info").stdout.decode(),
                             r"\njournal: +1 change, \d+ bytes, not in the file yet\n")
        self.firn("write", 0, "-q")
        self.assertTrue(self.info()["clean"])
        os.remove(self.pipe)
        self.assertIn("no such file", self.failed("info"))

    def test_something_else(self):
        """Files that are no pipes stay as they are."""
        with open(self.pipe, "wb") as file:
            file.write(b"a letter\n")
        for arguments in ["info"], ["verify"], ["read", "0"], ["write", "0"], ["write", "0", "-c"]:
            self.assertIn("--chunk-bytes", self.failed(*arguments))
            self.assertIn(self.pipe, self.failed(*arguments, "--chunk-bytes", "4"))
        with open(self.pipe + ".journal", "wb") as file:
            file.write(b"something else" * 1000)
        for arguments in ["info"], ["verify"], ["read", "0"], ["write", "0"]:
            self.assertIn("journal", self.failed(*arguments))
            self.assertIn("journal", self.failed(*arguments, "--chunk-bytes", "3"))
        self.assertEqual(self.file(), b"a letter\n")
        self.assertEqual(self.file(".journal"), b"something else" * 1000)
        self.pipe = self.top
        for arguments in ["info"], ["read", "0"], ["write", "0", "-c"]:
            self.assertIn(self.top, self.failed(*arguments, "-b", "4"))

    def test_plain_file_of_chunks(self):
        with open(self.pipe, "wb") as file:
            file.write(b"aaaabbbb")
        self.assertEqual(self.firn("read", 1, "-b", 4).stdout, b"bbbb")
        self.assertIn("chunk size", self.failed("info"))
        self.assertEqual(os.listdir(self.top), ["cells"], "it was only looked at")
        self.firn("write", 0, "-b", 4, input=b"AAAA")
        self.assertEqual(self.read(), b"AAAAbbbb")
        self.assertIn("4", self.failed("info", "-b", 8))

    def test_another_chunk_size(self):
        self.create(512, 4)
        for arguments in ["info"], ["write", "0"], ["read", "0"], ["write", "0", "--create"]:
            text = self.failed(*arguments, "-b", "4k")
            self.assertIn("512", text)
            self.assertIn("4096", text)
        self.firn("write", 0, "--create", "-b", 512, "-n", 100)
        self.assertEqual(self.info()["chunks"], 4)

    def test_locked(self):
        self.create(4, 4)
        writer = self.start_firn("pipe", "write", self.pipe, "0")
        writer.stdin.write(b"aaaa")
        writer.stdin.flush()
        support.wait_until_taken(writer.stdin)
        for arguments in ["info"], ["verify"], ["read", "0"], ["write", "0"]:
            self.assertIn(str(writer.pid), self.failed(*arguments))
        self.end_firn(writer)
        self.assertEqual(self.read(0), b"aaaa")

    def test_interrupt(self):
        self.create(4, 4)
        for number, arguments, kept in ((signal.SIGINT, [], b"aaaa"), (signal.SIGTERM, ["-p"],
                                        b"bbbb"), (signal.SIGHUP, ["-a"], b"bbbb")):
            letter = {signal.SIGINT: b"a", signal.SIGTERM: b"b", signal.SIGHUP: b"c"}[number]
            writer = self.start_firn("pipe", "write", self.pipe, "0", *arguments)
            writer.stdin.write(letter * 6)
            writer.stdin.flush()
            support.wait_until_taken(writer.stdin)
            writer.send_signal(number)
            _, text = self.end_firn(writer, status=-number)
            self.assertIn(b"interrupted: ", text)
            self.assertIn(b"nothing was written" if "-a" in arguments else b"1 chunk (0)", text)
            self.assertEqual(self.read(), kept + bytes(12))
            self.assertTrue(self.info()["clean"])

    def test_forbidden(self):
        self.create(4, 4, b"aaaabbbbccccdddd")
        os.chmod(self.top, 0o755)
        other = {}
        if os.geteuid() == 0:
            command = os.path.join(self.top, "firn")
            shutil.copy(support.FIRN, command)
            os.chmod(command, 0o755)
            other = {"user": 65534, "group": 65534, "extra_groups": [], "executable": command}
        os.chmod(self.pipe, 0o600 if other else 0o000)
        for arguments in ["read", "0"], ["write", "0"]:
            self.assertIn("ermission denied", self.failed(*arguments, **other))
        self.assertEqual(self.file() if other else b"", b"aaaabbbbccccdddd" if other else b"")


class Kill(PipeTest):
    """Kills `firn pipe write` amid its work. What is there then is, chunk by chunk, from this life
    or an earlier one, and from this one without a gap, in the order of the input; a reader sees
    what the next writer recovers."""

    CHUNK, CHUNKS = 1000, 3000

    def setUp(self):
        super().setUp()
        self.contents = {}

    def content(self, life):
        if life not in self.contents:
            pieces = []
            for index in range(self.CHUNKS):
                rng = random.Random(f"{SEED} {life} {index}")
                head = b"%d %d " % (life, index)
                pieces.append(head + rng.randbytes(self.CHUNK - len(head)))
            self.contents[life] = b"".join(pieces)
        return self.contents[life]

    def life_of(self, chunk, index):
        """Which life wrote this chunk; it is whole."""
        life = int(chunk.split(b" ", 1)[0])
        at = index * self.CHUNK
        self.assertTrue(chunk == self.content(life)[at:at + self.CHUNK], f"chunk {index} is torn")
        return life

    def feed_and_kill(self, life, arguments, first, sent):
        data = self.content(life)[first * self.CHUNK:]
        process = self.start_firn("pipe", "write", "-q", *arguments, self.pipe, first)
        rng = random.Random(f"{SEED} {life} feed")
        at = 0
        while at < sent:
            end = at + rng.choice([100, 1000, 5000, 60000])
            try:
                os.write(process.stdin.fileno(), data[at:end])
            except BrokenPipeError:
                self.fail(process.stderr.read().decode())
            at = end
        if at >= len(data):  # all was sent: it may be about to end
            process.stdin.close()
            process.stdin = None
            time.sleep(rng.choice([0, rng.uniform(0, 0.03)]))
        process.kill()
        self.assertIn(process.wait(), (-signal.SIGKILL, 0))
        return at // self.CHUNK, process.returncode == 0

    def check(self, life, first, sent, done, before, found):
        lives = [self.life_of(found[at:at + self.CHUNK], at // self.CHUNK)
                 for at in range(0, len(found), self.CHUNK)]
        new = sum(1 for now in lives if now == life)
        self.assertLessEqual(new, sent, "more than was sent")
        self.assertEqual(lives[first:first + new], [life] * new, "not in order")
        self.assertEqual(lives[:first] + lives[first + new:], before[:first] + before[first + new:],
                         "what an earlier life wrote has changed")
        if done:
            self.assertEqual(new, self.CHUNKS - first)
        return lives, new

    def run_life(self, life, first, sent, arguments, lives):
        """Returns which life wrote each chunk, and how many this one did."""
        sent, done = self.feed_and_kill(life, arguments, first, sent)
        found = self.read()
        lives, new = self.check(life, first, sent, done, lives, found)
        if arguments:
            self.assertIn(new, (0, self.CHUNKS - first), "a transaction in part")
        self.firn("verify", "-q")
        if life % 2:  # else the next one to be killed recovers
            self.firn("write", 0, "-q")
            self.assertTrue(self.file() == found, "recovery changed what a reader saw")
        return lives, new

    def test_kill(self):
        rng = random.Random(SEED)
        self.create(self.CHUNK, self.CHUNKS, self.content(0))
        lives = [0] * self.CHUNKS
        durable = atomic = 0
        for life in range(1, ROUNDS + 1):
            arguments = rng.choice([[], [], ["--atomic"]])
            first = rng.choice([0, 0, rng.randrange(self.CHUNKS)])
            sent = rng.choice([rng.randrange(self.CHUNKS * self.CHUNK), self.CHUNKS * self.CHUNK])
            try:
                lives, new = self.run_life(life, first, sent, arguments, lives)
            except AssertionError:
                print(f"FAILED: seed {SEED}, life {life}, from chunk {first}, {sent} bytes sent,"
                      f" {arguments}; again: FIRN_SEED={SEED} FIRN_ROUNDS={life}")
                raise
            durable += new
            atomic += bool(arguments and new)
            self.contents = {kept: self.contents[kept] for kept in set(lives)}
        print(f"note: seed {SEED}, {ROUNDS} kills: {durable} chunks were durable,"
              f" {atomic} transactions")


class FullDisk(support.FullDiskTest):
    SCRIPT = """
        "$1" pipe write cells 0 --create -b 1000 --grow < "$3/input" 2> "$3/messages"
        echo $? > "$3/status"
        "$1" pipe verify -q cells && "$1" pipe read --all cells > "$3/chunks" &&
        "$1" pipe write -q cells 0 < "$3/again" && "$1" pipe read cells 0 10 > "$3/first"
    """

    def test_what_was_acknowledged_is_kept(self):
        data = random.Random(5).randbytes(16_000_000)
        for name, content in ("input", data), ("again", data[-10000:]):
            with open(os.path.join(self.top, name), "wb") as file:
                file.write(content)
        self.on_full_disk(self.SCRIPT)
        self.assertEqual(self.read_file("status"), b"1\n")
        text = self.read_file("messages").decode()
        self.assertIn("make room", text)
        self.assertRegex(text, r"\d+ chunks \(0 to \d+\) durable: go on with byte \d+")
        durable = int(text.split(" durable: go on with byte ")[1].split()[0])
        self.assertGreater(durable, 1_000_000)
        chunks = self.read_file("chunks")
        self.assertGreaterEqual(len(chunks), durable)
        self.assertTrue(chunks[:durable] == data[:durable])
        self.assertTrue(self.read_file("first") == data[-10000:])


if __name__ == "__main__":
    unittest.main()
