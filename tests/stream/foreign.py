# SPDX-License-Identifier: MIT
"""Another implementation of a stream's files, after docs/formats.md: a writer and a reader, with
nothing of the library in them."""

import os
import re
import struct
import zlib

META = 48
COMPLETE = 1


def payload(shift):
    return (1 << shift) - META


class Part:
    """What one file holds: where its appends begin and end, in bytes of data. One that began in the
    file before begins below 0; one that goes on in the next file ends beyond this one."""

    def __init__(self, shift, count):
        self.shift = shift
        self.count = count
        self.data = bytearray()
        self.appends = []

    def room(self):
        return self.count * payload(self.shift) - len(self.data)

    def add(self, append, begin):
        """Takes of `append`, from byte `begin` on, what there is room for. Returns how many."""
        at = len(self.data)
        taken = append[begin:begin + self.room()]
        self.appends.append((at - begin, at - begin + len(append)))
        self.data += taken
        return len(taken)

    def block(self, number):
        """(meta, data) of a block: 48 bytes, and what was written behind them."""
        size = payload(self.shift)
        begin, end = number * size, (number + 1) * size
        data = bytes(self.data[begin:end])
        if not data:
            return bytes(META), b""
        spilled = sum(last - begin for first, last in self.appends if first < begin < last)
        if len(data) == size:
            trail = sum(end - first for first, last in self.appends if begin <= first < end < last)
        else:
            trail = 0 if len(data) == spilled else len(data)
        about = (COMPLETE if len(data) == size else 0) | trail << 4 | spilled << 34
        parity = ~(about >> 32 ^ about) & 0xffffffff
        return struct.pack("<QII32x", about, parity, zlib.crc32(data)), data

    def image(self):
        blocks = (b"".join(self.block(number)) for number in range(self.count))
        return b"".join(block.ljust(1 << self.shift, b"\0") for block in blocks)


class Writer:
    """Appends to a sequence of files. What has fewer than `span` bytes and does not fit goes on in
    the next file."""

    def __init__(self, shift, count, span=0, first=1):
        self.shift, self.count, self.span, self.first = shift, count, span, first
        self.parts = [Part(shift, count)]

    def append(self, data):
        last = self.parts[-1]
        if len(data) > last.room() and (len(data) >= self.span or last.room() == 0):
            last = self.grow()
        done = last.add(data, 0)
        while done < len(data):
            done += self.grow().add(data, done)

    def grow(self):
        self.parts.append(Part(self.shift, self.count))
        return self.parts[-1]

    def files(self, name):
        """{name of the file: what it holds}"""
        return {f"{name}.{self.first + number & 0xffff:04x}-{self.shift}": part.image()
                for number, part in enumerate(self.parts)}

    def write(self, folder, name):
        for file, image in self.files(name).items():
            with open(os.path.join(folder, file), "wb") as out:
                out.write(image)


class Wrong(Exception):
    pass


def check(good, *what):
    if not good:
        raise Wrong(" ".join(map(str, what)))


def read_block(block, spilled, file, number):
    """(data, complete, spilled bytes of the next block, so far as this one tells) of a closed
    stream's block; `spilled`: what the one before leaves to it, None where that is not known."""
    where = f"{file}, block {number}:"
    about, parity, crc = struct.unpack_from("<QII", block)
    check(not any(block[16:META]), where, "reserved bytes are not zero")
    if about == 0:
        check(not any(block), where, "it is empty, and not zero")
        check(not spilled, where, "spilled bytes are missing")
        return b"", False, 0
    check(about & 0xe == 0 and about >> 32 & 3 == 0, where, "unused bits are set")
    check(parity == ~(about >> 32 ^ about) & 0xffffffff, where, "parity")
    size = len(block) - META
    complete, trail, own = about & COMPLETE, about >> 4 & 0xfffffff, about >> 34
    check(spilled is None or own == spilled, where, "spilled", own, "after", spilled)
    written = size if complete else max(trail, own)
    check(written <= size, where, "more than a block")
    check(trail + own <= size or own > size and trail == 0 or not complete, where, "trail", trail)
    data = block[META:META + written]
    check(zlib.crc32(data) == crc, where, "checksum")
    check(not any(block[META + written:]), where, "bytes behind the end")
    if own > size:
        return data, complete, own - size
    return data, complete, None if complete and trail else 0


def read_file(path, shift, spilled):
    """(data, spilled bytes at its beginning, what the next file begins with)"""
    size = 1 << shift
    with open(path, "rb") as file:
        image = file.read()
    check(image and len(image) % size == 0, path, "is no whole number of blocks")
    found, head, at_end = [], struct.unpack_from("<Q", image)[0] >> 34, False
    for number in range(len(image) // size):
        block = image[number * size:(number + 1) * size]
        data, complete, spilled = read_block(block, spilled, path, number)
        check(not (at_end and data), path, "block", number, "is behind the end")
        at_end = at_end or not complete
        check(complete or not spilled, path, "an append is cut in block", number)
        found.append(data)
    return b"".join(found), head, 0 if at_end else spilled


def read(folder, name):
    """All bytes of a closed stream, having checked everything that the format says."""
    found = {}
    for file in os.listdir(folder):
        match = re.fullmatch(re.escape(name) + r"\.([0-9a-f]{4})-(\d+)", file)
        check(match, file, "does not belong here")
        found[int(match[1], 16)] = int(match[2])
    first = [index for index in found if (index - 1) & 0xffff not in found]
    check(len(first) == 1, "files are missing")
    content, spilled = [], None
    for number in range(len(found)):
        index = first[0] + number & 0xffff
        path = os.path.join(folder, f"{name}.{index:04x}-{found[index]}")
        data, head, spilled = read_file(path, found[index], spilled)
        content.append(data if number else data[head:])
    check(spilled == 0, "the last append is cut")
    return b"".join(content)
