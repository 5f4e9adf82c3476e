"""The dashboard in a browser: a callback that shows training while it runs, and takes "pause" and "stop"."""

from __future__ import annotations

import base64
import json
import math
import threading
import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.about import TinygradCnnWarning
from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.storage import host
from tinygrad_cnn.training import Callback, Run
from tinygrad_cnn.training.timing import Budget
from tinygrad_cnn.viz.dashboard import look
from tinygrad_cnn.viz.dashboard.memory import Memory

if TYPE_CHECKING:
    from tinygrad_cnn.viz.dashboard.server import Server

EVERY = 0.5  # seconds between two looks
SHARE = 0.03  # of the training time, at most, for looking
HANDFUL = 10  # images
BARS = 10  # classes whose shares are all shown; of more, the TOP largest
TOP = 5
WATCHED = 3.0  # seconds after which nobody seems to look at the page any more
FAREWELL = 3.0  # seconds a page has to fetch the end: one that lost us for a moment asks again after two
GRACE = 0.3  # and then for the pictures


class Dashboard(Callback):
    """Show training in a browser while it runs: http://127.0.0.1:<port>/, for this machine only.

    The page shows loss and metric, learning rate and speed, the first layer's filters, what every layer makes of an
    image, what the network says about a handful of images, how large weights and gradients are, and how each class
    is doing. It has buttons for pausing and stopping. As long as nobody looks, nothing is computed; otherwise it takes
    at most 3 % of the time. Training gives the same numbers, bit for bit, with it and without.

    Args:
        port: Where the page is served; 0 takes any free port. The address is printed.
        images: (N, 1, H, W) or (N, 3, H, W) images to look at, of which the first ten are taken; one image needs no N.
            Without them the first training images are taken.
        labels: (N) their classes.
        classes: The names of the classes; without them their numbers.
        validation: What the page calls the data behind the `val_` numbers.
        open_browser: Also open the page.

    Attributes:
        url: The page's address; None while it is not served.

    Raises:
        ShapeError: If the images are none, or the labels are not as many.
        ValueError: If the port is none.
        OSError: If the port is in use, when training begins.
    """

    def __init__(
        self,
        port: int = 0,
        images: Any = None,
        labels: Any = None,
        classes: Sequence[str] | None = None,
        validation: str = "validation",
        open_browser: bool = False,
    ) -> None:
        if not isinstance(port, int) or not 0 <= port <= 65535:
            raise ValueError(f"Dashboard: port={port!r} must be a whole number from 0 (any free port) to 65535")
        self.port = port
        self.classes = None if classes is None else [str(name) for name in classes]
        self.validation = validation
        self.open_browser = open_browser
        self._images: np.ndarray | None = None
        self._labels: np.ndarray | None = None
        self._given = images is not None
        if self._given:
            self._images, self._labels = _examples(images, labels)
        self._server: Server | None = None
        self._looked_at = self._shown = 0
        self._asked = -math.inf
        self._reset()

    def _reset(self) -> None:
        self._run: Run | None = None
        self._memory = Memory()
        self._budget = Budget(EVERY, SHARE)
        self._looking = True
        self._version = 0
        self._state, self._pictures = b"null", b"[]"
        self._outcome: dict[str, Any] = {"state": "waiting", "reason": None}
        self._fetched_end = math.inf
        self._started = time.perf_counter()

    @property
    def url(self) -> str | None:
        return None if self._server is None else self._server.url

    def start(self) -> str:
        """Serve the page, if it is not served yet; `fit` does so by itself. Returns the address."""
        if self._server is None:
            from tinygrad_cnn.viz.dashboard.server import Server

            self._server = Server(self.port, self._answer, self._obey)
            print(f"dashboard: {self._server.url}", flush=True)
            if self.open_browser:
                import webbrowser

                threading.Thread(target=webbrowser.open, args=(self._server.url,), daemon=True).start()
        return self._server.url

    def close(self) -> None:
        """Serve the page no longer; `fit` does so by itself when it ends. An open page keeps what it shows."""
        if self._server is not None:
            self._server.close()
            self._server = None

    # ---- what `fit` calls
    def on_train_begin(self, run: Run) -> None:
        self._reset()
        self._run = run
        if not self._given:
            self._images = self._labels = None
        self.start()

    def on_epoch_begin(self, run: Run) -> None:
        self._outcome = {"state": "running", "reason": None}
        self._memory.begin(run)

    def on_batch_end(self, run: Run) -> None:
        self._memory.batch(run)
        if self._images is None and run.last_batch is not None and look.are_images(run.last_batch.x):
            self._images = run.last_batch.x.numpy()[:HANDFUL].copy()
            self._labels = run.last_batch.y.numpy()[:HANDFUL].copy()
        if self._budget.due() and (self._version == 0 or self._is_watched()):
            self._look(run)

    def on_wait(self, run: Run) -> None:
        if self._looked_at != self._shown:
            self._look(run)

    def on_epoch_end(self, run: Run) -> None:
        self._memory.epoch(run)

    def on_train_end(self, run: Run) -> None:
        try:
            if run.step:
                self._look(run)
            self._outcome = {"state": run.outcome, "reason": run.stop_reason}
            until = time.monotonic() + FAREWELL
            while time.monotonic() < min(until, self._fetched_end + GRACE) and self._is_watched():
                time.sleep(0.02)
        finally:
            self.close()
            self._run = None

    def _is_watched(self) -> bool:
        return time.monotonic() - self._asked < WATCHED

    # ---- looking, in the training's thread
    def _look(self, run: Run) -> None:
        with self._budget.spending():
            state = self._numbers(run)
            if self._looking:
                try:
                    state |= self._sights(run)
                except Exception as error:  # whatever it is, the training is worth more than its pictures
                    self._looking = False
                    text = f"dashboard: no more pictures of the network, only curves: {type(error).__name__}: {error}"
                    warnings.warn(text, TinygradCnnWarning, stacklevel=2)
            self._version += 1
            self._state = _json({"version": self._version, **state})

    def _numbers(self, run: Run) -> dict[str, Any]:
        record = self._memory
        names = ("step", "loss", "smooth", "metric", "lr")
        return {
            "model": type(run.model).__name__,
            "parameters": run.model.num_parameters(),
            "epoch": run.epoch,
            "epochs": run.epochs,
            "batch": run.batch,
            "batches": run.batches,
            "step": run.step,
            "lr": run.lr,
            "speed": run.images_per_second,
            "seconds": time.perf_counter() - self._started,
            "seconds_left": run.seconds_left,
            "metric": record.metric,
            "validation": self.validation,
            "curves": {name: [_short(v) for v in record.curves.column(i)] for i, name in enumerate(names)},
            "finished": [{k: v for k, v in e.items() if isinstance(v, int | float)} for e in record.epochs],
            "classes": [
                {"name": self._named(c), "share": right / total if total else None}
                for c, (right, total) in enumerate(zip(record.right.tolist(), record.total.tolist()))
            ],
        }

    def _sights(self, run: Run) -> dict[str, Any]:
        sights: dict[str, Any] = {
            "filters": _tiles(look.filters(run.model)),
            "sizes": [{"name": s.name, "weight": s.weight, "gradient": s.gradient} for s in look.sizes(run.model)],
        }
        if self._images is None:
            return sights
        if self._pictures == b"[]":
            shown = [look.picture(image) for image in self._images]
            self._pictures = _json([_tiles([picture]) for picture in shown])
        self._shown = index = min(self._looked_at, len(self._images) - 1)
        seen = look.run(run.model, self._images, index)
        sights["image"] = index
        sights["skipped"] = seen.skipped
        sights["layers"] = [
            {"name": a.name, "kind": a.kind, "shape": a.shape, "low": a.low, "high": a.high, **_tiles(a.tiles)}
            for a in seen.layers
        ]
        if seen.scores is not None:
            sights["predictions"] = [self._prediction(i, shares) for i, shares in enumerate(seen.scores)]
        return sights

    def _prediction(self, i: int, shares: np.ndarray) -> dict[str, Any]:
        order = range(len(shares)) if len(shares) <= BARS else np.argsort(-shares, kind="stable")[:TOP].tolist()
        guess = int(shares.argmax())
        label = None
        if self._labels is not None and self._labels.ndim == 1 and self._labels.dtype.kind in "iu":
            label = int(self._labels[i])
        return {
            "bars": [[self._named(c), round(float(shares[c]), 4), c == guess] for c in order],
            "guess": self._named(guess),
            "label": None if label is None else self._named(label),
            "right": None if label is None else guess == label,
        }

    def _named(self, number: int) -> str:
        known = self.classes is not None and number < len(self.classes)
        return self.classes[number] if known else str(number)  # type: ignore[index]

    # ---- answering, in the server's threads: they read and set whole values, and never touch the network
    def _answer(self, path: str, query: str) -> bytes | None:
        if path == "/pictures":
            return self._pictures
        if path != "/state":
            return None
        self._asked = now = time.monotonic()
        run, outcome = self._run, self._outcome
        if run is not None and run.paused and outcome["state"] == "running":
            outcome = {**outcome, "state": "paused"}
        news = query != f"seen={self._version}"
        if outcome["state"] not in ("waiting", "running", "paused"):
            self._fetched_end = min(self._fetched_end, now)
        return b'{"status": %s, "news": %s}' % (_json(outcome), self._state if news else b"null")

    def _obey(self, command: dict[str, Any]) -> str | None:
        run, action = self._run, command.get("do")
        if run is None or run.outcome != "running":
            return "there is no training going on"
        if action in ("pause", "resume"):
            run.paused = action == "pause"
        elif action == "stop":
            run.stop("Stop was pressed on the dashboard")
        elif action == "look" and isinstance(command.get("image"), int) and self._images is not None:
            self._looked_at = min(max(command["image"], 0), len(self._images) - 1)
        else:
            return "the commands are pause, resume, stop and look"
        return None


