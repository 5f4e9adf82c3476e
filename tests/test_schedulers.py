"""Learning-rate schedules: sequences by hand, against PyTorch, and continued from a saved state."""

import json
import math

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import nn, optim
from tinygrad_cnn.optim import lr_scheduler


def optimizer(lrs=(1.0,), kind="SGD", library=None, **options):
    if library is None:
        groups = [{"params": [nn.Parameter([1.0])], "lr": lr} for lr in lrs]
        return getattr(optim, kind)(groups, lr=9.0, **options)
    groups = [{"params": [library.nn.Parameter(library.ones(1))], "lr": lr} for lr in lrs]
    return getattr(library.optim, kind)(groups, lr=9.0, **options)


def sequence(scheduler, steps, metrics=None):
    """What every step of the optimizer sees: learning rates and momenta of all groups."""
    seen = []
    for i in range(steps):
        seen.append([g["lr"] for g in scheduler.optimizer.param_groups])
        seen[-1] += [g.get("momentum", 0) for g in scheduler.optimizer.param_groups]
        seen[-1] += [g["betas"][0] for g in scheduler.optimizer.param_groups if "betas" in g]
        scheduler.optimizer.step()
        scheduler.step(*([] if metrics is None else [metrics[i]]))
        assert scheduler.get_last_lr() == [g["lr"] for g in scheduler.optimizer.param_groups]
    return seen


def lrs(scheduler, steps, metrics=None):
    return [row[0] for row in sequence(scheduler, steps, metrics)]


# ---- by hand
def test_step_lr():
    assert lrs(lr_scheduler.StepLR(optimizer(), 3, 0.5), 8) == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_multi_step_lr_counts_a_milestone_given_twice():
    assert lrs(lr_scheduler.MultiStepLR(optimizer(), [4, 1, 4], 0.5), 6) == [1, 0.5, 0.5, 0.5, 0.125, 0.125]


def test_cosine_goes_down_and_up_again():
    wanted = [0.25 + 0.75 * (1 + math.cos(math.pi * t / 5)) / 2 for t in range(17)]
    np.testing.assert_allclose(lrs(lr_scheduler.CosineAnnealingLR(optimizer(), 5, 0.25), 17), wanted, rtol=1e-13)
    assert wanted[5] == 0.25
    assert wanted[10] == 1.0


def test_plateau_waits_and_then_reduces():
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer(), factor=0.5, patience=2)
    losses = [5.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 1.0]
    assert lrs(scheduler, 9, losses) == [1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25]


def test_plateau_counts_from_the_start():
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer(), factor=0.5, patience=2)
    assert lrs(scheduler, 5, [math.nan] * 5) == [1, 1, 1, 0.5, 0.5]
    assert scheduler.last_epoch == 5


def test_plateau_in_max_mode_wants_more():
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer(), "max", 0.5, patience=0)
    assert lrs(scheduler, 5, [0.5, 0.6, 0.6, 0.7, 0.1]) == [1, 1, 1, 0.5, 0.5]


@pytest.mark.parametrize(("mode", "better", "equal"), [("rel", 8.9, 9.0), ("abs", 9.89, 9.9)])
def test_plateau_threshold(mode, better, equal):
    for value, wanted in ((better, 1.0), (equal, 0.5)):
        scheduler = lr_scheduler.ReduceLROnPlateau(
            optimizer(), factor=0.5, patience=0, threshold=0.1, threshold_mode=mode
        )
        scheduler.step(10.0)
        scheduler.step(value)
        assert scheduler.get_last_lr() == [wanted]


def test_plateau_cooldown_and_lower_limits():
    scheduler = lr_scheduler.ReduceLROnPlateau(
        optimizer((1.0, 0.5)), factor=0.5, patience=0, cooldown=2, min_lr=[0.3, 0.0]
    )
    scheduler.step(1.0)
    rates = []
    for _ in range(7):
        scheduler.step(1.0)
        rates.append(scheduler.get_last_lr())
    assert rates == [[0.5, 0.25]] * 3 + [[0.3, 0.125]] * 3 + [[0.3, 0.0625]]


def test_plateau_ignores_a_change_below_eps_and_takes_tensors():
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer((1e-8,)), factor=0.5, patience=0)
    scheduler.step(tcnn.tensor(1.0))
    scheduler.step(tcnn.tensor(2.0))
    assert scheduler.get_last_lr() == [1e-8]
    assert scheduler.best == 1.0


def test_a_loss_that_is_not_a_number_is_no_improvement():
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer(), factor=0.5, patience=0)
    assert lrs(scheduler, 4, [2.0, math.nan, math.nan, 1.0]) == [1, 1, 0.5, 0.25]


