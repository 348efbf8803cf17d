# SPDX-License-Identifier: MIT
"""Arguments, help and exit statuses."""

import re
import unittest

import support

SUBCOMMANDS = "append", "cat", "tail", "info", "verify", "truncate", "trim", "compact", \
    "repair", "cursor", "pipe"


class Usage(support.CommandTest):
    def refused(self, *arguments):
        """The call is wrong: status 2, nothing on standard output, one line that says so."""
        done = self.run_firn(*arguments, status=2)
        self.assertEqual(done.stdout, b"")
        text = done.stderr.decode()
        self.assertEqual(text.count("\n"), 1, text)
        self.assertIn("try 'firn help", text)
        return text

    def test_without_arguments_the_overview_is_an_error(self):
        done = self.run_firn(status=2)
        self.assertEqual(done.stdout, b"")
        self.assertIn(b"Usage: firn SUBCOMMAND", done.stderr)

    def test_overview(self):
        for arguments in ["help"], ["--help"], ["-h"], ["help", "help"], ["help", "--help"]:
            output = self.run_firn(*arguments).stdout.decode()
            for subcommand in SUBCOMMANDS:
                self.assertRegex(output, rf"(?m)^  {subcommand} ")

    def test_version(self):
        self.assertRegex(self.run_firn("--version").stdout, rb"^firn \d+\.\d+\.\d+\n$")

    def test_help_of_each_subcommand(self):
        for subcommand in SUBCOMMANDS:
            text = self.run_firn("help", subcommand).stdout
            self.assertIn(f"Usage: firn {subcommand} ".encode(), text)
            self.assertEqual(text, self.run_firn(subcommand, "--help").stdout)
            self.assertEqual(text, self.run_firn(subcommand, "-h").stdout)
            self.assertLessEqual(max(map(len, text.split(b"\n"))), 80)

    def test_unknown_subcommand(self):
        self.assertNotIn("did you mean", self.refused("frobnicate"))
        self.assertNotIn("did you mean", self.refused("x" * 1000))
        for typed, meant in [("apend", "append"), ("appned", "append"), ("at", "cat"),
                             ("inof", "info"), ("verfy", "verify"), ("truncat", "truncate"),
                             ("hlep", "help")]:
            self.assertIn(f"did you mean '{meant}'?", self.refused(typed))
            self.assertIn(f"did you mean '{meant}'?", self.refused("help", typed))

    def test_unknown_options(self):
        self.assertIn("--bogus", self.refused("--bogus"))
        for subcommand in SUBCOMMANDS:
            self.assertIn("--bogus: unknown", self.refused(subcommand, "--bogus", self.log))
            self.assertIn("-Z: unknown", self.refused(subcommand, "-Z", self.log))
            self.assertIn(f"'firn help {subcommand}'", self.refused(subcommand, "--bogus"))

    def test_operands(self):
        for subcommand in SUBCOMMANDS:
            self.refused(subcommand)
            self.refused(subcommand, self.log, "1", "2")
        self.refused("truncate", self.log)
        self.assertIn("one argument too many", self.refused("cat", self.log, "more"))
        self.assertIn("one argument too many", self.refused("help", "cat", "more"))

    def test_arguments_of_options(self):
        self.assertIn("needs INDEX", self.refused("cat", self.log, "--from"))
        self.assertIn("needs KIND", self.refused("append", self.log, "-d"))
        self.assertIn("takes no argument", self.refused("cat", self.log, "--reverse=yes"))
        for option, wrong in [("--delimiter", "comma"), ("--durability", "never"),
                              ("--key-separator", ""), ("--key-separator", "ab"),
                              ("--key-separator", "\\x"), ("--first-index", "-1"),
                              ("--first-index", "0x10"), ("--first-index", "1k"),
                              ("--expect-next", ""), ("--expect-next", "18446744073709551616"),
                              ("--segment-bytes", "many"), ("--segment-bytes", "1X"),
                              ("--segment-bytes", "1kiB2"), ("--segment-bytes", "-1"),
                              ("--segment-bytes", "99999999999T"), ("--record-bytes", "")]:
            text = self.refused("append", self.log, option, wrong)
            self.assertIn(f"{option}: '{wrong}': write ", text)
        self.assertIn("write raw or json", self.refused("cat", "--format", "xml", self.log))
        self.assertIn("'x' is no index", self.refused("truncate", self.log, "x"))
        self.refused("cat", "--from", "3", "--to", "2", self.log)

    def test_options_anywhere_and_cut_short(self):
        self.run_firn("append", self.log, "-q", "--delim", "nul", input=b"a\0b\0")
        done = self.run_firn("cat", self.log, "--count=1", "-d", "newline")
        self.assertEqual(done.stdout, b"a\n")

    def test_double_dash_ends_the_options(self):
        self.run_firn("append", "-q", "--", "-log", input=b"a\n", cwd=self.top)
        self.assertEqual(self.run_firn("cat", "--", "-log", cwd=self.top).stdout, b"a\n")
        self.assertEqual(self.run_firn("cat", "./-log", cwd=self.top).stdout, b"a\n")

    def test_sizes(self):
        for size in "65536", "64k", "64K", "64KiB", "64kB", "1m", "1MiB", "1MB", "1G", "65536B":
            self.run_firn("append", "--segment-bytes", size, self.log)

    def test_messages_begin_alike(self):
        for arguments in ["cat", "--bogus"], ["info", self.log], ["verify", self.log]:
            messages = self.run_firn(*arguments, status=2 if "--bogus" in arguments else 1).stderr
            self.assertTrue(re.match(rb"firn [a-z]+: ", messages), messages)


if __name__ == "__main__":
    unittest.main()
