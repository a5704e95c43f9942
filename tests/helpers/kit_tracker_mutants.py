"""Trackers that each break one promise; `kit_mutants` says what a mutant is, and gives them to plugins."""

import json
import threading
from contextlib import suppress

import i2i
from helpers.kit_lists import MUTANTS, SOUND, Mutant
from i2i.errors import UserError


class Sound:
    """A file of JSON lines, and what training tells it by method."""

    def __init__(self, config, *, run):
        self.run, self.path = run, run.folder / "told.jsonl"
        self.begin()

    def begin(self):
        self.path.touch()

    def add(self, *told):
        with self.path.open("a") as file:
            file.write(json.dumps(told) + "\n")

    def log(self, step, values):
        self.add(step, values)

    def images(self, step, name, picture):
        self.add(step, name, picture.mean())

    def text(self, step, name, text):
        self.add(step, name, text)

    def finish(self, done):
        self.add(done)


class FiguresOnly:
    """Has no method but the one that is needed."""

    def __init__(self, config, *, run):
        self.last = {}

    def log(self, step, values):
        self.last = values


def sound(name, build):
    """Adds a tracker that keeps its promises."""
    SOUND.append(Mutant("tracker", i2i.Component(name, build, summary="Sound")))


def mutant(name, check, words, build=None, **changes):
    """Adds a tracker that is sound but for these methods."""
    made = build or type(f"broken-{name}", (Sound,), {"__doc__": "X", "__module__": __name__, **changes})
    MUTANTS.append(Mutant("tracker", i2i.Component(name, made, summary="Broken"), check, words))


def without_login(config, *, run):
    """It can be used by others."""
    raise UserError("nobody is logged in")


def columns_of_the_first(self, step, values):
    self.columns = getattr(self, "columns", list(values))
    self.add([values[name] for name in self.columns])


def strict_json(self, step, values):
    self.add(json.dumps(values, allow_nan=False))


def with_step(self, step, values):
    values["step"] = step
    self.add(values)


def inverting(self, step, name, picture):
    picture[:] = 255 - picture


def in_one_piece(self, step, name, picture):
    self.add(len(memoryview(picture).cast("B")))


def as_markup(self, step, name, text):
    self.add(text.format())


def waiting(self, done):
    threading.Event().wait(20)


def only_when_done(self, done):
    if not done:
        raise RuntimeError("the run has not ended")


def only_new(self):
    self.path.touch(exist_ok=False)


def once_only(self, step, values):
    begun = json.loads(self.path.read_text().splitlines()[0])[0] if self.path.read_text() else step
    if step < begun or (self.run.step and step == 6):
        raise ValueError(f"step {step} is known already")
    self.add(step, values)


def into_metrics(self, step, values):
    with (self.run.folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(values) + "\n")


def removing(self):
    with suppress(FileNotFoundError):
        (self.run.folder / "samples" / "step-0000004.png").unlink()


sound("sound-tracker", Sound)
sound("figures-only", FiguresOnly)
sound("no-login", without_login)
mutant("no-log", "figures", "what it builds, a dict, has no method log", build=lambda config, *, run: {})
mutant("no-run", "figures", "cannot be built: TypeError", build=lambda config: None)
mutant("fixed-columns", "figures", r"log\(2, .*KeyError: 'val/psnr'", log=columns_of_the_first)
mutant("strict-json", "figures", r"log\(4, .*nan.*ValueError: Out of range", log=strict_json)
mutant("adds-step", "figures", "log changes its values", log=with_step)
mutant("draws-into", "pictures", "images writes into the picture", images=inverting)
mutant("one-piece", "pictures", r"images\(1, 'samples', an array .*TypeError", images=in_one_piece)
mutant("formats", "texts", r"text\(1, 'warning', .*KeyError: 'x'", text=as_markup)
mutant("never-ends", "end", r"finish\(True\) takes more than 5 s: give up", finish=waiting)
mutant("done-only", "end", r"finish\(False\): RuntimeError: the run has not ended", finish=only_when_done)
mutant("new-only", "resume", "run.step=4.*FileExistsError", begin=only_new)
mutant("once-only", "resume", "after it was built again with run.step=4: ValueError: step 6", log=once_only)
mutant("into-metrics", "run-folder", "it changes metrics.jsonl of the run folder", log=into_metrics)
mutant("removing", "run-folder", "it changes samples/step-0000004.png of the run folder", begin=removing)
