"""The command `fastnet` as a process: it runs this project's package only, and ends as commands do."""

import os
import sys

from .distribution import conflict

_INTERRUPTED, _BROKEN_PIPE = 130, 141  # 128 and the signal's number, as shells have it


def main() -> int:
    """Run `fastnet.cli`; returns the exit status."""
    fault = conflict()
    if fault is not None:
        print(f"fastnet: {fault}", file=sys.stderr)
        return 1
    try:
        from fastnet.cli import main as run

        status = run()
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("fastnet: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:  # who read the output has seen enough, as `head` has
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())  # what Python still wants to write there as it ends
        return _BROKEN_PIPE
