"""``python -m i2i``: the same as the ``i2i`` command."""

from i2i.cli import main

main()
