"""Reading images and turning folders into training samples. Importing this package imports no torch."""

from i2i.api import Component, hookimpl


@hookimpl
def i2i_datasets() -> list[Component]:
    """Layouts of folders, and the sample sets drawn by code."""
    from i2i.data import paired, samples, single, unpaired

    return [
        Component("side-by-side", paired.SideBySide, summary="A|B in one file, in train/ and val/ or one folder"),
        Component("folders", paired.TwoFolders, paired.FoldersConfig, "Two folders with the same file names"),
        Component("unpaired", unpaired.Unpaired, paired.FoldersConfig, "Two folders that have nothing in common"),
        Component("classes", single.Classes, summary="One folder a class; its name is the label"),
        Component("images", single.Images, summary="One folder of pictures"),
        Component("facades", samples.Facades, samples.FacadesConfig, "Label maps and facades drawn by code"),
        Component("day-night", samples.DayNight, samples.DayNightConfig, "Facades by day and others by night"),
        Component("styles", samples.Styles, samples.StylesConfig, "Facades in four styles, the style as the label"),
        Component("pictures", samples.Pictures, samples.PicturesConfig, "Facades in fine detail"),
    ]


@hookimpl
def i2i_transforms() -> list[Component]:
    """Augmentation with the same random parameters for all images of a sample."""
    from i2i.data import transforms

    return [Component("augment", transforms.Augment, transforms.AugmentConfig, "Flips, rotation, brightness, contrast")]
