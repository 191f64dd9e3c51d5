"""The list of rules that are known to fail."""

from pathlib import Path

from aioservicekit_model.rules import RULES

from .target import TargetError

__all__ = ["known_failing"]


def known_failing(path: Path) -> frozenset[str]:
    """The rules in a file: one per line, and `#` begins a comment.

    Raises:
        TargetError: the file can't be read, or names a rule that does not exist.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise TargetError(f"--known-failing {path}: {error}") from error
    known = frozenset(line.partition("#")[0].strip() for line in lines) - {""}
    if wrong := sorted(known - set(RULES)):
        raise TargetError(f"--known-failing {path}: there is no rule {wrong[0]!r}")
    return known
