# SPDX-License-Identifier: MIT
"""firn compact and firn repair."""

import os
import unittest

import support


class Compact(support.CommandTest):
    def setUp(self):
        super().setUp()
        self.append(*[b"key%d=%0100d" % (index % 10, index) for index in range(200)],
                    arguments=["--segment-bytes", "1000", "--key-separator", "=",
                               "--durability", "each"])

    def compact(self, *arguments, status=0):
        return self.run_firn("compact", *arguments, self.log, status=status).stderr.decode()

    def test_last_of_each_key(self):
        before = self.info()
        text = self.compact()
        self.assertRegex(text, r"\d+ records removed, \d+ segments written anew, .* freed")
        values = [int(value) for value in self.values()]
        self.assertEqual(values, sorted(set(values)))
        self.assertEqual(values[-10:], list(range(190, 200)))
        self.assertLess(len(values), 40)
        after = self.info()
        self.assertEqual((before["lowest_index"], before["next_index"]),
                         (after["lowest_index"], after["next_index"]))
        self.assertLess(after["bytes"], before["bytes"])
        self.run_firn("verify", self.log)
        self.assertIn("0 records removed", self.compact("--memory", "1k"))
        self.assertEqual(self.compact("--quiet"), "")

    def test_wrong_calls(self):
        self.assertIn("no log named", self.run_firn("compact", status=2).stderr.decode())
        self.assertIn("90s, 12h, 7d", self.compact("--keep-deleted=x", status=2))
        self.run_firn("compact", os.path.join(self.top, "none"), status=1)


class Repair(support.CommandTest):
    def setUp(self):
        super().setUp()
        self.append(*[b"%0100d" % index for index in range(100)],
                    arguments=["--segment-bytes", "1000", "--durability", "each"])

    def repair(self, *arguments, status=0):
        return self.run_firn("repair", *arguments, self.log, status=status)

    def damage(self):
        stores = sorted(name for name in os.listdir(self.log) if name.endswith(".log"))
        path = os.path.join(self.log, stores[3])
        with open(path, "r+b") as file:
            file.seek(200)
            byte = file.read(1)
            file.seek(200)
            file.write(bytes([byte[0] ^ 4]))

    def test_damage_is_closed(self):
        self.damage()
        found = self.run_firn("verify", "--quiet", self.log, status=1).stdout
        self.assertEqual(self.repair("--dry-run", status=1).stdout, found)
        self.run_firn("verify", self.log, status=1)
        done = self.repair()
        self.assertEqual(done.stdout, found)
        self.assertRegex(done.stderr.decode(), r"1 damaged range closed, \d+ records? lost")
        self.run_firn("verify", self.log)
        self.assertGreater(len(self.values()), 80)
        copies = [name for name in os.listdir(self.log) if name.startswith("damaged-")]
        self.assertEqual(len(copies), 1)
        self.assertGreater(os.path.getsize(os.path.join(self.log, copies[0])), 60)
        self.append(b"more")
        self.assertEqual(self.values()[-1], b"more")
        self.assertIn("nothing to repair", self.repair().stderr.decode())

    def test_nothing_to_do(self):
        self.assertIn("nothing to repair", self.repair().stderr.decode())
        self.assertEqual(self.repair("--dry-run").stdout, b"")
        self.assertEqual(self.repair("--quiet").stderr, b"")
        self.run_firn("repair", os.path.join(self.top, "none"), status=1)
        self.run_firn("repair", status=2)


if __name__ == "__main__":
    unittest.main()
