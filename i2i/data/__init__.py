"""Reading images and turning folders into training samples. Importing this package imports no torch."""

from i2i.api import Component, hookimpl


@hookimpl
def i2i_datasets() -> list[Component]:
    """Paired folders, and the sample set drawn by code."""
    from i2i.data import paired, samples

    return [
        Component("side-by-side", paired.SideBySide, summary="A|B in one file, in train/ and val/ or one folder"),
        Component("folders", paired.TwoFolders, paired.FoldersConfig, "Two folders with the same file names"),
        Component("facades", samples.Facades, samples.FacadesConfig, "Label maps and facades drawn by code"),
    ]


@hookimpl
def i2i_transforms() -> list[Component]:
    """Augmentation with the same random parameters for all images of a sample."""
    from i2i.data import transforms

    return [Component("augment", transforms.Augment, transforms.AugmentConfig, "Flips, rotation, brightness, contrast")]
