"""The program. As small as can be: a frozen copy starts here, and so does every process that it spawns."""

import os
import sys


def main(ring: object = None) -> int:
    """Run the command line and return its exit code; after work with DuckDB, end the process with it.

    ``ring``: as of ``appliance.cli.main.run``; only code can give one.
    """
    if getattr(sys, "frozen", False):
        import multiprocessing

        multiprocessing.freeze_support()
    from appliance.cli.main import run

    code = run(sys.argv[1:], ring=ring)
    if "_duckdb" in sys.modules:
        _end(code)
    return code


def _end(code: int) -> None:
    """End without taking the interpreter apart: everything is closed, and DuckDB's binding would list what it leaks."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
