# SPDX-License-Identifier: MIT
"""firn slab: slabs that a writer of its own made, as docs/formats.md has them; damage; misuse.

$FIRN_REFERENCE_DATA may name a folder with files that the reference library wrote."""

import json
import os
import random
import shutil
import struct
import unittest

import support

SEED = int(os.environ.get("FIRN_SEED", "1"))
REFERENCE = os.environ.get("FIRN_REFERENCE_DATA", "none")
ARENA, AT_HEAD = 48, 40


class Slab:
    """A slab in memory, by the format alone."""

    def __init__(self, block):
        self.block = block
        self.content = bytearray(bytes(24) + b"ALSL\0\1\1\0" + struct.pack("<QQ", block, 0))

    def get(self, at):
        return struct.unpack_from("<Q", self.content, at)[0]

    def put(self, at, value):
        struct.pack_into("<Q", self.content, at, value)

    def alloc(self, data):
        blocks = -(-len(data) // self.block)
        at = self.get(AT_HEAD)
        if blocks == 1 and at:
            self.put(AT_HEAD, self.get(at))
        else:
            at = len(self.content)
            self.content += bytes(blocks * self.block)
        self.content[at:at + blocks * self.block] = data.ljust(blocks * self.block, b"\0")
        return at, data

    def free(self, at, data):
        blocks = -(-len(data) // self.block)
        if blocks > 1 and at + blocks * self.block == len(self.content):
            del self.content[at:]
            return
        for block in range(at, at + blocks * self.block, self.block):
            self.put(block, self.get(AT_HEAD))
            self.put(AT_HEAD, block)

    def free_blocks(self):
        count, at = 0, self.get(AT_HEAD)
        while at:
            count, at = count + 1, self.get(at)
        return count

    def blocks(self):
        return (len(self.content) - ARENA) // self.block

    def save(self, path):
        with open(path, "wb") as file:
            file.write(b"BSTK\0\1\10\0" + struct.pack("<Q", len(self.content)) + self.content)


class SlabTest(support.CommandTest):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.top, "blocks")

    def firn(self, action, *arguments, **more):
        return self.run_firn("slab", action, self.path, *arguments, **more)

    def info(self):
        return json.loads(self.firn("info", "--json").stdout)

    def damaged(self, pattern):
        found = self.firn("check", status=1).stdout.decode()
        self.assertRegex(found, pattern)
        first = found.split("\n")[0]
        self.assertEqual(self.firn("check", "-q", status=1).stdout.decode(), first + "\n")
        self.assertEqual(json.loads(self.firn("check", "-j", status=1).stdout)["finding"], first)
        self.assertIn(b"'firn slab check' says more", self.firn("info", status=1).stderr)

    def some_slab(self, seed=SEED):
        prng = random.Random(seed)
        slab, live = Slab(prng.choice([8, 24, 32, 500])), []
        for _ in range(200):
            if live and prng.random() < 0.45:
                slab.free(*live.pop(prng.randrange(len(live))))
            else:
                live.append(slab.alloc(prng.randbytes(prng.randrange(1, 4 * slab.block))))
        slab.save(self.path)
        return slab, live


class Written(SlabTest):
    def test_by_an_independent_writer(self):
        for seed in range(SEED, SEED + 5):
            slab, _ = self.some_slab(seed)
            with open(self.path, "rb") as file:
                before = file.read()
            self.assertEqual(self.info(), {"slab": self.path, "block_bytes": slab.block,
                                           "blocks": slab.blocks(),
                                           "free_blocks": slab.free_blocks(),
                                           "reserved": "00" * 24})
            self.assertIn(b": all is well\n", self.firn("check").stdout)
            self.assertEqual(self.firn("check", "-q").stdout, b"")
            with open(self.path, "rb") as file:
                self.assertEqual(file.read(), before, "looking changes nothing")

    def test_by_the_reference(self):
        source = os.path.join(REFERENCE, "slab/slab.bstk")
        if not os.path.exists(source):
            self.skipTest("no files of the reference here")
        shutil.copyfile(source, self.path)
        self.assertEqual(self.info()["block_bytes"], 32)
        self.assertIsNone(json.loads(self.firn("check", "-j").stdout)["finding"])
        live = os.path.join(REFERENCE, "slab/slab.live")
        self.assertIn(b", 0 leaked, 0 bad slices: all is well\n",
                      self.firn("check", "--live", live).stdout)

    def test_live(self):
        slab, live = self.some_slab()
        blocks = sum(-(-len(data) // slab.block) for _, data in live)
        self.assertEqual(slab.blocks(), blocks + slab.free_blocks())
        found = json.loads(self.check_live(live, "-j").stdout)
        self.assertEqual([found[name] for name in ("live_blocks", "leaked_blocks", "bad_slices")],
                         [blocks, 0, 0])
        at, data = live.pop(3)
        lost = -(-len(data) // slab.block)
        self.assertIn(f" {lost} leaked, 0 bad slices: some have no owner\n".encode(),
                      self.check_live(live, status=1).stdout)
        self.assertRegex(self.check_live(live, "-q", status=1).stdout.decode(),
                         r"^\S+: \d+ bytes at byte \d+ are leaked\n$")
        self.assertIn(b"has blocks that another one has\n",
                      self.check_live(live + [(at, data), (at, b"x")], status=1).stdout)
        self.assertIn(b"is not within the slab\n",
                      self.check_live(live + [(at, data), (5, b"x")], status=1).stdout)

    def check_live(self, live, *options, **more):
        with open(self.path + ".live", "w", encoding="ascii") as file:
            file.writelines(f"{at} {len(data)} {data.hex()}\n" for at, data in live)
        return self.firn("check", *options, "--live", self.path + ".live", **more)

    def test_text(self):
        slab = Slab(16)
        slab.free(*slab.alloc(b"x"))
        slab.alloc(b"more than a block")
        slab.content[:5] = b"hello"
        slab.save(self.path)
        self.assertEqual(self.firn("info").stdout.decode().split("\n")[1:],
                         ["block bytes: 16", "blocks:      3 (48 bytes)", "free:        1",
                          "reserved:    68656c6c6f" + "00" * 19, ""])
        self.assertEqual(self.firn("check").stdout,
                         b"3 blocks of 16 bytes, 1 free one: all is well\n")


class Damage(SlabTest):
    def test_of_the_list(self):
        slab = Slab(16)
        blocks = [slab.alloc(b"x") for _ in range(4)]
        for block in blocks:
            slab.free(*block)
        slab.put(48, 80)
        slab.save(self.path)
        self.damaged("at byte 48 it comes back to the block at byte 80\n"
                     "4 blocks of 16 bytes, 4 free ones: the rest of the list is lost")
        slab.put(80, 81)
        slab.save(self.path)
        self.damaged("at byte 80 it leads to where no block begins: byte 81")

    def test_of_the_header(self):
        for at, value, pattern in ((32, 7, "fewer bytes than 8: 7"),
                                   (40, 49, "no block is: byte 49"),
                                   (32, 13, "between two blocks of the slab: byte 80")):
            slab = Slab(16)
            slab.alloc(b"more than a block")
            slab.put(at, value)
            slab.save(self.path)
            self.damaged(pattern)


class Misuse(SlabTest):
    def test_what_is_no_slab(self):
        self.assertIn(b"no such file", self.firn("info", status=1).stderr.lower())
        self.run_firn("stack", "push", "-c", self.path, input=b"")
        self.assertIn(b"empty", self.firn("check", status=1).stderr)
        self.run_firn("stack", "push", self.path, input=b"x" * 40)
        self.assertIn(b"too short", self.firn("check", status=1).stderr)
        self.run_firn("stack", "push", self.path, input=b"x" * 40)
        self.assertIn(b"not a slab", self.firn("info", status=1).stderr)

    def test_list(self):
        self.some_slab()
        for text, wanted in (("48\n", "line 1: write an offset"), ("48 5\n\n", "line 2:"),
                             ("x 5\n", "line 1:"), (None, "No such file")):
            if text:
                with open(self.path + ".live", "w", encoding="ascii") as file:
                    file.write(text)
            else:
                os.remove(self.path + ".live")
            done = self.firn("check", "-l", self.path + ".live", status=1)
            self.assertIn(wanted, done.stderr.decode())
            self.assertEqual(done.stdout, b"")

    def test_arguments(self):
        for arguments in ((), ("info",), ("mend", self.path), ("info", "-q", self.path),
                          ("info", "-l", "x", self.path),
                          ("check", self.path, "more"), ("check", "--create", self.path)):
            done = self.run_firn("slab", *arguments, status=2)
            self.assertIn(b"try 'firn help slab'", done.stderr)


if __name__ == "__main__":
    unittest.main()
