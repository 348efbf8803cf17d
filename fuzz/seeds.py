#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Usage: fuzz/seeds.py [DIRECTORY]

Writes the inputs that were made by hand, DIRECTORY/<target>/<name> (default: fuzz/corpus). Run it
again where a target's input changes its form; all other inputs were found by libFuzzer.
"""

import gzip
import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent

# Three records with keys, headers and every kind of "none", built by python3-kafka.
KAFKA = bytes.fromhex(
    "0000000000000000" "0000005d" "00000000" "02" "dc1e3800" "0000" "00000002"
    "0000018bcfe56800" "0000018bcfe56805" "ffffffffffffffff" "ffff" "ffffffff" "00000003"
    "360000" "00066b6579" "1276616c7565206f6e65" "04" "046831" "0278" "046832" "01"
    "0c000a0201" "00" "00" "10001304" "00" "01" "02" "0000")


def batch(attributes=0, last=2, count=3, records=KAFKA[61:], base=0, magic=2, length=None):
    fields = struct.pack(">hiqqqhii", attributes, last, 1000, 2000, -1, -1, -1, count) + records
    length = 9 + len(fields) if length is None else length
    return struct.pack(">qiibI", base, length, 1, magic, 0) + fields


def batch_seeds():
    mend = 1  # the checksum
    gaps = b"".join(bytes([12, 0, 0, delta * 2, 1, 0, 0]) for delta in (0, 4, 10))
    yield "kafka", bytes([0, 1]) + KAFKA
    yield "kafka-damaged", bytes([0, 1]) + KAFKA[:-1] + b"\1"
    yield "kafka-cut-to-one", bytes([0, 0]) + KAFKA
    yield "gzip", bytes([mend, 0]) + batch(attributes=1, records=b"\x1f\x8b compressed")
    yield "zstd", bytes([mend, 0]) + batch(attributes=4, records=b"\x28\xb5\x2f\xfd")
    yield "append-time", bytes([mend, 2]) + batch(attributes=8)
    yield "control", bytes([mend, 0]) + batch(attributes=0x30, last=0, count=1, records=gaps[:7])
    yield "gaps", bytes([mend, 1]) + batch(last=12, records=gaps)
    yield "fills-a-gap", bytes([mend, 0]) + batch(last=9, count=0, records=b"")
    yield "too-many", bytes([mend, 0]) + batch(last=1)
    yield "one-too-few", bytes([mend, 0]) + batch(last=3, count=4)
    yield "last-index", bytes([mend, 0]) + batch(base=2**63 - 3)
    yield "behind-last-index", bytes([mend, 0]) + batch(base=2**63 - 2)
    yield "old-magic", bytes([0, 0]) + batch(magic=1)
    yield "length-zero", bytes([0, 0]) + batch(length=0)
    yield "zeros", bytes(2 + 64)
    yield "short", bytes([0, 0]) + KAFKA[:60]
    yield "cut-short", bytes([0, 0]) + KAFKA[:-1]


def unpack_seeds():
    gaps = b"".join(bytes([12, 0, 0, delta * 2, 1, 0, 0]) for delta in (0, 4, 10))
    yield "kafka", bytes([3, 255]) + KAFKA[61:]
    yield "kafka-long-values", bytes([3, 4]) + KAFKA[61:]
    yield "kafka-one-too-many", bytes([4, 0]) + KAFKA[61:]
    yield "gaps", bytes([3, 0]) + gaps
    yield "long-varints", bytes([1, 0]) + bytes.fromhex("a4808000" "00" "00" "00" "01"
                                                        "94808000" "30313233343536373839" "00")
    yield "gzip", bytes([1, 0]) + gzip.compress(KAFKA[61:], mtime=0)
    yield "snappy", bytes([1, 0]) + bytes([13, 8]) + b"abc" + bytes([38, 3, 0])
    yield "snappy-framed", (bytes([1, 0]) + b"\x82SNAPPY\0\0\0\0\1\0\0\0\1\0\0\0\x08" +
                            bytes([13, 8]) + b"abc" + bytes([38, 3, 0]))
    yield "lz4", bytes([1, 0]) + bytes.fromhex("04224d186040820600008061626364656600000000")
    yield "zstd", bytes([1, 0]) + bytes.fromhex("28b52ffd2006310000616263646566")
    yield "nothing", b""


def index_files(places, times, store=4096, how=0):
    index = b"".join(struct.pack(">II", *place) for place in places)
    return (struct.pack("<BHH", how, store, len(index)) + index +
            b"".join(struct.pack(">qI", *time) for time in times))


def index_seeds():
    many = b"".join(struct.pack("<BBHB", 8 * (i % 3 > 0), 1 + i % 7, 100 + i, 20)
                    for i in range(300))
    yield "empty", index_files([], [])
    yield "one-entry", index_files([(0, 0)], [(1700000000000, 0)])
    yield "three-entries", index_files([(0, 0), (3, 100), (9, 4000)], [(5, 0), (7, 9)])
    yield "not-ascending", index_files([(0, 0), (3, 100), (2, 200)], [(5, 0)])
    yield "times-descend", index_files([(0, 0), (3, 100)], [(7, 0), (5, 3)])
    yield "behind-the-store", index_files([(0, 0), (3, 5000)], [(5, 0)])
    yield "no-time", index_files([(0, 0)], [])
    yield "time-of-nothing", index_files([(0, 0)], [(5, 0), (6, 1)])
    yield "odd-size", index_files([(0, 0)], [(5, 0)]) + b"x"
    yield "many", struct.pack("<BH", 0xf1, 4096) + many
    yield "many-added", struct.pack("<BH", 0xf2, 4096) + many.replace(b"\x14", b"\x40")


def slot(sequence, flags=0, version=1, durable=(0, 0, 0), end=(0, 0, 0), cut=(0, 0, 0), header=b""):
    fields = b"FIRNCKP1" + struct.pack(">IQIIQ", version, sequence, flags, 3, durable[0])
    fields += struct.pack(">QQQ", *durable) + struct.pack(">QQQ", *end)
    fields += struct.pack(">QI", 1 if flags & 1 else 0, 7 if flags & 1 else 0)
    fields += struct.pack(">QQQ", *cut)
    fields += struct.pack(">QB", 40 if header else 0, 1 if header else 0)
    return (fields + header).ljust(190, b"\0")


def checkpoint_seeds():
    mended = 1 | 2 | 16
    header = batch()[:61]
    intent = slot(5, 2, durable=(0, 40, 1), cut=(0, 90, 2), header=header)
    yield "created", bytes([mended]) + slot(2) + slot(1)
    yield "clean", bytes([mended | 0x80]) + slot(8, 1, end=(0, 90, 3)) + slot(7, 1, end=(0, 90, 3))
    yield "intent", bytes([mended]) + slot(4) + intent
    yield "first-torn", bytes([2 | 16]) + slot(4) + slot(3)
    yield "second-torn", bytes([1 | 16]) + slot(4) + slot(3)
    yield "both-torn", bytes([16]) + slot(4) + slot(3)
    yield "later-version", bytes([mended]) + slot(4) + slot(3, version=2)
    yield "unknown-flag", bytes([mended]) + slot(4, 4) + slot(3)
    yield "end-without-clean", bytes([mended]) + slot(4, 0, end=(1, 2, 3)) + slot(3)
    yield "wrong-place", bytes([mended]) + slot(3) + slot(4)
    yield "highest-sequence", bytes([mended]) + slot(2**64 - 2) + slot(2**64 - 1)
    yield "half-a-slot", bytes([0]) + slot(4)
    yield "missing", b""


def table(*cursors, sequence=3, version=1, count=None):
    count = len(cursors) if count is None else count
    data = b"FIRNCUR1" + struct.pack(">IQI", version, sequence, count)
    for name, index in cursors:
        data += struct.pack(">QIB", index, 5, len(name)) + name
    return struct.pack("<H", len(data)) + data


def named_seeds():
    mended, two, some = 1 | 2, table((b"a", 0), (b"b.c-d_E9", 2**64 - 1)), table((b"x" * 100, 7))
    yield "two", bytes([mended]) + two + two
    yield "none", bytes([mended]) + table() + table()
    yield "first-damaged", bytes([2]) + two + some
    yield "second-damaged", bytes([1]) + some + two
    yield "both-damaged", bytes([0]) + two + two
    yield "one-later", bytes([mended]) + two + table((b"a", 1), version=2)
    yield "not-in-order", bytes([mended]) + table((b"b", 1), (b"a", 1)) * 2
    yield "twice", bytes([mended]) + table((b"a", 1), (b"a", 1)) * 2
    yield "no-name", bytes([mended]) + table((b"", 1)) * 2
    yield "wrong-name", bytes([mended]) + table((b".a", 1)) * 2
    yield "long-name", bytes([mended]) + table((b"x" * 101, 1)) * 2
    yield "too-few", bytes([mended]) + table((b"a", 1), (b"b", 1), count=1) * 2
    yield "too-many", bytes([mended]) + table((b"a", 1), count=2**32 - 1) * 2
    yield "beyond-the-end", bytes([mended]) + table((b"x" * 100, 1), count=37) * 2
    yield "has-new", bytes([mended]) + table((b"new", 1)) * 2
    full = table(*[(b"%03d" % i + b"y" * 90, i) for i in range(50)])
    yield "two-pages", bytes([mended | 8]) + full + full
    yield "two-pages-for-one", bytes([mended | 8]) + two + two
    yield "cut-short", bytes([mended | 16]) + two + two


GOOD, DAMAGED, _, NESTED, GARBAGE, ZEROS, COPY, JUMP, MENDED = range(9)
PLAIN = bytes([GOOD, 0]) + struct.pack("<H", 20) + bytes([0, 1])  # two records of 20 bytes
EXACT, PEEK = 4, 8


def scan(*parts, how=PEEK, nonzero=(0, 65535)):
    return struct.pack("<BHH", how, *nonzero) + b"".join(parts)


def scan_seeds():
    in_value = bytes([DAMAGED, 0]) + struct.pack("<H", 20) + bytes([0, 1, 0, 1]) + b"\5\0"
    in_header = bytes([DAMAGED, 0]) + struct.pack("<H", 20) + bytes([0, 1, 1, 1]) + b"\10\0"
    large = bytes([GOOD, 1]) + struct.pack("<H", 15000) + bytes([0, 0])
    nested = bytes([NESTED, 0, 2, 0, 1, 0, 0, 1, 0, 1]) + b"\5\0"
    yield "good", scan(PLAIN * 3)
    yield "large", scan(PLAIN, large, PLAIN)
    yield "large-in-small-window", scan(PLAIN, large, PLAIN, how=PEEK | 1)
    yield "damaged-value", scan(PLAIN, in_value, PLAIN * 2)
    yield "damaged-header", scan(PLAIN, in_header, PLAIN * 2, how=PEEK | EXACT)
    yield "damaged-twice", scan(PLAIN, in_value, PLAIN, in_header, PLAIN)
    yield "nested", scan(PLAIN, nested, PLAIN * 2, how=EXACT)
    yield "torn-tail", scan(PLAIN * 2, bytes([COPY, 0]) + b"\x20\0", bytes([ZEROS]) + b"\0\x10")
    yield "stale-behind-zeros", scan(PLAIN * 2, bytes([ZEROS]) + b"\0\x10", bytes([COPY, 1]))
    yield "garbage", scan(PLAIN, bytes([GARBAGE, 20]) + b"\2" * 20, PLAIN)
    yield "mended", scan(PLAIN, bytes([MENDED, 70]) + bytes(57) + b"\0\0\0\1" + bytes(9), PLAIN)
    yield "gap", scan(PLAIN, bytes([JUMP, 0x43]), PLAIN, how=EXACT)


# build: 0 append, 1 group, 2 not waiting, 3 nested, 4 large, 5 flush, 6 background, 7 truncate,
# 8 remove, 9 reopen, 10 prepare, 11 keep the files; damage: the order of its enum.
def program(flags, build, damages=(), life=b"\0", steps=None):
    return (bytes([flags, len(build) if steps is None else steps]) + b"".join(build) +
            bytes([len(damages)]) + b"".join(damages) + life)


def recovery_seeds():
    one, group, rest = bytes([0, 40]), bytes([1, 20, 3]), bytes([6])
    build = [one, group, rest, one, one, rest, group]
    life = bytes([4, 4, 30, 2, 1, 0, 3, 1, 0, 8, 30])
    crash = 32
    yield "closed", program(1, build, life=life)
    yield "crashed", program(1 | crash, build, life=life)
    yield "group-mode", program(1 | 4 | crash, build, life=life)
    yield "os-mode", program(1 | 8 | crash, [*build, bytes([2, 30])], life=life)
    yield "first-index", program(1 | 16, build, life=life)
    yield "reopened", program(1, [*build, bytes([9]), *build], life=life)
    yield "truncated", program(1, [*build, bytes([7, 2, 0]), one], life=life)
    yield "removed", program(1, [*build, bytes([8, 5, 0]), one], life=life)
    yield "prepared", program(2 | crash, [one, bytes([10, 0, 64]), one], life=life)
    yield "flipped", program(1, build, [bytes([0, 1, 0, 0, 100, 0, 4])], life=life)
    several = [one, one, one, one]
    yield "flipped-before-others", program(35, several, [bytes([0, 0, 0, 0, 100, 0, 4])], life=life)
    yield "index-flipped", program(1, build, [bytes([0, 0, 0, 0, 5, 0, 4])], life=life)
    yield "flipped-crashed", program(1 | crash, build, [bytes([0, 0, 0, 0, 100, 0, 4])], life=life)
    yield "scribbled", program(1, build, [bytes([1, 1, 0, 0, 30, 0, 7, 40, 0])], life=life)
    yield "appended", program(1 | crash, build, [bytes([2, 3, 0, 9, 80, 0])], life=life)
    yield "cut-off", program(1 | crash, build, [bytes([3, 3, 0, 1, 20, 0])], life=life)
    yield "segment-removed", program(0, build, [bytes([4, 1, 0])], life=life)
    yield "checkpoint-removed", program(1, build, [bytes([4, 6, 0])], life=life)
    yield "segment-copied", program(0, build, [bytes([6, 1, 0, 40, 0])], life=life)
    older = bytes([7, 1, 0])
    yield "older-checkpoint", program(1, [one, bytes([11]), *build], [older], life=life)
    yield "slot-copied", program(1, build, [bytes([8, 0])], life=life)
    astray = bytes([9, 1, 0, 4, 0, 0, 0, 0, 0, 90, 0, 0, 1])
    yield "range-copied", program(1, build, [astray], life=life)
    yield "forged-batch", program(1, build, [bytes([10, 1, 0, 1, 0, 57, 9])], life=life)
    yield "forged-checkpoint", program(1, build, [bytes([11, 0, 2, 1, 0])], life=life)


# Numbers are what a journal writes where the byte before them is below 0xe0.
def range_of(unit, at):
    return struct.pack("<BHBB", unit, at, 0, 0)


def record(*ranges):
    return bytes([2 * len(ranges), 0]) + b"".join(ranges) + bytes(5)


def journal_files(flags, *records, chunk=2, chunks=39, position=0, end=b"\0\0\0", life=None):
    header = bytes([3, 0]) + struct.pack("<HB", position, 0) + bytes(4)
    life = bytes([4, 0, 9, 1, 0, 1, 8, 14, 3, 0]) if life is None else life
    return (bytes([flags, chunk, chunks]) + header + bytes([len(records)]) + b"".join(records) +
            end + life)


def journal_seeds():
    damaged_slot, no_journal, no_mark, other_mark, leave_chunk, no_main, short = (
        1, 2, 4, 8, 16, 32, 64)
    one, two = record(range_of(0, 30)), record(range_of(1, 0), range_of(3, 300))
    grown = bytes([0, 0xe4]) + bytes(5)
    yield "empty", journal_files(0)
    yield "one", journal_files(0, one)
    yield "several", journal_files(0, one, two, one, two)
    yield "large-chunks", journal_files(0, one, two, one, two, chunk=5, chunks=3)
    yield "wraps", journal_files(0, two, two, two, position=16000)
    yield "unaligned", journal_files(0, one, record(range_of(0x40, 77), range_of(0x43, 78)))
    yield "many-ranges", journal_files(0, bytes([129, 0]) + range_of(0x40, 500) * 64 + bytes(5))
    yield "missing-record", journal_files(0, one, b"\xe9", one)
    yield "bytes-between", journal_files(0, one, b"\xe4abcd", one)
    yield "longer", journal_files(0, one, grown, end=b"\0\1\0")
    yield "flipped", journal_files(0, one, two, end=b"\0\0\1\1\x81")
    yield "damaged-slot", (bytes([damaged_slot, 2, 39, 3, 0, 0, 0, 0]) + bytes(4) + b"\x10\0" +
                           bytes([1]) + one + bytes(3) + b"\4\0\2\0\0")
    yield "no-journal", journal_files(no_journal | short)
    yield "marked-without-journal", journal_files(no_journal)
    yield "no-mark", journal_files(no_mark, one)
    yield "no-mark-needed", journal_files(no_mark)
    yield "other-mark", journal_files(other_mark, one)
    yield "chunk-not-named", journal_files(leave_chunk, one)
    yield "no-file", journal_files(no_main, one)
    yield "short", journal_files(short, one)


def stack_files(flags, *records, length=3000, position=0, end=b"\1\0", main=b"\0\0", life=None):
    header = bytes([3, 0]) + struct.pack("<HB", position, 0) + bytes(4)
    if life is None:
        life = bytes([5, 8, 100, 3, 2, 99, 9, 9, 1, 8, 0, 4, 0, 16, 100, 0, 7])
    return (bytes([flags]) + struct.pack("<H", length) + header + bytes([len(records)]) +
            b"".join(records) + end[:1] + main + end[1:] + life)


def stack_seeds():
    damaged_slot, no_journal, plain, other, torn, no_main, raw, single = (
        1, 2, 4, 8, 16, 32, 64, 128)
    one, zeros = record(range_of(0, 30)), record(range_of(0x81, 7), range_of(0, 900))
    other_length = bytes([0x20 | 2, 0]) + struct.pack("<H", 5000) + range_of(2, 100) + bytes(5)
    shorter = bytes([0x20, 0]) + struct.pack("<H", 40) + bytes(5)
    yield "empty", stack_files(0)
    yield "one", stack_files(0, one)
    yield "zeros", stack_files(0, one, zeros, zeros)
    yield "longer-shorter", stack_files(0, one, other_length, shorter, other_length, zeros)
    yield "wraps", stack_files(0, zeros, one, zeros, position=11000)
    yield "plain", stack_files(plain, main=bytes(9))
    yield "plain-alone", stack_files(plain | no_journal)
    yield "plain-longer", stack_files(plain | no_journal, main=b"\60\0")
    yield "plain-shorter", stack_files(plain | no_journal, main=b"\0\xe7")
    yield "plain-with-changes", stack_files(plain, one)
    yield "other-mark", stack_files(other, one)
    yield "torn-mark", stack_files(torn, main=b"\0\0" + bytes([1, 0, 1, 0, 0, 1, 1, 0]))
    yield "no-file", stack_files(no_main, one)
    yield "damaged-slot", stack_files(damaged_slot, one)
    yield "other-file", stack_files(raw | no_journal, main=b"\0\0Hello, world!!!!\1")
    later = b"\0\0BSTK\0\2\0\0" + bytes(8) + b"\1"
    yield "other-version", stack_files(raw | no_journal, main=later)
    yield "single", stack_files(single | plain | no_journal)
    yield "single-marked", stack_files(single, one)


# The list: blocks that are put in front of it, one after the other.
def slab_blocks(size, blocks, *free, pokes=(), tail=0, life=None):
    if life is None:
        life = (bytes([9]) + b"\2\1\x28\0" + b"\2\2\x90\1" + b"\2\3\5\0" + b"\2\1\x80\0" +
                b"\0\x30\0\5" + b"\2\2\x09\0" + b"\1\2" + b"\2\4\x40\0" + b"\0\x38\0\x30")
    return (bytes([0, size - 8, blocks, len(free), *free, len(pokes)]) +
            b"".join(struct.pack("<HB", at, value) for at, value in pokes) + bytes([tail]) + life)


def slab_seeds():
    yield "new", slab_blocks(16, 0)
    yield "blocks", slab_blocks(16, 20)
    yield "list", slab_blocks(8, 20, 3, 4, 5, 19, 0)
    yield "large-blocks", slab_blocks(200, 5, 4, 2)
    yield "cycle", slab_blocks(32, 9, 1, 2, 1)
    yield "bad-link", slab_blocks(16, 9, 1, 2, pokes=[(64, 0x31)])
    yield "far-link", slab_blocks(16, 9, 1, 2, pokes=[(84, 1)])
    yield "bad-head", slab_blocks(16, 9, 1, 2, pokes=[(40, 1)])
    yield "bad-size", slab_blocks(16, 9, pokes=[(32, 7)])
    yield "other-size", slab_blocks(16, 9, pokes=[(32, 48)])
    yield "huge-size", slab_blocks(16, 0, pokes=[(39, 1)])
    yield "impossible-size", slab_blocks(16, 0, pokes=[(39, 0x80)])
    yield "other-magic", slab_blocks(16, 9, pokes=[(24, 1)])
    yield "later-patch", slab_blocks(16, 9, 5, pokes=[(30, 9)])
    yield "uneven-end", slab_blocks(16, 9, 5, tail=7)
    yield "empty", b"\7"
    yield "short", b"\7" + bytes(47)
    yield "other", b"\7" + bytes(range(100))


# Steps: appends of so many bytes, of 16 times as many from 0x80 on; 0xf0 grow; 0xf8 close and open.
def stream_blocks(flags, *steps, blocks=5, damages=(), life=b"\2\40\x83"):
    return (bytes([flags, blocks - 1, len(steps), *steps, len(damages)]) + b"".join(damages) + life)


def stream_seeds():
    closed, spans, small, large = 1, 2, 4, 8
    tear, flip, clear, copy, forge, raw, mend, note, turn, drop = (
        bytes([kind, 0, 0]) for kind in range(10))
    several = (30, 50, 100, 0x90, 7)
    yield "empty", stream_blocks(0)
    yield "closed", stream_blocks(closed, *several)
    yield "open", stream_blocks(0, *several)
    yield "small-blocks", stream_blocks(closed | small, *several, blocks=9)
    yield "large-blocks", stream_blocks(large, *several, 0xb0, 0xb0)
    yield "spans", stream_blocks(spans, *several, 0x93, 0x93, 90, 5)
    yield "wastes", stream_blocks(0, *several, 0x93, 0x93, 90, 5)
    yield "fills", stream_blocks(spans, 80, 80, 0x8a, 80, 80, 9, blocks=3)
    yield "reopened", stream_blocks(spans, *several, 0xf8, 60, 0xf9, 0x93, 4)
    for which in range(4):
        yield f"torn-{which}", stream_blocks(spans, *several, 0x93, damages=[
            tear + bytes([which, 1, 2, 3, 0, 2, 1])])
    yield "torn-marking", stream_blocks(spans, 40, 0xf8, 50, damages=[tear + b"\0\3"])
    yield "torn-closing", stream_blocks(closed, *several, damages=[tear + b"\0\1\0\1"])
    yield "flipped", stream_blocks(closed, *several, damages=[flip + b"\x90\1"])
    yield "flipped-open", stream_blocks(0, *several, damages=[flip + b"\x90\1"])
    yield "note-flipped", stream_blocks(0, *several, damages=[flip + b"\xe0\0"])
    yield "cleared", stream_blocks(0, *several, damages=[clear])
    yield "copied", stream_blocks(0, *several, damages=[copy + b"\0\1"])
    yield "forged", stream_blocks(closed, *several, damages=[forge + b"\1\x14\5"])
    yield "forged-spill", stream_blocks(closed, *several, damages=[forge + b"\3\0\0\1\1"])
    yield "raw", stream_blocks(0, *several, damages=[raw + bytes(range(100))])
    yield "mended", stream_blocks(0, *several, damages=[flip + b"\x05\0", mend])
    yield "noted", stream_blocks(0, *several, damages=[note + b"\3\x20\4"])
    yield "turned", stream_blocks(spans, *several, 0x93, 0x93, damages=[turn])
    yield "dropped", stream_blocks(spans, *several, 0x93, 0x93, damages=[drop])


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "corpus"
    for target, seeds in (("batch", batch_seeds), ("index", index_seeds), ("scan", scan_seeds),
                          ("checkpoint", checkpoint_seeds), ("named", named_seeds),
                          ("recovery", recovery_seeds), ("journal", journal_seeds),
                          ("slab", slab_seeds), ("stack", stack_seeds), ("stream", stream_seeds),
                          ("unpack", unpack_seeds)):
        (root / target).mkdir(parents=True, exist_ok=True)
        for name, data in seeds():
            (root / target / name).write_bytes(data)


if __name__ == "__main__":
    main()
