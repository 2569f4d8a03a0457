"""The program. As small as can be: a frozen copy starts here, and so does every process that it spawns."""

import sys


def main() -> int:
    """Run the command line."""
    if getattr(sys, "frozen", False):
        import multiprocessing

        multiprocessing.freeze_support()
    from appliance.cli.main import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
