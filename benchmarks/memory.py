"""How much memory a process holds, and how much it held at most.

On Linux the kernel's peak (`VmHWM`) can be set back to the present size by writing 5 into `/proc/self/clear_refs`;
then it is the peak of what follows alone. Elsewhere there is only the peak since the process began (`ru_maxrss`), which
importing a framework may have raised already: the rise is then a lower bound, and the tables say so.
"""

from __future__ import annotations

import sys
from pathlib import Path

PROCESS = Path("/proc/self")


def status(name: str) -> int:
    """A size in `/proc/self/status`, in bytes."""
    lines = (PROCESS / "status").read_text(encoding="utf-8").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def largest() -> int:
    """The largest size since the process began, in bytes."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class Peak:
    """From now on: how far does the process grow?

    Attributes:
        how: `"VmHWM"`, or `"ru_maxrss"` where the peak cannot be set back.
    """

    def __init__(self) -> None:
        try:
            (PROCESS / "clear_refs").write_text("5", encoding="utf-8")
            self.how, self.before = "VmHWM", status("VmRSS")
        except OSError:
            self.how, self.before = "ru_maxrss", largest()

    def rise(self) -> int:
        """Bytes between the size at the beginning and the largest one since."""
        return (status("VmHWM") if self.how == "VmHWM" else largest()) - self.before
