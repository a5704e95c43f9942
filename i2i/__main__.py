"""The entry of the ``i2i`` command and of ``python -m i2i``."""

from i2i.signals import end_at_once_on_signals


def main() -> None:
    """Runs the command line; a signal ends it at any moment, also while its modules are imported."""
    end_at_once_on_signals()
    from i2i.cli import main as run

    run()


if __name__ == "__main__":
    main()
