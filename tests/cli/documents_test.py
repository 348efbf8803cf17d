# SPDX-License-Identifier: MIT
"""The manual, the completion and --help know the same subcommands and options."""

import os
import pathlib
import re
import shutil
import subprocess
import unittest

import support

SOURCE = pathlib.Path(os.environ["FIRN_SOURCE"])


class Documents(support.CommandTest):
    def subcommands(self):
        overview = self.run_firn("help").stdout.decode()
        return set(re.findall(r"(?m)^  ([a-z]+) ", overview))

    def options(self, subcommand):
        """Pairs of a letter, perhaps empty, and a name."""
        text = self.run_firn("help", subcommand).stdout.decode()
        return set(re.findall(r"(?m)^  (?:-(\w), |    )--([a-z-]+)", text))

    def complete(self, *words):
        """What the completion offers for the last word."""
        script = (f"source {SOURCE}/completions/firn.bash\n"
                  'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _firn; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        if not shutil.which("bash"):
            self.skipTest("no bash here")
        done = subprocess.run(["bash", "--norc", "-c", script, "bash", *words], check=True,
                              cwd=self.top, stdout=subprocess.PIPE, timeout=support.TIMEOUT)
        return set(done.stdout.decode().split())

    def test_each_subcommand_has_a_page_with_its_options(self):
        overview = (SOURCE / "man/firn.1.scd").read_text()
        pages = {page.name for page in (SOURCE / "man").glob("firn*.1.scd")}
        wanted = {f"firn-{name}.1.scd" for name in self.subcommands() - {"help"}}
        self.assertEqual(pages, wanted | {"firn.1.scd"})
        for subcommand in self.subcommands() - {"help"}:
            self.assertIn(f"*firn-{subcommand}*(1)", overview)
            page = (SOURCE / f"man/firn-{subcommand}.1.scd").read_text()
            named = set(re.findall(r"(?m)^(?:\*-(\w)\*, )?\*--([a-z-]+)\*", page))
            self.assertEqual(named, self.options(subcommand))

    def test_the_build_installs_each_page(self):
        build = (SOURCE / "man/meson.build").read_text()
        for page in (SOURCE / "man").glob("*.scd"):
            self.assertIn(f"'{page.stem}'", build)

    def test_completion_of_subcommands_and_options(self):
        self.assertEqual(self.complete("firn", ""), self.subcommands() | {"--help", "--version"})
        self.assertEqual(self.complete("firn", "help", "ca"), {"cat"})
        for subcommand in self.subcommands() - {"help"}:
            names = {f"--{name}" for _, name in self.options(subcommand)}
            self.assertEqual(self.complete("firn", subcommand, "-"), names)

    def test_completion_of_arguments(self):
        os.mkdir(os.path.join(self.top, "events"))
        self.assertEqual(self.complete("firn", "cat", "ev"), {"events"})
        self.assertEqual(self.complete("firn", "append", "-n", "ev"), {"events"})
        self.assertEqual(self.complete("firn", "cat", "-n", "ev"), set())
        self.assertEqual(self.complete("firn", "append", "-d", "n"), {"newline", "nul"})
        self.assertEqual(self.complete("firn", "cat", "--format", "=", "j"), {"json"})
        with open(os.path.join(self.top, "cells"), "wb"):
            self.assertEqual(self.complete("firn", "pipe", ""), {"info", "read", "write", "verify"})
            self.assertEqual(self.complete("firn", "pipe", "read", "ce"), {"cells"})
            self.assertEqual(self.complete("firn", "pipe", "write", "-c", "ce"), {"cells"})
            self.assertEqual(self.complete("firn", "pipe", "write", "-n", "ce"), set())
        for name in "main.0001-12", "main.0002-12", "old.0009-13", "main.lock":
            with open(os.path.join(self.top, "events", name), "wb"):
                pass
        self.assertEqual(self.complete("firn", "stream", "c"), {"cat"})
        self.assertEqual(self.complete("firn", "stream", "trim", "-b", "ev"), {"events"})
        self.assertEqual(self.complete("firn", "stream", "cat", "events", ""), {"main", "old"})


if __name__ == "__main__":
    unittest.main()
