"""Measurements: speed, memory, and how much there is to read.

`python -m benchmarks` measures this package beside others and writes `RESULTS.md`; see `__main__.py`.

| file | what it holds |
|---|---|
| `bench_training.py`, `bench_layers.py`, `bench_memory.py`, | |
| `bench_scaling.py`, `bench_overhead.py` | what is measured |
| `sides/` | who is measured: this package, PyTorch, MyGrad, tinygrad, autograd |
| `networks.py` | the networks, as lists of layers that every side can build |
| `harness.py`, `worker.py` | the stopwatch, and the process of a side |
| `machine.py`, `memory.py` | what it is measured on, and how memory is |
| `topics.py` | what a topic is, how it is run and kept in `results/` |
| `figures.py`, `goals.py`, `tables.py`, `report.py` | from the figures to RESULTS.md |
| `cifar10.py` | the training of the scaled AlexNet, out of its run directory |

By themselves, `python -m benchmarks.transfer` and so on: `core_lines.py`, `ensemble.py`, `exercises.py`,
`recording.py`, `transfer.py`.
"""
