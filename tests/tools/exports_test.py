# SPDX-License-Identifier: MIT
"""Compares what the public headers declare with what the libraries export, and looks that
the objects call nothing of libc that their room must not."""

import argparse
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(os.environ["FIRN_SOURCE"])
DECLARATION = re.compile(r"\bFIRN_API\b[^;(]*?\b(\w+)\s*\(")

# A library does not print, nor end the program.
NOWHERE = """printf vprintf puts putchar perror exit _exit abort quick_exit system setlocale signal
sigaction atexit""".split()
# Storage and time are disk's business (and waiting base's).
SYSTEM = """open open64 openat openat64 creat close read pread pread64 readv preadv preadv64 preadv2
preadv64v2 write pwrite pwrite64 writev pwritev pwritev64 pwritev2 pwritev64v2 lseek lseek64 fsync
fdatasync sync_file_range fallocate fallocate64 posix_fallocate posix_fallocate64 truncate ftruncate
truncate64 ftruncate64 rename renameat unlink unlinkat remove mkdir mkdirat rmdir opendir readdir
readdir64 stat stat64 fstat fstat64 lstat lstat64 fstatat access link symlink readlink flock fcntl
fcntl64 mmap mmap64 munmap poll kill getpid time gettimeofday clock_gettime nanosleep
clock_nanosleep usleep sleep fopen fopen64 fdopen fclose fread fwrite fprintf eventfd syscall ioctl
statvfs statvfs64 getenv""".split()
SYSTEM_ROOMS = {"base", "disk", "faulty"}


def nm(*args):
    done = subprocess.run(["nm", *args], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()


def declared():
    """({functions of libfirn}, {functions of libfirn-faulty}) by the headers."""
    own, faulty = set(), set()
    for header in (ROOT / "include/firn").glob("*.h"):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
        text = re.sub(r"^\s*#.*", "", text, flags=re.M)
        names = set(DECLARATION.findall(text))
        if header.stem == "faulty":
            faulty |= names
        else:
            own |= names
    return own, faulty


def exported(library):
    """What the library offers to the linker, but for the names of its versions."""
    lines = [line.split() for line in nm("-D", "--defined-only", library)]
    return {fields[-1].split("@")[0] for fields in lines if fields[-2] != "A"}


def global_names(archive):
    """What a static library offers to the linker."""
    lines = [line.split() for line in nm("-g", "--defined-only", archive)]
    return {fields[2] for fields in lines if len(fields) == 3}


def compare(what, names, have):
    for name in sorted(names - have):
        yield f"{what}: {name} is declared and not exported"
    for name in sorted(have - names):
        yield f"{what}: {name} is exported and not declared"


def calls(objects):
    """(object, room, name) of each undefined symbol; objects are called <room>_<file>.c.o"""
    for line in nm("-A", "--undefined-only", objects):
        place, name = line.rsplit(None, 1)
        member = place.split(":")[-2] if ":" in place else place
        found = re.search(r"(\w+)_\w+\.c\.o", member)
        if found:
            yield member, member.split("_")[0].split("/")[-1], name.split("@")[0]


def forbidden_calls(objects):
    seen = 0
    for member, room, name in calls(objects):
        seen += 1
        if name in NOWHERE or (name in SYSTEM and room not in SYSTEM_ROOMS):
            yield f"{member} calls {name}"
    if seen == 0:
        yield f"{objects}: no calls found at all"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", required=True)
    parser.add_argument("--objects", required=True, nargs="+")
    parser.add_argument("--faulty", required=True)
    parser.add_argument("--archives", required=True, nargs=2)
    args = parser.parse_args()

    own, faulty = declared()
    found = list(compare("libfirn.so", own, exported(args.library)))
    found += compare("libfirn-faulty.so", faulty, exported(args.faulty))
    found += compare("libfirn.a", own, global_names(args.archives[0]))
    found += compare("libfirn-faulty.a", faulty, global_names(args.archives[1]))
    for objects in args.objects:
        found += forbidden_calls(objects)
    print(f"{len(own)} functions of libfirn, {len(faulty)} of libfirn-faulty")
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
