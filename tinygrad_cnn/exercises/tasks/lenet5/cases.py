import numpy as np

from tinygrad_cnn.exercises.cases import Case

SHAPES = {
    "features.conv1.weight": (6, 1, 5, 5),
    "features.conv2.weight": (16, 6, 5, 5),
    "classifier.fc1.weight": (120, 400),
    "classifier.fc2.weight": (84, 120),
    "classifier.fc3.weight": (10, 84),
}


def cases(rng):
    def case(N, label):
        state = {}
        for name, shape in SHAPES.items():
            fan_in = np.prod(shape[1:])
            state[name] = (rng.normal(size=shape) * np.sqrt(2 / fan_in)).astype("float32")
            state[name.replace("weight", "bias")] = (rng.normal(size=shape[0]) / 2).astype("float32")
        return Case("LeNet5", (state, rng.normal(size=(N, 1, 28, 28)).astype("float32")), label, "module")

    return [case(1, "one image"), case(2, "two images"), case(3, "three images, other parameters")]


def where(case, part, index):
    return f"it is the score of class {index[1]} for image {index[0]}" if part == "scores" else ""
