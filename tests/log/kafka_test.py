#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The store's files are what Kafka's own format says: an independent decoder (python3-kafka) reads
the same records from them as firn does, and firn reads batches that it has written."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile


def find_kafka():
    try:
        import kafka.record  # noqa: F401
    except ImportError:
        if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):
            os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
        print("python3-kafka is not installed")
        sys.exit(77)


find_kafka()
import kafka.codec  # noqa: E402
from kafka.record import MemoryRecords  # noqa: E402
from kafka.record.default_records import DefaultRecordBatchBuilder  # noqa: E402

HELPER = pathlib.Path(os.environ["FIRN_BUILD"]) / "tests/log/kafka-helper"


METHODS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


class Lacking(Exception):
    """This build of firn, or python3-kafka here, does not have the method."""


def helper(*args):
    done = subprocess.run([HELPER, *args], capture_output=True, text=True)
    if done.returncode and "this build of firn does not" in done.stderr:
        raise Lacking(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def need(method):
    if not getattr(kafka.codec, "has_" + method)():
        raise Lacking(f"python3-kafka lacks what {method} needs")


def hexed(data):
    return "-" if data is None else bytes(data).hex()


def line(index, timestamp, key, value, headers):
    words = [str(index), str(timestamp), hexed(key), hexed(value)]
    words += [f"{key.encode().hex()}={hexed(value)}" for key, value in headers]
    return " ".join(words)


def decode(path):
    data = path.read_bytes()
    records = MemoryRecords(data)
    lines = []
    while records.has_next():
        batch = records.next_batch()
        assert batch.validate_crc(), f"{path}: bad checksum"
        assert batch.magic == 2
        lines += [line(r.offset, r.timestamp, r.key, r.value, r.headers) for r in batch]
    return lines


def batches(path):
    records = MemoryRecords(path.read_bytes())
    while records.has_next():
        yield records.next_batch()


def stores(directory):
    return sorted(pathlib.Path(directory).glob("*.log"))


def test_kafka_reads_firn(directory):
    helper("write", directory)
    should = helper("read", directory)
    files = stores(directory)
    assert len(files) > 3, "several segments"
    found = []
    for path in files:
        lines = decode(path)
        assert lines and lines[0].split()[0] == str(int(path.stem)), path
        found += lines
    assert len(found) == 140 and found == should, "other records"


def test_kafka_reads_compressed(directory, method):
    need(method)
    helper("write", directory, str(METHODS[method]))
    should = helper("read", directory)
    methods = set()
    found = []
    for path in stores(directory):
        found += decode(path)
        methods |= {batch.compression_type for batch in batches(path)}
    assert len(found) == 140 and found == should, "other records"
    assert METHODS[method] in methods, "nothing was compressed"


def batch_of(first, count, method=0):
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=method, is_transactional=False, producer_id=-1,
        producer_epoch=-1, base_sequence=-1, batch_size=1 << 20)
    lines = []
    for i in range(count):
        n = first + i
        key = [None, b"", b"key %d" % n][n % 3]
        value = [b"", bytes(range(n % 256)), None, b"v" * (n * 37 % 5000)][n % 4]
        headers = [[], [("h", b"x%d" % n)], [("", b""), ("name", bytes([n % 256]))]][n % 3]
        timestamp = 1700000000000 + n * 1000 - (n % 5) * 7000
        assert builder.append(i, timestamp, key, value, headers) is not None
        lines.append(line(n, timestamp, key, value, headers))
    data = bytearray(builder.build())
    data[0:8] = first.to_bytes(8, "big")
    return bytes(data), lines


def test_firn_reads_kafka(directory, method="none"):
    if method != "none":
        need(method)
    os.mkdir(directory)
    should, index = [], 70
    for _ in range(3):
        path = pathlib.Path(directory) / f"{index:020}.log"
        with path.open("wb") as store:
            for count in (1, 7, 1, 120, 2):
                data, lines = batch_of(index, count, METHODS.get(method, 0))
                store.write(data)
                should += lines
                index += count
    assert helper("read", directory) == should, "opened without a checkpoint"
    assert helper("read", directory) == should, "opened again"
    assert [text for path in stores(directory) for text in decode(path)] == should


def main():
    top = tempfile.mkdtemp(prefix="firn-kafka-")
    tests = [(test_kafka_reads_firn,), (test_firn_reads_kafka,)]
    tests += [(test_kafka_reads_compressed, method) for method in ("lz4", "zstd")]
    tests += [(test_firn_reads_kafka, method) for method in METHODS]
    try:
        for test, *args in tests:
            name = " ".join([test.__name__, *args])
            try:
                test(os.path.join(top, name), *args)
                print(f"ok: {name}")
            except Lacking as lacking:
                print(f"skipped: {name}: {lacking}")
    finally:
        shutil.rmtree(top)
    return 0


if __name__ == "__main__":
    sys.exit(main())