def test_one_cycle_linear():
    scheduler = lr_scheduler.OneCycleLR(
        optimizer(momentum=0.9),
        max_lr=1.0,
        total_steps=10,
        pct_start=0.5,
        anneal_strategy="linear",
        div_factor=5,
        final_div_factor=10,
    )
    rows = sequence(scheduler, 10)
    np.testing.assert_allclose([r[0] for r in rows[:5]], [0.2, 0.4, 0.6, 0.8, 1.0])
    np.testing.assert_allclose([r[0] for r in rows[4:]], np.linspace(1.0, 0.02, 6))
    np.testing.assert_allclose([r[1] for r in rows[:5]], [0.95, 0.925, 0.9, 0.875, 0.85])
    assert rows[9][1] == 0.95


def test_one_cycle_cosine_and_three_phases_at_their_corners():
    scheduler = lr_scheduler.OneCycleLR(
        optimizer(kind="Adam"), max_lr=1.0, epochs=4, steps_per_epoch=5, pct_start=0.3, three_phase=True
    )
    rows = sequence(scheduler, 20)
    np.testing.assert_allclose([rows[i][0] for i in (0, 5, 10, 19)], [0.04, 1.0, 0.04, 0.04 / 1e4])
    np.testing.assert_allclose([rows[i][2] for i in (0, 5, 10, 19)], [0.95, 0.85, 0.95, 0.95])


def test_a_warm_up_of_one_step_starts_at_the_top():
    scheduler = lr_scheduler.OneCycleLR(optimizer(momentum=0.9), 2.0, total_steps=10, pct_start=0.1)
    assert scheduler.get_last_lr() == [2.0]


def test_every_group_keeps_its_own_rate():
    rows = sequence(lr_scheduler.StepLR(optimizer((1.0, 8.0)), 1, 0.5), 3)
    assert [r[:2] for r in rows] == [[1, 8], [0.5, 4], [0.25, 2]]


def test_schedules_can_be_chained():
    both = optimizer()
    first = lr_scheduler.StepLR(both, 2, 0.5)
    second = lr_scheduler.MultiStepLR(both, [3], 0.25)
    seen = []
    for _ in range(5):
        seen.append(both.param_groups[0]["lr"])
        both.step()
        first.step()
        second.step()
    assert seen == [1, 1, 0.5, 0.125, 0.0625]


def test_a_group_added_later():
    late = {"params": [nn.Parameter([1.0])], "lr": 8.0}
    for name in ("step", "multi", "plateau"):
        scheduler = SCHEDULES[name](optimizer())
        scheduler.optimizer.add_param_group(dict(late))
        sequence(scheduler, 6, metrics_for(name, 0, 6))
        assert scheduler.get_last_lr()[1] == pytest.approx(8 * scheduler.get_last_lr()[0])
        assert scheduler.get_last_lr()[1] < 8
    for make in (SCHEDULES["cosine"], lambda o: lr_scheduler.OneCycleLR(o, 1.0, 9)):
        scheduler = make(optimizer())
        scheduler.optimizer.step()
        scheduler.optimizer.add_param_group(dict(late))
        with pytest.raises(ValueError, match=r"made for 1 parameter group\(s\), the optimizer now has 2; make a new"):
            scheduler.step()


# ---- errors
@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda o: lr_scheduler.StepLR(3, 1), TypeError, "StepLR: optimizer must be an Optimizer, not int"),
        (lambda o: lr_scheduler.StepLR(o, 0), ValueError, "step_size must be a whole number"),
        (lambda o: lr_scheduler.CosineAnnealingLR(o, 2.5), ValueError, "T_max must be a whole number"),
        (lambda o: lr_scheduler.StepLR(o, 3, last_epoch=2), KeyError, "group 0 of the optimizer has no initial_lr"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, "lower"), ValueError, 'must be "min" or "max"'),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1.0), ValueError, "factor=1.0 must be below 1"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, threshold_mode="x"), ValueError, '"rel" or "abs"'),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, min_lr=[0, 0]), ValueError, r"or 1 \(one for each"),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0), ValueError, "either total_steps, or both epochs"),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0, 0), ValueError, "total_steps must be a whole number"),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0, epochs=2), ValueError, "both epochs and steps_per_epoch"),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0, 9, pct_start=2), ValueError, "pct_start=2 must be from 0 to 1"),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0, 9, anneal_strategy="x"), ValueError, '"cos" or "linear"'),
        (lambda o: lr_scheduler.OneCycleLR(o, [1.0, 2.0], 9), ValueError, "max_lr must be one number or 1"),
    ],
)
def test_bad_options(make, error, text):
    with pytest.raises(error, match=text):
        make(optimizer(momentum=0.5))


def test_one_cycle_ends_after_its_steps():
    scheduler = lr_scheduler.OneCycleLR(optimizer(momentum=0.5), 1.0, total_steps=3)
    sequence(scheduler, 3)
    with pytest.raises(ValueError, match="step 4 is beyond total_steps=3"):
        scheduler.step()


def test_one_cycle_without_momentum_to_cycle():
    class Plain(optim.Optimizer):
        pass

    plain = Plain([nn.Parameter([1.0])], {"lr": 1.0})
    with pytest.raises(ValueError, match="Plain has neither momentum nor betas"):
        lr_scheduler.OneCycleLR(plain, 1.0, 9)
    assert lr_scheduler.OneCycleLR(plain, 1.0, 9, cycle_momentum=False).get_last_lr() == pytest.approx([1 / 25])


