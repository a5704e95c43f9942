"""What CONTRIBUTING.md says of the house is true of it."""

import re

import pytest

from helpers.paths import ROOT
from helpers.source_tree import sources

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PATHS = sorted(set(re.findall(r"`((?:i2i|tests|docs|plugins|configs)/(?!i2i_NAME)[\w./]*)`", TEXT)))
TERMS = re.findall(r"\*\*([^*]+)\*\*", TEXT.partition("## Glossary")[2])


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_is_named_is_there(path):
    assert (ROOT / path).exists()


def test_every_room_is_in_the_picture():
    picture = TEXT.partition("```\n cli")[2].partition("```")[0]
    rooms = {file.path.parts[1].removesuffix(".py") for file in sources() if file.path.parts[0] == "i2i"}
    assert not {room for room in rooms if not room.startswith("__") and room not in f"cli{picture}"}


def test_the_terms_of_the_glossary_are_those_of_the_code():
    text = " ".join(" ".join(file.text for file in sources()).lower().replace("_", " ").split())
    assert not [term for term in TERMS if not re.search(rf"\b{term.lower().removesuffix('s')}", text)]


def test_no_term_is_explained_twice_without_saying_of_what():
    alone = re.findall(r"- \*\*([^*]+)\*\*:", TEXT)
    assert len(alone) == len(set(alone))
