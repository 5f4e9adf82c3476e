"""Each optimizer against numbers computed by hand, and against the formulas written down a second time."""

import numpy as np
import pytest

from tinygrad_cnn import kernels, nn, optim


def gradients(shape, steps, seed=0):
    return np.random.default_rng(seed).normal(size=(steps, *shape))


def run(make, w0, grads):
    """The parameter after each step."""
    w = nn.Parameter(w0)
    optimizer = make([w])
    path = []
    for dw in grads:
        w.grad = dw.astype(w.dtype)
        optimizer.step()
        path.append(w.numpy().copy())
    return path


def test_sgd_is_w_minus_lr_times_gradient():
    (w,) = run(lambda p: optim.SGD(p, lr=0.5), np.array([1.0, -2.0]), np.array([[4.0, 6.0]]))
    assert w.tolist() == [-1.0, -5.0]


def test_sgd_weight_decay_adds_to_the_gradient():
    (w,) = run(lambda p: optim.SGD(p, lr=0.5, weight_decay=0.25), np.array([8.0]), np.array([[1.0]]))
    assert w.tolist() == [8 - 0.5 * (1 + 0.25 * 8)]


def test_sgd_momentum_by_hand():
    # v: 1; 0.5·1 + 2 = 2.5; 0.5·2.5 + 3 = 4.25
    path = run(lambda p: optim.SGD(p, lr=1.0, momentum=0.5), np.array([0.0]), np.array([[1.0], [2.0], [3.0]]))
    assert [w.item() for w in path] == [-1.0, -3.5, -7.75]


def test_sgd_dampening_spares_the_first_gradient():
    # v: 4 (undamped); 0.5·4 + 0.75·4 = 5
    path = run(lambda p: optim.SGD(p, lr=1.0, momentum=0.5, dampening=0.25), np.array([0.0]), np.array([[4.0], [4.0]]))
    assert [w.item() for w in path] == [-4.0, -9.0]


def test_sgd_nesterov_by_hand():
    # v: 2, then 0.5·2 + 2 = 3; steps 2 + 0.5·2 = 3 and 2 + 0.5·3 = 3.5
    path = run(lambda p: optim.SGD(p, lr=1.0, momentum=0.5, nesterov=True), np.array([0.0]), np.array([[2.0], [2.0]]))
    assert [w.item() for w in path] == [-3.0, -6.5]


def test_momentum_switched_on_later_starts_with_the_whole_gradient():
    w = nn.Parameter(np.array([0.0]))
    optimizer = optim.SGD([w], lr=1.0)
    w.grad = np.array([1.0])
    optimizer.step()
    optimizer.param_groups[0].update(momentum=0.5, dampening=0.5)
    optimizer.step()
    assert w.item() == -2.0
    optimizer.step()  # v = 0.5·1 + 0.5·1
    assert w.item() == -3.0


@pytest.mark.parametrize(
    "options", [{}, {"amsgrad": True}, {"weight_decay": 0.3}, {"weight_decay": 0.3, "amsgrad": True}]
)
@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_is_its_published_formula(options, decoupled):
    lr, (b1, b2), eps = 0.05, (0.8, 0.9), 1e-3
    decay = options.get("weight_decay", 0.0)
    grads = gradients((2, 3), 12) * np.linspace(3, 0.1, 12)[:, None, None]  # falling: AMSGrad's memory matters
    w = np.arange(6.0).reshape(2, 3)
    wanted, ms, vs, vhats = w.copy(), [np.zeros((2, 3))], [np.zeros((2, 3))], []
    for t, g in enumerate(grads, start=1):
        if decoupled:
            wanted = wanted - lr * decay * wanted
        else:
            g = g + decay * wanted
        ms.append(b1 * ms[-1] + (1 - b1) * g)
        vs.append(b2 * vs[-1] + (1 - b2) * g**2)
        v = np.max(vs, axis=0) if options.get("amsgrad") else vs[-1]
        vhats.append(v / (1 - b2**t))
        wanted = wanted - lr * (ms[-1] / (1 - b1**t)) / (np.sqrt(vhats[-1]) + eps)
    kind = optim.AdamW if decoupled else optim.Adam
    options = {"weight_decay": 0.0, **options}
    path = run(lambda p: kind(p, lr=lr, betas=(b1, b2), eps=eps, **options), w, grads)
    np.testing.assert_allclose(path[-1], wanted, rtol=1e-12)


def test_amsgrad_changes_something():
    grads = gradients((3,), 12) * np.linspace(3, 0.1, 12)[:, None]
    plain, remembering = (
        run(lambda p, a=amsgrad: optim.Adam(p, lr=0.1, betas=(0.5, 0.5), amsgrad=a), np.ones(3), grads)[-1]
        for amsgrad in (False, True)
    )
    assert abs(plain - remembering).max() > 1e-3


