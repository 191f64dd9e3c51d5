"""`python -m aioservicekit_conformance`, and the console script of the same purpose."""

import gc
import sys

__all__ = ["main"]


def main() -> int:
    """Run the command, if the libraries that it needs are installed; returns its exit status."""
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
    gc.freeze()  # or the interpreter, on its way out, would look for garbage in all that the checker remembers
    return status


if __name__ == "__main__":
    sys.exit(main())
