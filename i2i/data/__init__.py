"""Turning folders of images into training samples. Importing this package imports no torch."""

from i2i.api import Component, hookimpl


@hookimpl
def i2i_datasets() -> list[Component]:
    """Layouts of folders."""
    from i2i.data.layouts import paired, single, two_folders, unpaired

    return [
        Component("side-by-side", paired.SideBySide, summary="A|B in one file, in train/ and val/ or one folder"),
        Component("folders", paired.PairedFolders, two_folders.FoldersConfig, "Two folders with the same file names"),
        Component("unpaired", unpaired.Unpaired, two_folders.FoldersConfig, "Two folders that have nothing in common"),
        Component("classes", single.Classes, summary="One folder a class; its name is the label"),
        Component("images", single.Images, summary="One folder of pictures"),
    ]


@hookimpl
def i2i_transforms() -> list[Component]:
    """Augmentation with the same random parameters for all images of a sample."""
    from i2i.data import transforms

    return [Component("augment", transforms.Augment, transforms.AugmentConfig, "Flips, rotation, brightness, contrast")]
