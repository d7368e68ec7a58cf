"""Finishes a folder that Lambda is going to run: python3.13 finish.py FOLDER WHERE_LAMBDA_HAS_IT.

The zips' makefiles and the image's Dockerfile all call this, so that there is one way. Lambda's disk is read-only, and
a start without bytecode compiles everything each time; so it is compiled here, by the very version that runs it. What
a build leaves depends on its inputs alone, so that an unchanged folder is not uploaded again: bytecode names hashes of
sources instead of times, and no path of the machine that built it.
"""

import compileall
import os
import shutil
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

RUNTIME = (3, 13)  # as `Runtime` in template.yaml
LONG_AGO = 315_619_200
"""1980-01-02 in seconds since 1970: a zip knows no earlier time."""


def main() -> int:
    """Finish the folder and return the exit status."""
    if sys.version_info[:2] != RUNTIME:
        sys.stderr.write(f"finish.py compiles for Python {RUNTIME[0]}.{RUNTIME[1]}, and this is {sys.version}\n")
        return 2
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets in bytecode depends on it
        again = [sys.executable, *sys.argv]
        os.execve(sys.executable, again, {**os.environ, "PYTHONHASHSEED": "0"})  # noqa: S606  # nosec B606
    folder, prefix = Path(sys.argv[1]).resolve(), sys.argv[2]
    shutil.rmtree(
        folder / "bin", ignore_errors=True
    )  # commands, whose first lines name the interpreter that built them
    for cache in sorted(folder.rglob("__pycache__")):
        shutil.rmtree(cache)
    mode = PycInvalidationMode.UNCHECKED_HASH
    is_compiled = compileall.compile_dir(
        folder, maxlevels=99, quiet=1, stripdir=folder, prependdir=prefix, invalidation_mode=mode
    )
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (LONG_AGO, LONG_AGO))
    return 0 if is_compiled else 1


if __name__ == "__main__":
    sys.exit(main())
