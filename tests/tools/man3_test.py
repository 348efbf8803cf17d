# SPDX-License-Identifier: MIT
"""Every public function has a page of the manual with its prototype and what its header says, and
the pages are good roff, as far as a formatter that is there can tell."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(os.environ["FIRN_SOURCE"])
DECLARATION = re.compile(r"\bFIRN_API\b[^;(]*?\b(\w+)\s*\(")


def declared():
    names = set()
    for header in (ROOT / "include/firn").glob("*.h"):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
        names |= set(DECLARATION.findall(re.sub(r"^\s*#.*", "", text, flags=re.M)))
    return names


def page_findings(name, page):
    text = page.read_text().replace("\\-", "-")
    for section in "NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO":
        if f".SH {section}\n" not in text:
            yield f"{page.name}: no section {section}"
    if f"{name}(" not in text:
        yield f"{page.name}: no prototype"
    description = text.split(".SH DESCRIPTION\n")[-1].split(".SH")[0]
    if len(description.split()) < 3:
        yield f"{page.name}: says nothing"


def roff_findings(pages):
    if not shutil.which("mandoc"):
        print("no mandoc: how the pages look was not checked")
        return
    done = subprocess.run(["mandoc", "-Tlint", "-Wwarning", *pages], stdout=subprocess.PIPE,
                          text=True)
    for line in done.stdout.splitlines():
        if "missing date" not in line:  # on purpose: the same source gives the same pages
            yield line


def main():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, ROOT / "tools/man3", folder, "0"], check=True)
        pages = {page.stem: page for page in pathlib.Path(folder).glob("*.3")}
        names = declared()
        found = [f"{name}: no page" for name in sorted(names - set(pages))]
        for name in sorted(names & set(pages)):
            found += page_findings(name, pages[name])
        found += roff_findings(list(pages.values()))
    print(f"{len(names)} functions")
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