def _examples(images: Any, labels: Any) -> tuple[np.ndarray, np.ndarray | None]:
    x = host(images)
    x = x[None] if x.ndim == 3 else x
    if not look.are_images(x):
        raise ShapeError(f"Dashboard: images must be (N, 1, H, W) or (N, 3, H, W), not {x.shape}")
    y = None
    if labels is not None:
        y = host(labels).reshape(-1)
        if len(y) != len(x):
            raise ShapeError(f"Dashboard: {len(y)} labels for {len(x)} images; give one for each")
        y = y[:HANDFUL]
    return x[:HANDFUL], y


def _tiles(tiles: list[np.ndarray]) -> dict[str, Any]:
    """Pictures of one size for the page: their bytes in Base64."""
    if not tiles:
        return {"tiles": []}
    H, W, *colours = tiles[0].shape
    bits = [base64.b64encode(np.ascontiguousarray(tile).tobytes()).decode() for tile in tiles]
    return {"height": H, "width": W, "colours": 3 if colours else 1, "tiles": bits}


def _short(value: float) -> float:
    """Five digits are enough for a curve, and half as many bytes."""
    return float(f"{value:.5g}")


def _json(value: Any) -> bytes:
    return json.dumps(_finite(value), allow_nan=False, separators=(",", ":")).encode()


def _finite(value: Any) -> Any:
    """JSON has neither NaN nor infinity: null stands for them."""
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if hasattr(value, "item"):  # a NumPy number
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
