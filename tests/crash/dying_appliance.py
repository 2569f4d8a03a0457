"""The appliance as ``dash-appliance`` starts it, but it is killed the moment it logs the event that DIE_AT names.

So a test can end it between any two steps that it tells about, without knowing how it works inside.
"""

import os
import signal
import sys
from typing import TextIO

from appliance.cli.main import run
from tests.licensed import RING


class Fuse:
    """Standard error, until a line holds ``fatal``."""

    def __init__(self, stream: TextIO, fatal: str) -> None:
        self._stream, self._fatal = stream, fatal

    def write(self, text: str) -> int:
        written = self._stream.write(text)
        if self._fatal and f'"{self._fatal}"' in text:
            self._stream.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return written

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return False


if __name__ == "__main__":
    sys.stderr = Fuse(sys.stderr, os.environ.get("DIE_AT", ""))  # type: ignore[assignment]
    sys.exit(run(sys.argv[1:], ring=RING))
