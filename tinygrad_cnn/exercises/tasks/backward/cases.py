import re

from tinygrad_cnn.exercises.cases import Case, Node
from tinygrad_cnn.exercises.sandbox import wire


def graph(text):
    """The last result of "y = 2a + 3b, b = 5a", the last one first; without a number a node hands dy itself on."""
    nodes = {}
    for line in reversed(text.split(", ")):
        name, sum_ = line.split(" = ")
        terms = [re.fullmatch(r"([\d.]*)([a-z])", term).groups() for term in sum_.split(" + ")]
        parents = [nodes.setdefault(parent, Node(parent)) for _, parent in terms]
        nodes[name] = Node(name, tuple(parents), tuple(float(slope) if slope else None for slope, _ in terms))
    return nodes[name]


def chain(length):
    node = Node("x")
    for i in range(1, length):
        node = Node(f"step {i}", (node,), ((2.0, -1.0, 0.5)[i % 3],))  # neither growing nor vanishing
    return node


LADDER = "y = 2a + 3b, b = 4c, c = 5a, a = 6x + 7x, x = 8t"


def cases(rng):
    # numbers that are exact in any order, so that sums made in another order are the same
    def case(text, *shape, dtype="float64", label=""):
        dy = float(rng.integers(2, 9)) if not shape else rng.integers(2, 9, shape).astype(dtype)
        return Case("backward", (graph(text), dy), f"{text}{label}")

    return [
        case("y = 2x"),
        case("y = 2x + 3x"),
        case("y = 2b, b = 3a, a = 5x"),
        case("y = 2a + 3b, b = 5a"),
        case("y = 2b + 3a, b = 5a"),
        case("y = 2a + 3b, a = 5x, b = 7x, x = 11t", 2, 3),
        case("y = 2a + 3b, b = 4c, c = 5a, a = 6x, x = 7t", 2, 3),
        case("y = 2b + 3a, b = 4c, c = 5a, a = 6x, x = 7t", 3, 2),
        case(LADDER, 2),
        case("y = a + b, b = 3a", 2, 3),
        case("y = 2a + 3b, b = 5a", 4, dtype="float32", label=", in float32"),
        Case("backward", (chain(3000), 3.0), "3,000 operations in a row"),
    ]


def where(case, part, index):
    name = part.removesuffix(".grad")
    users = [node.name for node in wire.graph(case.args[0]) for parent in node.parents if parent.name == name]
    return f"it is the sum of the shares from {' and '.join(users)}" if users else "it is dy"
