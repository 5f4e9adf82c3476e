"""Wrong answers that no catalogue foresaw: none earns a point, none crashes the checker, and what is said is true."""

import numpy as np
import pytest
from exercising import in_this_process, one_process  # noqa: F401

from tinygrad_cnn.exercises import checking, diagnosis
from tinygrad_cnn.exercises.catalogue import Catalogue
from tinygrad_cnn.exercises.sandbox import Limits, Problem

ALL = Catalogue()


def answered(tmp_path, id, function, body, before="", **more):
    """The verdict on the solution with another body for one function, and what is said of that function.

    The solution's own function is still there, as `right`; `before` stands in front of the new one.
    """
    exercise, file = ALL[id], tmp_path / "answer.py"
    arguments = ", ".join(checking.expected(exercise).parameters(exercise.tasks[function]))
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    text = f"{exercise.solution()}\n\nright = {function}\n{before}\n\ndef {function}({arguments}):\n{lines}\n"
    file.write_text(text, encoding="utf-8")
    verdict = checking.check(exercise, file, **more)
    return verdict, next(part.finding for part in verdict.parts if part.function == function)


# exercise, function, what it does, what stands before it, the finding's kind, what it says (of its sentences and lines)
WRONG = [
    # numbers of other kinds
    ("output_size", "output_size", "return 10**400", "", "law", "should be 3"),
    ("output_size", "output_size", "return 10**30", "", "law", "should be 3"),
    ("output_size", "output_size", "return '3'", "", "returned", "y is a str: '3'; it must be a whole number"),
    ("output_size", "output_size", "return float(right(size, kernel, stride, padding))", "", "dtype",
     "it must be int: whole numbers"),
    ("output_size", "output_size", "return right(size, kernel, stride, padding) + 1e-12", "", "dtype", "y is float"),
    ("output_size", "output_size", "return np.array([right(size, kernel, stride, padding)])", "", "shape", "(1,)"),
    ("output_size", "output_size", "return np.nan", "", "law", "y is nan"),
    ("output_size", "output_size", "return 3 + 0j", "", "returned", "y is a complex"),
    ("relu", "relu_forward", "return right(x).astype(object)", "", "returned", "y is an array of object"),
    ("relu", "relu_backward", "return right(dy, x) + 0j", "", "returned", "dx is an array of complex128"),
    ("relu", "relu_forward", "yield right(x)", "", "returned", "y is a generator"),
    ("relu", "relu_forward", "return right(x),", "", "returned", "a comma too many"),
    ("relu", "relu_forward", "return [right(x)]", "", "returned", "a pair of brackets"),
    ("relu", "relu_forward", "return right(x).tolist()", "", "returned", "y is a list"),
    ("relu", "relu_forward", "return {'y': right(x)}", "", "returned", "y is a dict"),
    ("relu", "relu_forward", "print(right(x))", "", "returned", "returned nothing (None)"),
    ("relu", "relu_forward", "return np.where(x > 0, x, np.nan)", "", "value", "nan is what 0/0"),
    ("relu", "relu_forward", "return right(x).astype(int)", "", "dtype", "y holds whole numbers only, int64"),
    ("relu", "relu_forward", "return right(x).astype('float32')", "", "dtype", "y is float32; it must be float64"),
    ("relu", "relu_backward", "return right(dy, x).astype('float16')", "", "dtype", "dx is float16; it must be"),
    ("conv_forward", "conv2d_forward",
     "return right(*(a.astype('float32') for a in (x, weight, bias)), stride, padding)", "", "dtype",
     "y is float32; it must be float64"),
    ("conv_forward", "conv2d_forward",
     "return right(*(a.astype('float32') for a in (x, weight, bias)), stride, padding).astype(x.dtype)", "", "value",
     "right to about six digits"),
    ("l2_pool", "l2_pool2d_backward", "return right(dy, x, y + 1e-6, kernel, stride)", "", "value", "a small number"),
    ("conv_forward", "conv2d_forward",
     "y = np.zeros(right(x, weight, bias, stride, padding).shape, int)\n"
     "y[...] = right(x, weight, bias, stride, padding)\nreturn y", "", "dtype", "what stands behind the point is lost"),
    ("max_pool_backward", "max_pool2d_backward",
     "return np.zeros(x_shape) + right(dy, index, x_shape, kernel, stride, padding)", "", "dtype", "must be float32"),
    ("max_pool_forward", "max_pool2d_forward",
     "y, index = right(x, kernel, stride, padding)\nreturn y, index + 1e-12", "", "dtype", "index is float64"),
    ("dropout", "dropout_forward", "y, keep = right(x, p, training, random)\nreturn y, keep * 1.0", "", "dtype",
     "it must be bool: True and False"),
    # shapes and places
    ("conv_forward", "conv2d_forward", "return right(x, weight, bias, stride, padding).squeeze()", "", "shape",
     "right number of numbers"),
    ("conv_forward", "conv2d_forward", "return right(x, weight, bias, stride, padding).ravel()", "", "shape", "(6,)"),
    ("conv_forward", "conv2d_forward", "return right(x[:1], weight, bias, stride, padding)", "", "shape",
     "must be (2, 2, 4, 3)"),
    ("conv_backward", "conv2d_backward",
     "dx, dweight, dbias = right(dy, x, weight, stride, padding)\nreturn dx, dweight, dbias[:, None]", "", "shape",
     "dbias has shape (1, 1); it must be (1,)"),
    ("conv_backward", "conv2d_backward", "return right(dy, x, weight, stride, padding)[0]", "", "returned",
     "must return 3 things, (dx, dweight, dbias)"),
    ("conv_backward", "conv2d_backward", "return *right(dy, x, weight, stride, padding)[:2], None", "", "returned",
     "dbias is None"),
    ("conv_backward", "conv2d_backward",
     "dx, dweight, dbias = right(dy, x, weight, stride, padding)\nreturn dx, 0 * dweight, dbias", "", "value",
     "dweight is 0 everywhere"),
    ("max_pool_forward", "max_pool2d_forward", "return right(x, kernel, stride, padding)[::-1]", "", "returned",
     "the right things, but in another order: it must be y, index"),
    ("cross_entropy", "cross_entropy_forward", "return right(scores, labels)[::-1]", "", "returned", "must be loss, p"),
    ("linear_forward", "linear_forward", "return right(x, weight, bias).T", "", "shape", "a .T too many"),
    ("batch_norm_forward", "batch_norm_forward",
     "y, mean, var = right(x, weight, bias, running_mean, running_var, training, momentum, eps)\n"
     "return y, mean[:, None], var", "", "shape", "mean has shape (1, 1)"),
    ("batch_norm_forward", "batch_norm_forward",
     "y, mean, var = right(x, weight, bias, running_mean, running_var, training, momentum, eps)\n"
     "return y, mean, np.sqrt(var + eps)", "", "value",
     "y, mean, running_mean and running_var are right, var is not"),
    # only for some inputs
    ("conv_forward", "conv2d_forward", "return right(x, weight, bias, 1, padding)", "", "mistake", "stride is ignored"),
    ("conv_forward", "conv2d_forward", "return np.maximum(right(x, weight, bias, stride, padding), 0)", "", "law",
     "sum of two images"),
    ("conv_forward", "conv2d_forward",
     "return right(np.pad(x, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2), 'edge'), weight, bias, stride, 0)", "",
     "value", "It is right for: one image, one channel, one filter"),
    ("max_pool_forward", "max_pool2d_forward",
     "return right(np.pad(x, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2), constant_values=-1), kernel, stride, 0)",
     "", "value", "y[0, 0, 0, 0] is -1, should be"),
    ("tanh", "tanh_forward", "e = np.exp(2 * x)\nreturn (e - 1) / (e + 1)", "", "mistake", "e²ˣ is inf"),
    ("cross_entropy", "cross_entropy_forward",
     "p = right(scores, labels)[1]\nreturn -np.log(np.clip(p, 1e-8, 1))[range(len(p)), labels].mean(), p", "",
     "mistake", "can never exceed 18.4"),
    ("cross_entropy", "cross_entropy_forward",
     "e = np.exp(scores - scores.min(axis=1, keepdims=True))\np = e / e.sum(axis=1, keepdims=True)\n"
     "return right(scores, labels)[0], p", "", "value", "nan is what"),
    ("softmax", "softmax_forward", "return np.exp(x - np.log(np.exp(x).sum(1)))", "", "mistake", "beside the columns"),
    ("output_size", "output_size", "right(size, kernel, stride, padding)\n"
     "return len(range(0, size + 2 * padding - kernel, stride))", "", "mistake", "meets the edge exactly"),
    ("linear_forward", "linear_forward", "return x @ weight.T * bias", "", "mistake", "The bias is multiplied"),
    ("lrn", "local_response_norm_forward",
     "return right(x.transpose(0, 2, 1, 3), size, alpha, beta, k).transpose(0, 2, 1, 3)", "", "value", "in 5 of 5"),
    # what remains from one call to the next
    ("relu", "relu_forward", "if x.shape not in known:\n    known[x.shape] = right(x)\nreturn known[x.shape]",
     "known = {}", "value", "tried once more, with other numbers"),
    ("sigmoid", "sigmoid_backward", "calls.append(y)\nreturn right(dy, y) + (len(calls) > 4)", "calls = []", "value",
     "tried once more"),
    ("linear_forward", "linear_forward",
     "key = x.shape, weight.shape, x.dtype\nif key not in made:\n    made[key] = 0\nmade[key] = made[key] + "
     "right(x, weight, bias)\nreturn made[key]", "made = {}", "law", "For x = 0 the result must be the bias"),
    ("dropout", "dropout_forward",
     "keep = np.random.random(x.shape) >= p if training else np.ones(x.shape, bool)\n"
     "return (x * keep / (1 - p) if training else x), keep", "", "law", "draw none of your own"),
    ("softmax", "softmax_forward", "return right(x) * (1 + 1e-6 * np.random.random())", "", "value", "six digits"),
    # arguments
    ("softmax", "softmax_forward", "x -= x.max(axis=1, keepdims=True)\nreturn right(x)", "", "changed", "argument x"),
    ("toposort", "toposort", "order = right(root)\nfor node in order[1:]:\n    node.parents = ()\nreturn order", "",
     "changed", "Leave node.parents alone"),
    ("sgd", "sgd_step", "return w - lr * (momentum * velocity + dw)", "", "returned",
     "must return nothing, but change w and velocity in place"),
    ("adam", "adam_step", "return w", "", "returned", "change w, m and v in place"),
    ("sgd", "sgd_step", "w -= lr * (momentum * velocity + dw + weight_decay * w)\nreturn w", "", "mistake",
     "The caller's velocity stays as it was"),
    ("toposort", "toposort", "return [node.name for node in right(root)]", "", "returned", "must hold Nodes"),
    ("toposort", "toposort", "return reversed(right(root))", "", "returned", "it must be a list"),
    ("toposort", "toposort", "return tuple(sorted(right(root), key=lambda n: n.name))", "", "law",
     "before all its parents"),
    ("backward", "backward", "right(root, dy)\nroot.parents[0].grad = None", "", "value", "x.grad is None"),
    # exceptions are told as they are
    ("sigmoid", "sigmoid_backward", "return dz * y * (1 - y)", "", "raised", "name 'dz' is not defined"),
    ("tanh", "tanh_backward", "return d * (1 - y * y)", "", "raised", "name 'd' is not defined"),
    ("conv_forward", "conv2d_forward",
     "return right(x, weight, bias, stride, padding) if x.shape[1] == 1 else np.ones(2) + np.ones(3)", "", "raised",
     "operands could not be broadcast"),
    ("conv_backward", "conv2d_backward",
     "return right(dy, x, weight, stride, padding) if x.shape[1] == 1 else np.tensordot(dy, weight)", "", "raised",
     "shape-mismatch"),
    ("linear_forward", "linear_forward", "return right(x, weight, bias) if len(x) == 1 else x + bias", "", "raised",
     "operands could not be broadcast"),
    ("relu", "relu_forward", "return relu_backward(x)", "", "raised", "missing 1 required positional argument: 'x'"),
]  # fmt: skip