def test_the_wrong_order_is_warned_of():
    scheduler = lr_scheduler.StepLR(optimizer(), 2)
    with pytest.warns(tcnn.TinygradCnnWarning, match=r"before any optimizer\.step\(\)"):
        scheduler.step()


# ---- saving
SCHEDULES = {
    "step": lambda o: lr_scheduler.StepLR(o, 3, 0.7),
    "multi": lambda o: lr_scheduler.MultiStepLR(o, [2, 5, 5, 11], 0.3),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, 7, 0.01),
    "plateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.7, patience=1, cooldown=1, threshold=0.01),
    "plateau-max": lambda o: lr_scheduler.ReduceLROnPlateau(
        o, "max", factor=0.7, patience=0, threshold=0.1, threshold_mode="abs", min_lr=0.2
    ),
    "cycle": lambda o: lr_scheduler.OneCycleLR(o, [1.0, 3.0], 20),
    "cycle-linear": lambda o: lr_scheduler.OneCycleLR(
        o, [1.0, 3.0], epochs=4, steps_per_epoch=5, pct_start=0.25, anneal_strategy="linear", cycle_momentum=False
    ),
    "cycle-three": lambda o: lr_scheduler.OneCycleLR(
        o, [1.0, 3.0], 20, pct_start=0.4, three_phase=True, base_momentum=0.7, max_momentum=[0.8, 0.9], div_factor=10
    ),
}
METRICS = [abs(math.sin(i)) * (1 - i / 40) for i in range(40)]
every = pytest.mark.parametrize("name", SCHEDULES)


def metrics_for(name, start, steps):
    return METRICS[start : start + steps] if name.startswith("plateau") else None


@every
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("at", [0, 1, 8])
def test_a_continued_schedule_is_the_same(name, kind, at):
    straight = sequence(SCHEDULES[name](optimizer((1.0, 0.5), kind)), 18, metrics_for(name, 0, 18))
    first = SCHEDULES[name](optimizer((1.0, 0.5), kind))
    begun = sequence(first, at, metrics_for(name, 0, at))
    states = json.loads(json.dumps([first.state_dict(), first.optimizer.state_dict()], allow_nan=False))
    second = SCHEDULES[name](optimizer((7.0, 7.0), kind))
    second.load_state_dict(states[0])
    second.optimizer.load_state_dict(states[1])
    assert begun + sequence(second, 18 - at, metrics_for(name, at, 18 - at)) == straight


def test_a_state_of_another_schedule_is_refused():
    cosine = SCHEDULES["cosine"](optimizer())
    step = SCHEDULES["step"](optimizer())
    with pytest.raises(ValueError, match="lacks T_max, eta_min and has unknown step_size, gamma"):
        cosine.load_state_dict(step.state_dict())
    for state, text in (
        ({k: v for k, v in step.state_dict().items() if k != "gamma"}, "lacks gamma and has unknown nothing"),
        ({**step.state_dict(), "power": 2}, "lacks nothing and has unknown power"),
    ):
        with pytest.raises(ValueError, match=text):
            step.load_state_dict(state)
    with pytest.raises(ValueError, match=r"for 2 parameter group\(s\), the optimizer has 1"):
        step.load_state_dict(SCHEDULES["step"](optimizer((1.0, 2.0))).state_dict())


# ---- against PyTorch
@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="NOT CHECKED AGAINST PYTORCH: pip install torch==2.13.0")


@pytest.mark.torch
@every
@pytest.mark.parametrize("kind", ["SGD", "Adam", "RMSprop"])
def test_same_sequence_as_pytorch(torch, name, kind, monkeypatch):
    options = {"momentum": 0.6} if kind != "Adam" else {}
    ours = sequence(SCHEDULES[name](optimizer((1.0, 0.5), kind, **options)), 20, metrics_for(name, 0, 20))
    monkeypatch.setitem(globals(), "lr_scheduler", torch.optim.lr_scheduler)
    theirs = SCHEDULES[name](optimizer((1.0, 0.5), kind, torch, **options))
    np.testing.assert_allclose(ours, sequence(theirs, 20, metrics_for(name, 0, 20)), rtol=1e-12, atol=1e-15)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["step", "multi", "cosine"])
def test_same_sequence_as_pytorch_when_continued_by_last_epoch(torch, name, monkeypatch):
    classes = {
        "step": ("StepLR", (3, 0.7)),
        "multi": ("MultiStepLR", ([2, 5], 0.3)),
        "cosine": ("CosineAnnealingLR", (7,)),
    }
    kind, args = classes[name]
    rows = []
    for library, module in ((None, lr_scheduler), (torch, torch.optim.lr_scheduler)):
        o = optimizer((0.5,), "SGD", library)
        o.param_groups[0]["initial_lr"] = 1.0
        rows.append(sequence(getattr(module, kind)(o, *args, last_epoch=4), 12))
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-12, atol=1e-15)
