from tinygrad_cnn.exercises.cases import Case, Law, Node


def graph(text):
    """The last result of "y = f(a, b); b = g(a)", the last one first."""
    nodes = {}
    for line in reversed(text.split("; ")):
        name, call = line.split(" = ")
        parents = [nodes.setdefault(parent, Node(parent)) for parent in call[2:-1].split(", ")]
        nodes[name] = Node(name, tuple(parents))
    return nodes[name]


def chain(length):
    node = Node("x")
    for i in range(1, length):
        node = Node(f"step {i}", (node,))
    return node


def cases(rng):
    # in all of them only one order is right, so that a wrong one is the same whoever makes it
    told = [
        "y = f(x)",
        "y = f(x, x)",
        "y = f(b); b = g(a)",
        "y = f(a, b); b = g(a)",
        "y = f(b, a); b = g(a)",
        "y = f(a, b); b = g(x, a); a = h(x)",
        "y = f(b, a); b = g(a, x); a = h(x)",
        "y = f(x, d, a); d = g(c); c = h(b, x); b = i(a, a); a = j(x)",
        "y = f(a, d, x); d = g(b, c); c = h(x, b); b = i(a); a = j(x, x)",
    ]
    return [
        Case("toposort", (Node("x"),), "a single node without parents"),
        *(Case("toposort", (graph(text),), text) for text in told),
        Case("toposort", (chain(3000),), "3,000 operations in a row"),
    ]


def laws(rng):
    return [
        Law(
            "toposort",
            "Each node must come once, and before all its parents.",
            [(graph("y = f(a, b)"),), (graph("y = f(a, b); b = g(x, t); a = h(x)"),)],  # several orders are right
            lambda orders: all(map(in_order, orders, (3, 5))),
        ),
    ]


def in_order(nodes, number):
    places = {node.name: place for place, node in enumerate(nodes)}
    return len(places) == len(nodes) == number and all(
        places[parent.name] > places[node.name] for node in nodes for parent in node.parents
    )