@pytest.mark.parametrize("momentum", [0, 0.7])
@pytest.mark.parametrize("centered", [False, True])
def test_rmsprop_is_its_formula(momentum, centered):
    lr, alpha, eps, decay = 0.05, 0.9, 1e-3, 0.2
    wanted = w = np.arange(6.0).reshape(3, 2)
    v, mean, u = np.zeros((3, 3, 2))
    grads = gradients((3, 2), 10)
    for g in grads:
        g = g + decay * wanted
        v = alpha * v + (1 - alpha) * g**2
        mean = alpha * mean + (1 - alpha) * g
        root = np.sqrt(v - mean**2 if centered else v) + eps
        u = momentum * u + g / root
        wanted = wanted - lr * u
    path = run(
        lambda p: optim.RMSprop(
            p, lr=lr, alpha=alpha, eps=eps, weight_decay=decay, momentum=momentum, centered=centered
        ),
        w,
        grads,
    )
    np.testing.assert_allclose(path[-1], wanted, rtol=1e-12)


ALL = [
    ("sgd", lambda p, **k: optim.SGD(p, lr=0.1, **k)),
    ("momentum", lambda p, **k: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1, **k)),
    ("nesterov", lambda p, **k: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, **k)),
    ("adam", lambda p, **k: optim.Adam(p, lr=0.1, weight_decay=0.1, **k)),
    ("amsgrad", lambda p, **k: optim.Adam(p, lr=0.1, amsgrad=True, **k)),
    ("adamw", lambda p, **k: optim.AdamW(p, lr=0.1, **k)),
    ("rmsprop", lambda p, **k: optim.RMSprop(p, lr=0.1, **k)),
    ("centered", lambda p, **k: optim.RMSprop(p, lr=0.1, momentum=0.9, centered=True, **k)),
]
every = pytest.mark.parametrize("make", [make for _, make in ALL], ids=[name for name, _ in ALL])


@every
def test_a_quadratic_bowl_is_descended(make):
    target = np.array([[1.0, -2.0, 0.5]])
    w = nn.Parameter(np.zeros((1, 3)))
    optimizer = make([w], maximize=False)
    optimizer.param_groups[0]["weight_decay"] = 0.0
    optimizer.param_groups[0]["lr"] = 0.02
    before = abs(w.numpy() - target).max()
    for _ in range(300):
        optimizer.zero_grad()
        ((w - target) ** 2).sum().backward()
        optimizer.step()
    assert abs(w.numpy() - target).max() < 0.1 * before


@every
def test_maximize_is_descent_of_the_negative(make):
    grads = gradients((4,), 5)
    up = run(lambda p: make(p, maximize=True), np.ones(4), grads)
    down = run(make, np.ones(4), -grads)
    assert all((a == b).all() for a, b in zip(up, down))


@every
def test_the_gradient_is_not_changed(make):
    w = nn.Parameter(np.ones((2, 3)))
    optimizer = make([w])
    for seed in range(2):
        kept = gradients((2, 3), 1, seed)[0]
        w.grad = kept.copy()
        optimizer.step()
        assert (w.grad == kept).all()


@every
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_number_format_stays(make, dtype):
    w = nn.Parameter(np.ones((2, 3), dtype=dtype))
    optimizer = make([w])
    w.grad = np.full((2, 3), 0.5, dtype=dtype)
    optimizer.param_groups[0]["lr"] = np.float64(0.01)  # a NumPy number must not widen anything
    optimizer.step()
    assert w.dtype == dtype
    assert (w.numpy() < 1).all()
    arrays = [a for a in optimizer.state[w].values() if isinstance(a, np.ndarray)]
    assert all(a.dtype == dtype for a in arrays)


@every
def test_a_single_number_can_be_trained(make):
    w = nn.Parameter(2.0)
    assert w.shape == ()
    w.grad = np.array(1.0, dtype=w.dtype)
    make([w]).step()
    assert w.shape == ()
    assert w.item() < 2.0


def test_the_kernels_alone_are_the_plain_rules():
    w, dw = np.array([8.0]), np.array([4.0])
    kernels.sgd_step(w, dw, np.zeros(1), lr=0.5, weight_decay=0.5)  # g = 4 + 0.5·8
    assert w.item() == 4.0
    w = np.array([8.0])
    m, v = np.zeros(1), np.zeros(1)
    kernels.adam_step(w, dw, m, v, step=1, lr=0.5, beta1=0.5, beta2=0.75, eps=0.0, weight_decay=0.5)
    assert (w.item(), m.item(), v.item()) == (7.5, 4.0, 16.0)
    w, v = np.array([8.0]), np.zeros(1)
    kernels.rmsprop_step(w, dw, v, lr=0.5, alpha=0.75, eps=0.0, weight_decay=0.5)  # √(0.25·64)
    assert (w.item(), v.item()) == (7.0, 16.0)


@every
def test_steps_are_counted_where_the_rule_needs_it(make):
    w = nn.Parameter(np.ones(2))
    optimizer = make([w])
    for _ in range(3):
        w.grad = np.ones(2)
        optimizer.step()
    assert optimizer.state[w].get("step", 3) == 3
    assert ("step" in optimizer.state[w]) == (not isinstance(optimizer, optim.SGD))


def test_each_rule_is_a_kernel_that_can_be_replaced():
    calls = []

    def mine(w, dw, velocity=None, *, lr, **options):
        calls.append(options["momentum"])
        w -= 2 * lr * dw

    w = nn.Parameter(np.array([1.0]))
    w.grad = np.array([1.0])
    with kernels.use(sgd_step=mine):
        optim.SGD([w], lr=0.25).step()
    assert (w.item(), calls) == (0.5, [0.0])
    assert {"sgd_step", "adam_step", "rmsprop_step"} <= set(kernels.names())
