"""What every room may know: the version, and the class of the package's own warnings."""

__version__ = "0.1.0"


class TinygradCnnWarning(UserWarning):
    """Something that works, but probably not as meant."""
