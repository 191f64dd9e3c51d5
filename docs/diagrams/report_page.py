"""Take the picture of a report's page: `python docs/diagrams/report_page.py` makes `specs/report.png`. It needs Chromium and anyio.

The page is a real one, on the two channels of `examples/targets`. All rules but two are hidden, so that a failure fits the picture.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "specs" / "report.png"
TARGETS = ("anyio_streams", "asyncio_queues")

FAILURE = "CH-3.8--1"  # how the page names the cell of a rule and a target
WIDTH = 860

SHOWN = f"""
<style>
  h1, .about, .targets, .filter, details, tbody tr, h3:last-of-type, h3:last-of-type ~ * {{ display: none }}
  tr:has(button[aria-controls="CH-3.7--1"]), tr:has(button[aria-controls="{FAILURE}"]), tr[id="{FAILURE}"] {{ display: table-row }}
</style>
<script>document.title = "height " + Math.ceil(document.documentElement.getBoundingClientRect().height)</script>
"""


def chromium(page: Path, *options: str) -> str:
    """Open a page at the failure, and return what Chromium prints."""
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *options]
    done = subprocess.run([*command, f"{page.as_uri()}#{FAILURE}"], capture_output=True, text=True, check=True)
    return done.stdout


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        page = Path(name, "report.html")
        path = os.pathsep.join([str(ROOT / "examples" / "targets"), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}
        command = [sys.executable, "-m", "aioservicekit_conformance", *TARGETS, "--html", page.name]
        subprocess.run(command, cwd=name, env=environment, check=False, stdout=sys.stderr)
        page.write_text(page.read_text("utf-8").replace("</body>", f"{SHOWN}</body>"), "utf-8")
        height = re.search(r"<title>height (\d+)", chromium(page, f"--window-size={WIDTH},600", "--dump-dom"))
        assert height, "the page has no height"
        chromium(page, f"--window-size={WIDTH},{height[1]}", f"--screenshot={PICTURE}")


if __name__ == "__main__":
    main()
