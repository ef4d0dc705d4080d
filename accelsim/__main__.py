"""``python -m accelsim``."""

from accelsim.cli import main

if __name__ == "__main__":
    main(prog_name="accelsim")
