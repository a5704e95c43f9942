"""The health of a training: numbers that are not finite, and GANs that go wrong."""

from i2i.engine.health.finite import DivergedError
from i2i.engine.health.monitor import Health

__all__ = ["DivergedError", "Health"]
