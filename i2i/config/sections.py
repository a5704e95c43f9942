"""The options that every recipe shares: ``data``, ``train`` and ``engine``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_serializer, field_validator

from i2i.api import (
    Choice,
    Config,
    DatasetChoice,
    MetricChoice,
    OptimizerChoice,
    ScheduleChoice,
    TrackerChoice,
    TransformChoice,
)
from i2i.config.label_colors import built_in_table, parse_label_colors
from i2i.config.values import (
    BandNumbers,
    Betas,
    Count,
    CropSize,
    Fraction,
    Images,
    LoadSize,
    Positive,
    RangeText,
    Size,
    height_and_width,
    size_text,
)
from i2i.kinds import ClassColor, LabelColors, ValueKind


class DataConfig(Config):
    """Where images come from and how they become training samples."""

    root: str | None = None
    """The data folder; without one, samples drawn by code are used."""
    layout: DatasetChoice = DatasetChoice("auto")
    """How the folder is organised: auto, or a dataset listed by `i2i plugins list`."""
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """Which side is the source. A is the left half of a side-by-side file, or the first folder by name."""
    val_root: str | None = None
    """Another folder, of the same or another layout, whose images are the validation images; null: those of root."""
    size: CropSize = 256
    """Size of the training crop of the target in pixels: the side of a square, or [height, width]."""
    scale: Annotated[int, Field(ge=1, le=16)] = 1
    """How many times larger the target is than the source: above 1 for super-resolution."""
    load_size: LoadSize | None = None
    """Size that images are resized to before the crop: [height, width], or the shorter side of what has the shape of
    the crop; null: size * jitter."""
    jitter: Annotated[float, Field(ge=1, le=16)] = 286 / 256
    """How much larger than the crop images are resized, which leaves room for random crops; 1: no random crop."""
    resize: Literal["stretch", "shorter", "none"] = "stretch"
    """stretch: to load_size; shorter: in proportion, until they just cover load_size, so that for a square crop the
    shorter side becomes load_size; none: crop at the original scale, as pairs of two sizes always do."""
    source_channels: Positive | None = None
    """Channels of the source images, 4 with alpha; null: 1 if all of them are grey, 3 for colour or what data.alpha
    says, and of images of other bands their number."""
    target_channels: Positive | None = None
    """Channels of the target images; null: as for the source."""
    source_bands: BandNumbers | None = None
    """Which bands of the source images are taken, counted from 1, in this order: [3, 2, 1]; null: all."""
    target_bands: BandNumbers | None = None
    """Which bands of the target images are taken; null: all."""
    pages: Literal["first", "stack"] = "first"
    """Of files with several pages or frames: first, or stack: all of them, which must be of one size, as bands."""
    alpha: Literal["bleed", "white", "black", "channel"] = "bleed"
    """What transparent images become. bleed: where alpha is 0, pixels get the nearest visible colour; white, black: the
    image is put on that colour; channel: as bleed, and images that have alpha keep it as their fourth channel."""
    source_range: RangeText | None = None
    """Least and greatest value of the source images in the files' own units: LOW..HIGH, as 500..10000, beyond which
    values are clipped; auto: those of the checked training images; null: 0 and full scale of their type."""
    target_range: RangeText | None = None
    """The same for the target images; the exported model gives images in these units."""
    source_kind: Literal["auto", "image", "labels", "mask", "values"] = "auto"
    """What the values of the source images stand for. image: a picture; labels: numbers of classes, in a palette or in
    grey, or colours that stand for classes; mask: where something is; values: measurements, such as depth. Labels and
    masks are resized by the nearest pixel, and only pictures change in brightness. auto: what the dataset says; labels
    for palette images where the recipe takes labels; else image."""
    target_kind: Literal["auto", "image", "labels", "mask", "values"] = "auto"
    """What the values of the target images stand for; auto: what the dataset says, else image."""
    label_colors: Annotated[str | tuple[ClassColor, ...] | None, BeforeValidator(parse_label_colors)] = None
    """Which colours of label maps stand for which classes: cityscapes or voc; a text, CSV or JSON file of lines
    class,red,green,blue; or such rows, as [[0, 128, 64, 128]]. Label maps are then read by their colours, also those
    with a palette and grey ones. null: numbers are taken as they are."""
    label_ignore: Annotated[int, Field(ge=0, le=255)] | None = None
    """What pixels of colours that are not in label_colors count as, for losses that ignore that number; null: a label
    map with such a pixel is refused."""
    label_nearest: bool = False
    """Pixels of colours that are not in label_colors count as the class of the nearest colour, for label maps in JPEG
    files or with smoothed borders; the exported model reads its label maps so, too."""
    transform: TransformChoice = TransformChoice("augment")
    """Augmentation of the training samples; both images of a pair get the same random parameters."""
    degrade: TransformChoice | None = None
    """Makes the source out of the target where there is none, after augmentation: a transform; null: nothing."""
    val_whole: bool = False
    """Validate on whole images, cut only to what the scale asks for, instead of on a crop."""
    val_fraction: Fraction = 0.1
    """Share of the images held out for validation when the folder has no validation split."""
    workers: Annotated[int, Field(ge=0, le=256)] | None = None
    """Loader processes; null: none on a CPU, up to 8 beside a GPU. The samples do not depend on it."""
    cache_mb: Count = 1024
    """Memory for decoded images, in MiB; what does not fit is decoded anew each time."""
    check_files: Count = 10_000
    """How many files, spread evenly, are decoded before training to find damaged ones."""

    @field_validator("load_size")
    @classmethod
    def _crop_fits(cls, load_size: Size | None, info: ValidationInfo) -> Size | None:
        if load_size is None or "size" not in info.data:
            return load_size
        size = height_and_width(info.data["size"])
        loaded = load_size if isinstance(load_size, tuple) else _similar(size, load_size)
        if any(long < side for long, side in zip(loaded, size, strict=True)):
            raise ValueError(f"load_size {size_text(load_size)} is smaller than size {size_text(size)}")
        return load_size

    @field_validator("alpha")
    @classmethod
    def _alpha_is_there(cls, alpha: str, info: ValidationInfo) -> str:
        for key in ("source_channels", "target_channels"):
            if alpha in ("white", "black") and info.data.get(key) == 4:
                raise ValueError(f"on {alpha} no alpha is left for data.{key}=4: set data.alpha=channel")
        return alpha

    @field_validator("source_kind", "target_kind")
    @classmethod
    def _labels_have_no_range(cls, kind: str, info: ValidationInfo) -> str:
        key = f"{(info.field_name or '').removesuffix('_kind')}_range"
        if kind == "labels" and info.data.get(key):
            raise ValueError(f"numbers of classes have no range: leave out data.{key}")
        return kind

    @field_validator("label_ignore")
    @classmethod
    def _colors_are_there(cls, ignore: int | None, info: ValidationInfo) -> int | None:
        if ignore is not None and info.data.get("label_colors", "") is None:
            raise ValueError("is for pixels whose colour is not in data.label_colors: set that too, or leave this out")
        return ignore

    @field_validator("label_nearest")
    @classmethod
    def _has_colors(cls, nearest: bool, info: ValidationInfo) -> bool:
        if nearest and info.data.get("label_colors", "") is None:
            raise ValueError("is for the colours of data.label_colors: set that too, or leave this out")
        if nearest and info.data.get("label_ignore") is not None:
            raise ValueError("leaves no other colours that data.label_ignore could be for: set one of them")
        return nearest

    @field_validator("scale")
    @classmethod
    def _crop_divides(cls, scale: int, info: ValidationInfo) -> int:
        height, width = height_and_width(info.data.get("size", 0))
        if height % scale or width % scale:
            fit = size_text((height // scale * scale, width // scale * scale))
            raise ValueError(
                f"size {size_text((height, width))} is not divisible by scale {scale}: set data.size={fit}"
            )
        return scale

    @field_validator("source_bands", "target_bands")
    @classmethod
    def _as_many_as_channels(cls, bands: tuple[int, ...] | None, info: ValidationInfo) -> tuple[int, ...] | None:
        channels = info.data.get(f"{str(info.field_name).removesuffix('_bands')}_channels")
        if bands is not None and channels not in (None, len(bands)):
            raise ValueError(f"{len(bands)} bands are chosen, and the channels are set to {channels}: leave those out")
        return bands

    @property
    def kinds(self) -> dict[str, ValueKind]:
        """The kinds that are set, by key."""
        found: dict[str, ValueKind] = {}
        if self.source_kind != "auto":
            found["source"] = self.source_kind
        if self.target_kind != "auto":
            found["target"] = self.target_kind
        return found

    @cached_property
    def colors(self) -> LabelColors | None:
        """Which colours of label maps stand for which classes; None: their numbers are taken as they are."""
        if self.label_colors is None:
            return None
        rows = built_in_table(self.label_colors) if isinstance(self.label_colors, str) else self.label_colors
        return LabelColors(rows, self.label_ignore, self.label_nearest)

    @property
    def height_width(self) -> tuple[int, int]:
        """Height and width of the training crop of the target."""
        return height_and_width(self.size)

    @property
    def resized(self) -> tuple[int, int]:
        """Height and width that images are resized to before the crop."""
        if self.load_size is None:
            height, width = self.height_width
            return round(height * self.jitter), round(width * self.jitter)
        return self.load_size if isinstance(self.load_size, tuple) else _similar(self.height_width, self.load_size)


def _similar(size: tuple[int, int], shorter: int) -> tuple[int, int]:
    """The height and width in the proportion of a size whose shorter side is given."""
    height, width = (round(side * shorter / min(size)) for side in size)
    return height, width


class PhaseConfig(Config):
    """Replaces settings of one phase; null leaves what the recipe, `train.optimizer` and `train.schedule` say."""

    optimizer: OptimizerChoice | None = None
    """Optimiser of this phase or some options of it, on top of what the recipe and `train.optimizer` say."""
    schedule: ScheduleChoice | None = None
    """Schedule of this phase or some options of it, on top of what the recipe and `train.schedule` say."""
    lr: Annotated[float, Field(gt=0)] | None = None
    """Learning rate of this phase."""
    betas: Betas | None = None
    """Decay of the moment estimates in this phase, for an optimiser that has `betas`."""
    every: Positive | None = None
    """Run the phase in every n-th step only."""

    @field_validator("optimizer", "schedule", mode="before")
    @classmethod
    def _name_may_lack(cls, value: Any) -> Any:
        return {"name": "", **value} if isinstance(value, Mapping) else value

    @field_validator("lr", "betas")
    @classmethod
    def _set_once(cls, value: Any, info: ValidationInfo) -> Any:
        optimizer = info.data.get("optimizer")
        if value is not None and optimizer and info.field_name in optimizer.options:
            raise ValueError(f"{info.field_name} of a phase is also optimizer.{info.field_name}: leave one of them out")
        return value

    @field_serializer("optimizer", "schedule")
    def _settings(self, choice: Choice | None) -> dict[str, Any] | None:
        settings = choice.to_dict() if choice else {}
        return {key: value for key, value in settings.items() if (key, value) != ("name", "")} or None


PAIR_METRICS = MetricChoice("l1"), MetricChoice("psnr")
"""Metrics of images that have targets."""
LABEL_MAP_METRICS = MetricChoice("miou"), MetricChoice("pixel-accuracy")
"""Metrics of label maps that have targets."""
SET_METRICS = MetricChoice("kid", features="available"), MetricChoice("fid", features="available")
"""Metrics of images without targets."""


class TrainConfig(Config):
    """How long, with what optimiser, and what is written when."""

    batch_size: Images = 1
    """Images a step, over all processes together; auto: as many as fit in memory, 256 at most."""
    accumulate: Positive = 1
    """Batches whose gradients are averaged into one optimiser step."""
    epochs: Annotated[float, Field(gt=0)] | None = 200
    """Passes over the data; used when steps is null."""
    steps: Positive | None = None
    """Training steps; takes precedence over epochs."""
    max_hours: Annotated[float, Field(gt=0)] | None = None
    """Hours after which this process finishes its step, saves and leaves; `--resume` goes on. null: no limit."""
    start_from: str | None = None
    """A run or one of its checkpoints, whose weights the networks begin with; null: begin anew."""
    start_strict: bool = True
    """Refuse weights to start from that do not fit in name and shape; false: take those that fit."""
    optimizer: OptimizerChoice = OptimizerChoice("adam")
    """The optimiser of every phase: adam, adamw, rmsprop, sgd, or one that `i2i plugins list` has besides."""
    schedule: ScheduleChoice = ScheduleChoice("constant")
    """How the learning rate changes: constant; linear and cosine fall from 1 towards 0 after `hold`, at each step;
    linear-epochs at each epoch, as the reference code of pix2pix and CycleGAN: from an epoch earlier on, to 0 in the
    last epoch; step multiplies by gamma every `every` steps; or one that `i2i plugins list` has besides."""
    phases: dict[str, PhaseConfig] = Field(default_factory=dict)
    """Settings by phase: `train.phases.discriminator.lr`, `.optimizer`, `.schedule`, or `.every` for k critic steps."""
    ema: Fraction = 0.0
    """Decay of the moving average of the exported networks' weights, such as 0.999; 0: off."""
    log_every: Positive = 20
    """Steps between two lines of metrics.jsonl."""
    sample_every: Positive = 500
    """Steps between two sample grids."""
    sample_count: Positive = 6
    """Validation images on a sample grid."""
    val_images: Positive = 200
    """Validation images used, the first ones by name."""
    metrics: tuple[MetricChoice, ...] | None = None
    """Metrics of the validation, names or {name: NAME, OPTION: VALUE}. null: l1 and psnr where there are targets, miou
    and pixel-accuracy of label maps, else, of colours and grey, kid and fid with a feature network that is there; the
    choice is in the run's configuration, and resuming keeps it."""
    validate_every: Positive | None = None
    """Steps between two validations, each with a checkpoint; null: at each checkpoint, or as validate_epochs says."""
    validate_epochs: Annotated[float, Field(gt=0)] | None = None
    """Passes over the data between two validations; used when validate_every is null."""
    validate_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of the run's time that validations may take beyond their first minute; what would take more is left out,
    but for the one at the end. Not used with validate_every, validate_epochs or patience."""
    best_metric: str | None = None
    """The figure that decides which checkpoint is the best, as validation prints it: kid-random, fid-random/BtoA,
    RECIPE.NAME, or a metric's name where one figure alone is meant; null: the first of metrics that can be measured."""
    best_direction: Literal["auto", "higher", "lower"] = "auto"
    """Which of two values of that figure is better; auto: as its metric says."""
    patience: Positive | None = None
    """Validations after the best one without a better one, after which the run ends and the best checkpoint is
    exported; null: it trains to the end, and the last one is."""
    trackers: tuple[TrackerChoice, ...] = (TrackerChoice("tensorboard"),)
    """Where figures, sample grids and warnings go besides metrics.jsonl, names or {name: NAME, OPTION: VALUE}:
    tensorboard, csv, jsonl, wandb, mlflow, trackio, or one that `i2i plugins list` has besides; []: nowhere."""
    checkpoint_every: Positive = 1000
    """Steps between two checkpoints; there is always one at the end."""
    keep_last: Positive = 3
    """Checkpoints kept, the best one besides."""
    health: bool = True
    """Watch for a GAN that goes wrong, and warn; numbers that are not finite are always caught."""
    keep_every: Count = 0
    """Also keep every checkpoint whose step is a multiple of this; 0: none for that."""

    @field_validator("metrics", "trackers", mode="before")
    @classmethod
    def _one_is_enough(cls, chosen: Any) -> Any:
        return (chosen,) if isinstance(chosen, str | Mapping) else chosen

    @field_validator("metrics")
    @classmethod
    def _each_once(cls, metrics: tuple[MetricChoice, ...] | None) -> tuple[MetricChoice, ...] | None:
        if any(metric in (metrics or ())[:place] for place, metric in enumerate(metrics or ())):
            raise ValueError("each metric can be there once only, but for other options")
        return metrics

    @field_validator("trackers")
    @classmethod
    def _each_tracker_once(cls, trackers: tuple[TrackerChoice, ...]) -> tuple[TrackerChoice, ...]:
        if len({tracker.name for tracker in trackers}) < len(trackers):
            raise ValueError("each tracker can be there once only")
        return trackers


class EngineConfig(Config):
    """Where and in which precision the networks run."""

    device: str = "auto"
    """auto, cpu or cuda."""
    devices: Positive = 1
    """Processes on this machine, one a device; `torchrun` sets it by itself."""
    precision: Literal["auto", "fp32", "bf16", "fp64"] = "auto"
    """auto: bf16 where the hardware multiplies in it (recent GPUs, CPUs with AMX or AVX-512 BF16), else fp32; the
    choice is in the run's configuration, and resuming keeps it."""
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """CPU threads a process; null: torch's default."""
    compile: bool | Literal["auto"] = "auto"
    """Compile the networks with torch.compile; auto: as `tune` finds, in runs of hours."""
    memory_format: Literal["auto", "contiguous", "channels_last"] = "auto"
    """auto: channels_last on GPUs, contiguous on CPUs, or what `tune` finds to be faster."""
    tune: Literal["auto", "off"] = "auto"
    """auto: what computes the same in less time is chosen, for long runs by a few timed steps of throw-away copies; the
    choices are in the run's configuration, and resuming keeps them. It allows TF32 on GPUs: float32 matrices are then
    multiplied with factors of 10 bits, as torch does in convolutions anyway. off: as torch computes by itself."""
