"""`python -m aioservicekit_conformance`, and the console script of the same name."""

import gc
import os
import sys
import threading

__all__ = ["main"]


def main() -> int:
    """Run the command, if the libraries that it needs are installed; return its exit status."""
    try:
        from .cli import main as command
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("hypothesis", "rich"):
            raise
        print(
            f"aioservicekit-conformance: {error.name} is not installed; install aioservicekit with its extra 'conformance'",
            file=sys.stderr,
        )
        return 2
    status = command()
    gc.freeze()  # otherwise the interpreter would search the checker's large caches for garbage on its way out
    if any(not each.daemon for each in threading.enumerate() if each is not threading.current_thread()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # the interpreter would wait for a target's thread, which may never end
    return status


if __name__ == "__main__":
    sys.exit(main())
