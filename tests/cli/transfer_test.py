# SPDX-License-Identifier: MIT
"""firn copy, import and export."""

import os
import unittest

import support


class Transfer(support.CommandTest):
    def path(self, name):
        return os.path.join(self.top, name)

    def contents(self, log):
        return self.run_firn("cat", "--format", "json", log).stdout

    def fill(self, first, count):
        self.append(*[b"value %d" % number for number in range(first, first + count)])

    def test_copies_and_brings_up_to_date(self):
        self.fill(0, 1000)
        done = self.run_firn("copy", self.log, self.path("copy"))
        self.assertIn(b"1000 records copied, up to index 1000", done.stderr)
        self.assertEqual(self.contents(self.path("copy")), self.contents(self.log))
        self.fill(1000, 10)
        self.run_firn("trim", "-q", "--before", "100", self.log)
        done = self.run_firn("copy", self.log, self.path("copy"))
        self.assertIn(b"10 records copied", done.stderr)
        self.assertEqual(self.contents(self.path("copy")), self.contents(self.log))
        done = self.run_firn("copy", "--quiet", self.log, self.path("copy"))
        self.assertEqual((done.stdout, done.stderr), (b"", b""))
        self.run_firn("verify", "-q", self.path("copy"))

    def test_copies_while_another_process_writes(self):
        process = self.start_firn("append", "--ack", "-q", self.log)
        for number in range(50):
            process.stdin.write(b"%d\n" % number)
            process.stdin.flush()
            process.stdout.readline()
        self.run_firn("copy", "-q", self.log, self.path("copy"))
        self.end_firn(process)
        self.assertEqual(self.contents(self.path("copy")), self.contents(self.log))

    def test_another_log_is_not_overwritten(self):
        self.fill(0, 10)
        other = self.path("other")
        self.run_firn("append", "-q", other, input=b"something else\n")
        done = self.run_firn("copy", self.log, other, status=1)
        self.assertIn(b"holds other records than", done.stderr)
        self.assertEqual(self.run_firn("cat", other).stdout, b"something else\n")
        os.mkdir(self.path("files"))
        with open(self.path("files/letter"), "w") as file:
            file.write("dear reader")
        for command in "copy", "export":
            done = self.run_firn(command, self.log, self.path("files"), status=1)
            self.assertIn(b"files", done.stderr)
        self.assertEqual(os.listdir(self.path("files")), ["letter"])

    def test_damage_is_told(self):
        self.fill(0, 1000)
        store = os.path.join(self.log, "0" * 20 + ".log")
        with open(store, "r+b") as file:
            file.seek(200)
            byte = file.read(1)
            file.seek(200)
            file.write(bytes([byte[0] ^ 255]))
        done = self.run_firn("copy", "-q", self.log, self.path("copy"), status=1)
        self.assertIn(b"1 damaged range", done.stderr)
        self.run_firn("verify", "-q", self.path("copy"))

    def test_there_and_back_by_way_of_kafka(self):
        self.fill(0, 1000)
        done = self.run_firn("export", self.log, self.path("kafka"))
        self.assertIn(b"1000 records exported", done.stderr)
        names = {os.path.splitext(name)[1] for name in os.listdir(self.path("kafka"))}
        self.assertEqual(names, {".log", ".index", ".timeindex"})
        done = self.run_firn("import", self.path("back"), self.path("kafka"))
        self.assertIn(b"1000 records imported", done.stderr)
        self.assertEqual(self.contents(self.path("back")), self.contents(self.log))
        done = self.run_firn("import", self.path("back"), self.path("kafka"), status=1)
        self.assertIn(b"the next index is 1000", done.stderr)
        done = self.run_firn("import", self.path("back"), self.path("none"), status=1)
        self.assertIn(b"none", done.stderr)

    def test_usage(self):
        for command in "copy", "import", "export":
            done = self.run_firn(command, self.log, status=2)
            self.assertIn(b"a log and a directory are needed", done.stderr)


if __name__ == "__main__":
    unittest.main()
