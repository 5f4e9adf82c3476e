from tinygrad_cnn.exercises.cases import Case, Law


def cases(rng):
    def case(size, kernel, stride, padding, label):
        return Case("output_size", (size, kernel, stride, padding), label)

    size, kernel, stride, padding = (int(rng.integers(a, b)) for a, b in ((40, 60), (3, 8), (3, 6), (1, 3)))
    return [
        case(5, 3, 1, 0, "stride 1, no padding"),
        case(4, 4, 1, 0, "a window as large as the image"),
        case(7, 3, 1, 1, "padding 1"),
        case(7, 3, 2, 0, "stride 2"),
        case(7, 3, 3, 0, "stride 3, and a pixel is left over"),
        case(8, 3, 3, 0, "stride 3, and two pixels are left over"),
        case(32, 5, 1, 2, "padding 2: the output is as large as the image"),
        case(227, 11, 4, 0, "AlexNet's first layer"),
        case(3, 5, 2, 1, "a window larger than the image, not larger than image and padding"),
        case(size, kernel, stride, padding, "some other numbers"),
        case(3, 5, 1, 0, "a window that does not fit"),
        case(2, 7, 2, 2, "a window that does not fit, with padding"),
    ]


def laws(rng):
    size, kernel, stride, padding = (int(rng.integers(a, b)) for a, b in ((20, 40), (2, 8), (2, 5), (0, 3)))
    return [
        Law(
            "output_size",
            "An image that is one stride longer must have one place more.",
            [(size, kernel, stride, padding), (size + stride, kernel, stride, padding)],
            lambda y: y[1] == y[0] + 1,
        ),
        Law(
            "output_size",
            "Padding 1 must do the same as two more pixels of image.",
            [(size, kernel, stride, 1), (size + 2, kernel, stride, 0)],
            lambda y: y[0] == y[1],
        ),
    ]


def where(case, part, index):
    size, kernel, stride, padding = case.args
    places = list(range(0, size + 2 * padding - kernel + 1, stride))
    shown = ", ".join(map(str, places if len(places) < 9 else [*places[:3], "…", places[-1]]))
    return f"counted from the edge of the padding, the window can begin at {shown}"
