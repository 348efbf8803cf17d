# SPDX-License-Identifier: MIT
"""Installs the build into a temporary directory, and compiles and runs a consumer in C and in C++
against it, with what pkg-config says: shared and static."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(os.environ["FIRN_SOURCE"])
BUILD = pathlib.Path(os.environ["FIRN_BUILD"])
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
LANGUAGES = {"C": ["gcc", "-std=c17"], "C++": ["g++", "-std=c++17", "-x", "c++"]}


def run(command, **options):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if done.returncode != 0:
        raise SystemExit(f"failed: {' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


class Installed:
    """The build, installed below `root`."""

    def __init__(self, root):
        run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", root])
        self.pc_dir = next(root.rglob("firn.pc")).parent
        self.lib_dir = self.pc_dir.parent
        prefix = re.search(r"^prefix=/*(.*)$", (self.pc_dir / "firn.pc").read_text(), re.M)[1]
        self.prefix = root / prefix

    def flags(self, package, *options):
        env = {**os.environ, "PKG_CONFIG_PATH": str(self.pc_dir)}
        return run(["pkg-config", f"--define-variable=prefix={self.prefix}", "--cflags", "--libs",
                    *options, package], env=env).split()

    def consume(self, package, language, link):
        """Compiles the consumer and runs it. A static one is run where no shared firn is found.
        (Debian has ISA-L as a shared library only.)"""
        static = link == "static"
        program = self.prefix / f"consumer-{package}-{link}-{len(language)}"
        flags = self.flags(package)
        if static:
            flags = [re.sub("^-l(firn.*)", r"-l:lib\1.a", flag)
                     for flag in self.flags(package, "--static")]
        defines = ["-DWITH_FAULTY"] if package == "firn-faulty" else []
        run([*LANGUAGES[language], *WARNINGS, *defines, SOURCE / "tests/install/consumer.c",
             "-x", "none", "-o", program, *flags])
        env = {} if static else {"LD_LIBRARY_PATH": str(self.lib_dir)}
        run([program], env=env)
        print(f"{package}, {language}, {link}: {' '.join(flags)}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        installed = Installed(pathlib.Path(folder))
        packages = sorted(path.stem for path in installed.pc_dir.glob("*.pc"))
        for package in packages:
            for language in LANGUAGES:
                for link in "shared", "static":
                    installed.consume(package, language, link)
        command = installed.prefix / "bin/firn"
        if command.exists():
            print(run([command, "--version"], env={}))


if __name__ == "__main__":
    sys.exit(main())
