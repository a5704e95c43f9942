"""Sample sets drawn by code, so that a training can begin without any data: facades in several forms."""

import i2i


@i2i.hookimpl
def i2i_datasets() -> list[i2i.Component]:
    """The sets: for paired, unpaired, labelled and high-resolution training."""
    from i2i import Component
    from i2i_samples import datasets

    return [
        Component("facades", datasets.Facades, datasets.FacadesConfig, "Label maps and facades drawn by code"),
        Component("day-night", datasets.DayNight, datasets.DayNightConfig, "Facades by day and others by night"),
        Component("styles", datasets.Styles, datasets.StylesConfig, "Facades in four styles, the style as the label"),
        Component("pictures", datasets.Pictures, datasets.PicturesConfig, "Facades in fine detail"),
    ]
