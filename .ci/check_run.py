"""Look at what `tinygrad-cnn train lenet5` left behind: everything promised is there, and it learned the digits."""

import json
import sys
import xml.dom.minidom
from pathlib import Path

run = max(Path("runs").glob("lenet5-digits*"), key=lambda path: path.stat().st_mtime)
history = json.loads((run / "history.json").read_text(encoding="utf-8"))
accuracy = history["epochs"][-1]["val_accuracy"]
seconds = sum(epoch["seconds"] for epoch in history["epochs"])
problems = [] if accuracy >= 0.98 else [f"test accuracy {accuracy:.4f} is below 0.98"]
seconds_promised = 60
if seconds > seconds_promised:
    print(f"NOTE: {seconds:.0f} s of training is more than the {seconds_promised} s promised for two free cores")
for name in ("report.html", "config.json"):
    if not (run / name).exists():
        problems.append(f"{name} is missing")
for name in ("learning_curves.png", "confusion_matrix.png", "filters.png"):
    data = (run / name).read_bytes() if (run / name).exists() else b""
    if not data.startswith(b"\x89PNG") or len(data) < 4096:
        problems.append(f"{name} is missing or empty")
replay = (run / "replay.html").read_bytes() if (run / "replay.html").exists() else b""
if not 100_000 < len(replay) < 2_000_000 or b"Backpropagation through LeNet5" not in replay:
    problems.append(f"replay.html has {len(replay):,} bytes, or shows no LeNet-5")
xml.dom.minidom.parse(str(run / "graph.svg"))
if not list(run.glob("**/model.safetensors")):
    problems.append("there is no checkpoint")
print(f"{run}: test accuracy {accuracy:.2%} after {len(history['epochs'])} epochs, {seconds:.1f} s of training")
sys.exit("\n".join(problems) or 0)
