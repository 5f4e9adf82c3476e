"""Print the README's commands, one a line: the `sh` blocks that begin with `pip install`."""

import re
import sys
from pathlib import Path

readme = Path(__file__).parents[1] / "README.md"
commands = [
    block.strip().replace("\n", " ")
    for block in re.findall(r"^```sh\n(.*?)^```", readme.read_text(encoding="utf-8"), flags=re.M | re.S)
    if block.startswith("pip install")
]
if len(commands) != 2:
    sys.exit(f"README.md has {len(commands)} sh blocks that begin with 'pip install', not two: {commands}")
print("\n".join(commands))
