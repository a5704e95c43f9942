"""What a wrong command line was meant to be, and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup

from i2i.errors import ConfigError, UserError
from i2i.files import printable

_MEANINGS = {
    "translate": ("predict", "infer", "inference", "test", "apply", "process", "upscale", "enhance"),
    "generate": ("sample", "synthesize", "draw"),
    "evaluate": ("eval", "metrics", "score", "fid", "measure"),
    "report": ("show", "plot", "summary"),
    "models": ("runs", "ls", "history", "zoo"),
    "train": ("fit", "learn", "resume", "finetune", "fine-tune"),
    "export": ("convert", "onnx", "deploy"),
    "data check": ("check", "validate", "dataset"),
    "plugins list": ("list", "recipes"),
    "plugins new": ("new", "create", "init"),
    "bench": ("benchmark", "time", "profile", "speed"),
    "doctor": ("env", "info", "devices"),
    "--version": ("version",),
    "--help": ("help",),
}
"""Our command -> words that other tools use for it."""
_ROOT_OPTIONS = ("-p", "--plugin", "--disable")


class CommandGroup(TyperGroup):
    """A group of commands that names the nearest ones, and all, where an unknown one is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first word names.

        Raises:
            UserError: there is none of that name.
        """
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            group = "i2i" if ctx.parent is None else f"i2i {ctx.info_name}"
            raise UserError(_unknown_command(args[0], group, self.list_commands(ctx)))
        return super().resolve_command(ctx, args)


class ConfiguredCommand(TyperCommand):
    """A command with ``--set``, which says how a configuration's options and the data folder are given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the words after the command's name.

        Raises:
            ConfigError: an option or a word is none that the command takes.
        """
        words = list(args)
        ctx.allow_extra_args = True
        try:
            rest = super().parse_args(ctx, args)
        except Exception as error:
            name = getattr(error, "option_name", "")
            if type(error).__name__ != "NoSuchOption" or name in _ROOT_OPTIONS:
                raise
            raise ConfigError(
                _unknown_option(name, words, [one for param in self.params for one in param.opts])
            ) from error
        if ctx.args and not ctx.resilient_parsing:
            raise ConfigError(_extra_word(ctx.args[0], ctx.params, {param.name for param in self.params}))
        return rest


def usage_line(error: Any) -> str:
    """The message for a usage error of click."""
    if (name := getattr(error, "option_name", "")) in _ROOT_OPTIONS:
        words = error.ctx.command_path.removeprefix(error.ctx.find_root().info_name) if error.ctx is not None else ""
        command = words.strip() or "train"
        return f"{name} stands before the command, as in: i2i {name} ... {command}"
    return str(error.format_message())


def _unknown_command(name: str, group: str, known: Sequence[str]) -> str:
    meant = [ours for ours, words in _MEANINGS.items() if name.lower() in words] if group == "i2i" else []
    near = dict.fromkeys([*meant, *difflib.get_close_matches(name, known)])
    commands = f"commands of {group} are {', '.join(known)}"
    if not near:
        return f"no command '{printable(name)}'; the {commands}"
    hint = " or ".join(f"`{group} {one}`" for one in near)
    return f"no command '{printable(name)}'; did you mean {hint}? The {commands}"


def _unknown_option(name: str, words: Sequence[str], known: Sequence[str]) -> str:
    """What to write in place of an option, of which the configuration may have one by the same name."""
    from i2i.config.sections import DataConfig, EngineConfig, TrainConfig

    given = next((word for word in words if word.partition("=")[0] == name), name)
    after = words[words.index(given) + 1 :] if given in words else []
    value = given.partition("=")[2] or next((word for word in after[:1] if not word.startswith("-")), "VALUE")
    key = name.lstrip("-").replace("-", "_")
    text = f"no option {printable(name)}; "
    if any(key.rpartition(".")[2] in section.model_fields for section in (DataConfig, TrainConfig, EngineConfig)):
        return f"{text}it is one of the configuration: --set {key}={value}"
    if near := difflib.get_close_matches(name.lstrip("-"), [option.lstrip("-") for option in known]):
        return f"{text}did you mean {' or '.join(f'--{option}' for option in near)}?"
    return f"{text}options that `i2i config RECIPE` prints are given as --set {key}={value}"


def _extra_word(word: str, values: dict[str, Any], options: set[str | None]) -> str:
    """What to write in place of a word too many."""
    recipe = values.get("recipe")
    if "=" in word and not Path(word).exists():
        return f"unexpected {word}; options of the configuration are given as --set {word}"
    if "data" in options and recipe and Path(recipe).is_dir() and not Path(word).is_dir():
        return f"{recipe} is no recipe; name that first, and then the data folder: {word} --data {recipe}"
    if "data" in options:
        return f"unexpected {word}; the data folder is given as --data {word}"
    if "folder" in options:
        return f"unexpected {word}; one folder is checked at a time, and its recipe is given as --recipe {word}"
    return f"unexpected {word}; there is one recipe, and its options are given as --set KEY=VALUE"
