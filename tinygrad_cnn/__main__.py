"""`python -m tinygrad_cnn` is the command `tinygrad-cnn`."""

from tinygrad_cnn.cli import main

if __name__ == "__main__":
    main()
