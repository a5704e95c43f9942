"""Sample sets drawn by code, so that a training can begin without any data: facades in several forms."""

import i2i


@i2i.hookimpl
def i2i_datasets() -> list[i2i.Component]:
    """The sets: for paired, unpaired, labelled and high-resolution training."""
    from i2i import Component
    from i2i_samples import options as o

    here = "i2i_samples.datasets"
    return [
        Component("facades", f"{here}:Facades", o.FacadesConfig, "Label maps and facades drawn by code"),
        Component("day-night", f"{here}:DayNight", o.DayNightConfig, "Facades by day and others by night"),
        Component("styles", f"{here}:Styles", o.StylesConfig, "Facades in four styles, the style as the label"),
        Component("tints", "i2i_samples.tints:Tints", o.TintsConfig, "Label maps, and facades in any colour"),
        Component(
            "tinted-styles",
            "i2i_samples.tints:TintedStyles",
            o.TintedStylesConfig,
            "Facades in any colour by day, by night and in snow, with references",
        ),
        Component("pictures", f"{here}:Pictures", o.PicturesConfig, "Facades in fine detail"),
    ]
