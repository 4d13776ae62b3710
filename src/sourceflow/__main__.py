"""``python -m sourceflow``: the command line, where no script of it is on the path."""

from sourceflow.host.cli import main

if __name__ == "__main__":
    main()
