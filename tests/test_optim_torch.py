"""Each optimizer with each option against PyTorch over many random steps."""

import itertools

import numpy as np
import pytest

from tinygrad_cnn import nn, optim

pytestmark = pytest.mark.torch


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="NOT CHECKED AGAINST PYTORCH: pip install torch==2.13.0")


def combinations(**options):
    return [dict(zip(options, values)) for values in itertools.product(*options.values())]


CASES = [
    *(
        ("SGD", c)
        for c in combinations(
            momentum=[0, 0.9],
            dampening=[0, 0.3],
            weight_decay=[0, 0.05],
            nesterov=[False, True],
            maximize=[False, True],
        )
        if not c["nesterov"] or (c["momentum"] and not c["dampening"])
    ),
    *(
        (name, c)
        for name in ("Adam", "AdamW")
        for c in combinations(
            betas=[(0.9, 0.999), (0.5, 0.8)], weight_decay=[0, 0.05], amsgrad=[False, True], maximize=[False, True]
        )
    ),
    ("Adam", {"eps": 1e-2, "lr": 1.0}),
    *(
        ("RMSprop", c)
        for c in combinations(
            alpha=[0.99, 0.6], momentum=[0, 0.8], centered=[False, True], weight_decay=[0, 0.05], maximize=[False, True]
        )
    ),
]
SHAPES = [(4, 3, 2, 5), (7,), ()]


@pytest.mark.parametrize(("dtype", "steps", "tolerance"), [("float64", 60, 1e-12), ("float32", 40, 2e-5)])
@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(CASES)])
def test_same_path_as_pytorch(torch, name, options, dtype, steps, tolerance):
    options = {"lr": 0.01, **options}
    rng = np.random.default_rng(len(repr(options)))
    start = [rng.normal(size=shape).astype(dtype) for shape in SHAPES]
    ours = [nn.Parameter(a) for a in start]
    theirs = [torch.nn.Parameter(torch.from_numpy(np.array(a))) for a in start]
    optimizer = getattr(optim, name)(ours, **options)
    oracle = getattr(torch.optim, name)(theirs, **options)
    for step in range(steps):
        for i, (p, q) in enumerate(zip(ours, theirs)):
            dw = np.asarray(rng.normal(size=p.shape) * rng.choice([0.01, 1, 10])).astype(dtype)
            skipped = i == 1 and step % 5 == 2  # a parameter without a gradient is left alone
            p.grad = None if skipped else dw
            q.grad = None if skipped else torch.from_numpy(dw.copy())
        if step == steps // 2:  # a new learning rate, as schedulers set it
            for group in (*optimizer.param_groups, *oracle.param_groups):
                group["lr"] *= 0.3
        optimizer.step()
        oracle.step()
    for p, q in zip(ours, theirs):
        np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=tolerance, atol=tolerance)
        state, wanted = optimizer.state[p], oracle.state[q]
        assert set(state) == {k for k, v in wanted.items() if v is not None}
        for key, value in state.items():
            np.testing.assert_allclose(value, wanted[key].numpy(), rtol=tolerance, atol=tolerance, err_msg=key)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_same_defaults_as_pytorch(torch, name):
    ours = getattr(optim, name)([nn.Parameter([1.0])]).defaults
    theirs = getattr(torch.optim, name)([torch.nn.Parameter(torch.ones(1))]).defaults
    assert ours == {key: theirs[key] for key in ours}


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_a_state_of_pytorch_can_be_continued(torch, name):
    options = {"lr": 0.05} if "Adam" in name else {"lr": 0.05, "momentum": 0.9}
    rng = np.random.default_rng(0)
    start, grads = rng.normal(size=(3, 2)), rng.normal(size=(8, 3, 2))
    q = torch.nn.Parameter(torch.from_numpy(start.copy()))
    oracle = getattr(torch.optim, name)([q], **options)
    for i, dw in enumerate(grads):
        if i == 4:
            p = nn.Parameter(q.detach().numpy().copy())
            optimizer = getattr(optim, name)([p], lr=1.0)
            optimizer.load_state_dict(oracle.state_dict())
        if i >= 4:
            p.grad = dw.copy()
            optimizer.step()
        q.grad = torch.from_numpy(dw.copy())
        oracle.step()
    np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"lr": -1.0}),
        ("SGD", {"momentum": -0.1}),
        ("SGD", {"weight_decay": -0.1}),
        ("SGD", {"nesterov": True}),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
        ("Adam", {"lr": -1.0}),
        ("Adam", {"eps": -1.0}),
        ("Adam", {"betas": (1.0, 0.9)}),
        ("Adam", {"betas": (0.9, -0.1)}),
        ("AdamW", {"weight_decay": -1.0}),
        ("RMSprop", {"alpha": -0.1}),
        ("RMSprop", {"momentum": -0.1}),
    ],
)
def test_what_pytorch_refuses_is_refused(torch, name, options):
    with pytest.raises(ValueError):
        getattr(torch.optim, name)([torch.nn.Parameter(torch.ones(1))], **options)
    with pytest.raises(ValueError, match=next(iter(options))):
        getattr(optim, name)([nn.Parameter([1.0])], **options)
