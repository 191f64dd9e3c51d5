"""The checkout's own modules can be imported; at the end of the path, for what is installed comes first."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
