"""`python -m aisle`: the command line where its script is not on the path, and for torchrun."""

from aisle.cli import main

if __name__ == "__main__":
    main()
