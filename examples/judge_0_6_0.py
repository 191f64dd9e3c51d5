"""Judge the channels of PyPI's aioservicekit 0.6.0, which this project did not write.

Fetches that release with pip, renames its package, since the names clash, and runs the conformance command on it.
Passes its arguments on to the command. Exits with the command's status: 1, since 0.6.0 does not keep all rules.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

RELEASE = "aioservicekit==0.6.0"
PACKAGE = "aioservicekit_0_6_0"

# The release keeps endpoints in sets, which iterate in the order of addresses. Without numbers, the same seed would give another
# order in each run.
NUMBERED = """
from itertools import count as _count
for _class in (_ChannelSubscriber, _ChannelPublisher):
    _class.__hash__ = lambda self, _numbers=_count(): self.__dict__.setdefault("_number", next(_numbers))
"""


def fetch(directory: Path) -> str:
    """Put the release into a directory, with its package renamed; return the target's name."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(directory), RELEASE]
    subprocess.run(pip, check=True, stdout=sys.stderr)
    (wheel,) = directory.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            package, _, module = name.partition("/")
            if package == "aioservicekit" and module.endswith(".py"):
                source = archive.read(name).decode().replace("from aioservicekit.", f"from {PACKAGE}.")
                source += NUMBERED if module == "channels.py" else ""
                (directory / PACKAGE).mkdir(exist_ok=True)
                (directory / PACKAGE / module).write_text(source, encoding="utf-8")
    return f"{PACKAGE}.channels"


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as name:
        target = fetch(Path(name))
        command = [sys.executable, "-m", "aioservicekit_conformance", target, *arguments]
        return subprocess.run(command, cwd=name, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
