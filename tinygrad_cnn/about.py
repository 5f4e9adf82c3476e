"""What every room may know: the version, how to install more, and the class of the package's own warnings."""

__version__ = "0.1.0"


def install(extra: str) -> str:
    """The command that installs what an extra brings.

    >>> print(install("demo"))
    pip install "tinygrad-cnn[demo]" (in a clone of the repository: pip install ".[demo]")
    """
    return f'pip install "tinygrad-cnn[{extra}]" (in a clone of the repository: pip install ".[{extra}]")'


class TinygradCnnWarning(UserWarning):
    """Something that works, but probably not as meant."""
