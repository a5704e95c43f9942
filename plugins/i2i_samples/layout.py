"""The layout of a drawn facade: a street scene as a list of labelled parts, in fractions of the picture's side.

x runs to the right and y down. Later parts cover earlier ones, so the list runs from the sky to the tree in front.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Box(NamedTuple):
    """Left, top, right and bottom edge as fractions of the side."""

    x0: float
    y0: float
    x1: float
    y1: float


class Part(NamedTuple):
    """One labelled part of the scene; later parts cover earlier ones."""

    label: str
    box: Box
    shape: str = "box"


class Dice:
    """Random choices from uniform numbers only, whose stream numpy does not change between versions."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def between(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * float(self._rng.random())

    def count(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(float(self._rng.random()) * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return float(self._rng.random()) < probability

    def choice(self, *options: str) -> str:
        """One of the options, all equally likely."""
        return options[self.count(0, len(options) - 1)]


def layout(dice: Dice) -> list[Part]:
    """Parts of one street scene, from the sky to the tree in front."""
    ground = dice.between(0.9, 0.94)
    house = Box(dice.between(-0.02, 0.14), dice.between(0.17, 0.27), 1 - dice.between(-0.02, 0.14), ground)
    wall = dice.choice("plaster", "painted", "brick", "brick", "stone")
    parts = [Part("sky", Box(0, 0, 1, 1))]
    parts += _surroundings(dice, house)
    parts += _roof(dice, house)
    parts += [Part(wall, house), Part("pavement", Box(0, ground, 1, 1))]
    floors = dice.count(2, 4)
    ground_floor = ground - (ground - house.y0) / (floors + 0.25) * 1.25
    columns = dice.count(3, 5) if house.x1 - house.x0 > 0.85 else dice.count(2, 4)
    if dice.chance(0.5):
        parts.append(Part("stone" if wall != "stone" else "plaster", Box(house.x0, ground_floor, house.x1, ground)))
    if dice.chance(0.4):
        width = dice.between(0.025, 0.04)
        parts.append(Part("pillar", Box(house.x0, house.y0, house.x0 + width, ground)))
        parts.append(Part("pillar", Box(house.x1 - width, house.y0, house.x1, ground)))
    upper = Box(house.x0, house.y0 + 0.02, house.x1, ground_floor)
    parts += _upper_floors(dice, upper, floors - 1, columns)
    parts += _ground_floor(dice, Box(house.x0, ground_floor, house.x1, ground), columns)
    parts.append(Part("cornice", Box(house.x0 - 0.012, house.y0 - 0.006, house.x1 + 0.012, house.y0 + 0.022)))
    if dice.chance(0.6):
        parts.append(Part("cornice", Box(house.x0, ground_floor - 0.008, house.x1, ground_floor + 0.008)))
    return parts + _street_greenery(dice, house)


def _surroundings(dice: Dice, house: Box) -> list[Part]:
    """Neighbouring buildings behind the gaps on either side."""
    parts = []
    for x0, x1 in ((0.0, house.x0), (house.x1, 1.0)):
        if dice.chance(0.75):
            parts.append(Part("background", Box(x0 - 0.02, dice.between(0.22, 0.6), x1 + 0.02, house.y1)))
    return parts


def _roof(dice: Dice, house: Box) -> list[Part]:
    """Flat, mansard or gable roof above the eaves, with chimneys."""
    kind = dice.choice("flat", "mansard", "mansard", "gable", "hip")
    height = dice.between(0.09, 0.13)
    parts = []
    for side in (0.2, 0.74):
        if dice.chance(0.55):
            x = house.x0 + (house.x1 - house.x0) * (side + dice.between(-0.04, 0.04))
            rise = 0.05 if kind == "flat" else height + 0.03
            parts.append(Part("brick", Box(x, house.y0 - rise, x + 0.055, house.y0)))
            parts.append(Part("cornice", Box(x - 0.008, house.y0 - rise - 0.012, x + 0.063, house.y0 - rise)))
    if kind == "flat":
        return [*parts, Part("molding", Box(house.x0, house.y0 - 0.025, house.x1, house.y0))]
    cover = "roof" if kind == "mansard" else dice.choice("tiles", "roof")
    parts.append(Part(cover, Box(house.x0 - 0.01, house.y0 - height, house.x1 + 0.01, house.y0), kind))
    dormers = dice.count(1, 4) if kind == "mansard" else 0
    pitch = (house.x1 - house.x0) / (dormers + 0.4)
    for number in range(dormers):
        x = house.x0 + pitch * (number + 0.7)
        parts.append(Part("molding", Box(x - 0.038, house.y0 - height * 0.8, x + 0.038, house.y0), "arch"))
        parts.append(Part("window", Box(x - 0.024, house.y0 - height * 0.66, x + 0.024, house.y0 - 0.016), "arch"))
    return parts


def _upper_floors(dice: Dice, wall: Box, floors: int, columns: int) -> list[Part]:
    """Rows of equal windows; a balcony can run along a floor, sit on the middle column, or on every other one."""
    width, height = dice.between(0.4, 0.58), dice.between(0.54, 0.66)
    arched, framed, balconies = dice.chance(0.3), dice.chance(0.5), dice.choice("none", "middle", "alternate", "long")
    shutters, flowers = dice.between(0.0, 0.4), dice.between(-0.2, 0.5)
    storey, pitch = (wall.y1 - wall.y0) / floors, (wall.x1 - wall.x0 - 0.06) / columns
    parts: list[Part] = []
    for floor in range(floors):
        floor_y = wall.y0 + storey * (floor + 1)
        for column in range(columns):
            middle = wall.x0 + 0.03 + pitch * (column + 0.5)
            half = pitch * width / 2
            bottom = floor_y - storey * 0.2
            window = Box(middle - half, bottom - storey * height, middle + half, bottom)
            has_balcony = {"middle": column == columns // 2, "alternate": (column + floor) % 2 == 0}.get(
                balconies, False
            )
            has_blind, has_flowers = dice.chance(shutters), dice.chance(flowers)
            parts += _window(window, arched=arched, framed=framed, blind=dice.between(0.3, 0.7) if has_blind else 0.0)
            if has_balcony:
                parts.append(
                    Part("balcony", Box(window.x0 - 0.025, bottom - storey * 0.26, window.x1 + 0.025, bottom + 0.02))
                )
            elif has_flowers and balconies != "long":
                parts.append(Part("greenery", Box(window.x0, bottom - 0.022, window.x1, bottom + 0.006), "bush"))
        if balconies == "long" and floor == floors - 1:
            rail = Box(wall.x0 + 0.04, floor_y - storey * 0.46, wall.x1 - 0.04, floor_y - storey * 0.2 + 0.02)
            parts.append(Part("balcony", rail))
    return parts


def _window(box: Box, *, arched: bool, framed: bool, blind: float) -> list[Part]:
    """A window with its surround, blind (the fraction of the height it covers) and sill."""
    shape = "arch" if arched else "box"
    parts = []
    if framed:
        parts.append(Part("molding", Box(box.x0 - 0.014, box.y0 - 0.016, box.x1 + 0.014, box.y1), shape))
    parts.append(Part("window", box, shape))
    if blind and not arched:
        parts.append(Part("blind", Box(box.x0, box.y0, box.x1, box.y0 + (box.y1 - box.y0) * blind)))
    parts.append(Part("sill", Box(box.x0 - 0.014, box.y1, box.x1 + 0.014, box.y1 + 0.014)))
    return parts


def _ground_floor(dice: Dice, wall: Box, columns: int) -> list[Part]:
    """Shops under awnings, or a row of windows, with the door in one of the columns."""
    pitch, storey = (wall.x1 - wall.x0 - 0.06) / columns, wall.y1 - wall.y0
    door_column, shops, awnings = dice.count(0, columns - 1), dice.chance(0.5), dice.chance(0.7)
    door_half, window_half = min(0.055, pitch * 0.3), pitch * dice.between(0.22, 0.3)
    parts: list[Part] = []
    for column in range(columns):
        middle = wall.x0 + 0.03 + pitch * (column + 0.5)
        if column == door_column:
            door = Box(middle - door_half, wall.y0 + storey * 0.26, middle + door_half, wall.y1)
            parts.append(Part("molding", Box(door.x0 - 0.018, door.y0 - 0.02, door.x1 + 0.018, wall.y1)))
            parts.append(Part("door", door))
        elif shops:
            half = pitch * 0.42
            parts.append(Part("shop", Box(middle - half, wall.y0 + storey * 0.24, middle + half, wall.y1 - 0.012)))
            if awnings:
                cloth = Box(middle - half - 0.01, wall.y0 + storey * 0.16, middle + half + 0.01, wall.y0 + storey * 0.4)
                parts.append(Part("awning", cloth))
        else:
            window = Box(middle - window_half, wall.y0 + storey * 0.26, middle + window_half, wall.y1 - storey * 0.26)
            parts += _window(window, arched=False, framed=True, blind=0.0)
    return parts


def _street_greenery(dice: Dice, house: Box) -> list[Part]:
    """Trees and bushes at the outer edges, in front of everything."""
    parts = []
    for x in (dice.between(0.0, 0.06), dice.between(0.94, 1.0)):
        if dice.chance(0.35):
            radius, top = dice.between(0.08, 0.12), dice.between(0.42, 0.58)
            parts.append(Part("greenery", Box(x - radius, top, x + radius, house.y1 + 0.012), "tree"))
        elif dice.chance(0.3):
            parts.append(Part("greenery", Box(x - 0.09, house.y1 - 0.06, x + 0.09, house.y1 + 0.012), "bush"))
    return parts
