"""What the kit's tests know of sound and broken components; imports no torch."""

from dataclasses import dataclass

import i2i


@dataclass(frozen=True)
class Mutant:
    """A component and what the kit should say of it: `check` and `words` of its message, and why it does not yet."""

    kind: str
    component: i2i.Component
    check: str = ""
    words: str = ""
    missed: str = ""
    note: bool = False


SOUND: list[Mutant] = []
MUTANTS: list[Mutant] = []
