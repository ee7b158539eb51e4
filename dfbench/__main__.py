"""``python -m dfbench``."""

from dfbench.cli.main import main

if __name__ == "__main__":
    main()
