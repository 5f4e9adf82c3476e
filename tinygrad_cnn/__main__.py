"""`python -m tinygrad_cnn` is the command `tinygrad-cnn`."""

import sys

if __name__ == "__main__":
    try:
        from tinygrad_cnn.cli import main
    except KeyboardInterrupt:  # the program is not even loaded
        sys.exit(130)
    main()
