"""Make the checkout's modules importable, at the end of the path, so that installed packages come first."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
