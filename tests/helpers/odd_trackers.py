"""A plugin of trackers that fail as their option says, and of one that remembers what it was told."""

import threading

import i2i
from i2i.errors import UserError

TOLD = []
"""What `remembering` was told, by all of them: (method, arguments)."""


class Config(i2i.Config):
    """What fails."""

    fault: str = ""
    """A method, or what it raises."""


class Failing:
    """Fails in one method."""

    def __init__(self, config, *, run):
        self.fault = config.fault
        self.called("build")
        if self.fault == "value":
            raise ValueError("two\nlines")
        if self.fault == "not logged in":
            raise UserError("nobody is logged in:\nrun `odd login`")

    def log(self, step, values):
        self.called("log")

    def images(self, step, name, picture):
        self.called("images")

    def text(self, step, name, text):
        self.called("text")

    def finish(self, done):
        self.called("finish")
        if self.fault == "hanging":
            threading.Event().wait(20)

    def called(self, method):
        if method == self.fault:
            raise RuntimeError(f"no {method}\ntoday")
        if method == "log" and self.fault == "exit":
            raise SystemExit(3)
        if method == "log" and self.fault == "interrupt":
            raise KeyboardInterrupt


class Remembering:
    """Remembers what it is told."""

    def __init__(self, config, *, run):
        TOLD.append(("build", run))

    def __getattr__(self, method):
        return lambda *told: TOLD.append((method, *told))


@i2i.hookimpl
def i2i_trackers():
    return [i2i.Component("failing", Failing, Config, "Fails"), i2i.Component("remembering", Remembering, summary="X")]