@pytest.mark.parametrize(("id", "function", "body", "before", "kind", "says"), WRONG)
@pytest.mark.usefixtures("one_process")
def test_a_wrong_answer_is_told_what_is_wrong(tmp_path, id, function, body, before, kind, says):
    verdict, finding = answered(tmp_path, id, function, body, before)
    assert finding is not None
    assert (finding.kind, says in f"{finding.says} {finding.hint}\n{finding.detail}") == (kind, True), finding
    assert [part.points for part in verdict.parts if part.function == function] == [0]
    assert all(part.passed for part in verdict.parts if part.function != function)


def test_there_are_enough_of_them():
    assert len(WRONG) >= 60


@pytest.mark.parametrize(
    ("id", "function", "body"),
    [
        ("sgd", "sgd_step", "right(w, dw, velocity, lr, momentum, weight_decay)\nreturn w, velocity"),
        ("adam", "adam_step", "right(w, dw, m, v, step, lr, beta1, beta2, eps)\nreturn w"),
        ("backward", "backward", "right(root, dy)\nreturn {root.name: root.grad}"),
        ("toposort", "toposort", "for node in right(root):\n    node.seen = True\nreturn tuple(right(root))"),
        ("max_pool_forward", "max_pool2d_forward",
         "y, index = right(x, kernel, stride, padding)\nreturn [y, index.astype('uint8')]"),
        ("output_size", "output_size", "return np.int16(right(size, kernel, stride, padding))"),
        ("relu", "relu_forward", "return np.asfortranarray(right(x))[..., ::-1][..., ::-1]"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("one_process")
def test_what_a_fair_instructor_accepts(tmp_path, id, function, body):
    assert answered(tmp_path, id, function, body)[1] is None


# ---- the second round, and calls that do not come to their end


def test_an_endless_loop_on_a_laws_numbers_only(tmp_path):
    body = "while not bias.any():\n    pass\nreturn right(x, weight, bias, stride, padding)"
    verdict, finding = answered(tmp_path, "conv_forward", "conv2d_forward", body, limits=Limits(seconds=2))
    assert (finding.kind, verdict.points, verdict.problem.kind) == ("timeout", 0, "timeout")


def test_ending_the_program_in_the_second_round(tmp_path):
    body = "calls.append(x)\nif len(calls) > 5:\n    raise SystemExit\nreturn right(x)"
    verdict, finding = answered(tmp_path, "relu", "relu_forward", body, "calls = []")
    assert (finding.kind, verdict.points) == ("exit", 3)  # of relu_backward


@pytest.mark.parametrize(("worked", "points"), [(1.1, 10), (0.9, 0)])
def test_slow_and_right(worked, points, tmp_path, monkeypatch):
    """All cases were right when the time was up; only what has worked for more than half of it was slow."""
    limits = Limits(seconds=2)
    cases = len(checking.expected(ALL["conv_forward"]).calls)

    def until_the_time_is_up(*told):
        report = in_this_process(*told)
        report.outcomes = report.outcomes[:cases] + [None] * (len(report.outcomes) - cases)
        for outcome in report.outcomes[:cases]:
            outcome["seconds"] = worked / cases
        report.problem = Problem("timeout", "The time was up.")
        return report

    monkeypatch.setattr(checking, "run", until_the_time_is_up)
    body = "return right(x, weight, bias, stride, padding)"
    verdict, finding = answered(tmp_path, "conv_forward", "conv2d_forward", body, limits=limits)
    assert verdict.points == points
    assert (finding and finding.kind) == (None if points else "timeout")
    assert (verdict.problem and verdict.problem.kind) == (finding and finding.kind)


# ---- arguments


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("(dy: np.ndarray, y: np.ndarray)", "(dy, *, y)", "takes 1 positional argument but 2 were given"),
        ("(dy: np.ndarray, y: np.ndarray)", "(y)", "yours takes (y)"),
        (
            "(dy: np.ndarray, y: np.ndarray)",
            "(dy, y, x)",
            "is called with 2 arguments, (dy, y); yours takes (dy, y, x)",
        ),
    ],
)
@pytest.mark.usefixtures("one_process")
def test_a_function_that_cannot_be_called_like_this(tmp_path, old, new, says):
    text, file = ALL["sigmoid"].solution(), tmp_path / "answer.py"
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")
    finding = checking.check(ALL["sigmoid"], file).parts[1].finding
    assert finding.kind == "signature"
    assert says in finding.says + finding.detail
    assert "def sigmoid_backward(dy, y):" in finding.hint


@pytest.mark.usefixtures("one_process")
def test_a_class_that_wants_arguments(tmp_path):
    file = tmp_path / "answer.py"
    file.write_text(ALL["lenet5"].solution().replace("__init__(self)", "__init__(self, classes)"), encoding="utf-8")
    finding = checking.check(ALL["lenet5"], file).parts[0].finding
    assert finding.says == "LeNet5 is called without arguments; yours takes (classes)."
    assert finding.hint == "Its first line must be: def __init__(self):"


# ---- small things


def test_different_numbers_look_different():
    assert diagnosis._numbers(0.5, 0.25) == ("0.5", "0.25")
    assert diagnosis._numbers(np.float64(1), 1 + 1e-7) == ("1", "1.0000001")
    assert len(set(diagnosis._numbers(1.0, 1 + 1e-12))) == 2
    assert diagnosis._and(["w", "m", "v"]) == "w, m and v"
    assert diagnosis._and(["w"]) == "w"


def test_two_mistakes_at_once_tear_no_name_apart():
    """`dy * y * (` to `dy * (` and then `y * (1 - y)` to `(1 - y * y)` would leave `d(1 - y * y)`."""
    for exercise in ALL.values():
        for name in exercise.tasks:
            if exercise.id != "lenet5":
                known = checking.expected(exercise)
                for pair in exercise.pairs(name):
                    first = next(known.outcomes(name, *pair))
                    assert not (first.raised and first.raised["type"] == "NameError"), (name, pair)
