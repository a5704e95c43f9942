"""Turning folders of images into training samples. Importing this package imports no torch."""

from i2i.api import Component, hookimpl


@hookimpl
def i2i_datasets() -> list[Component]:
    """Layouts of folders."""
    from i2i.data.layouts.options import FoldersConfig, PairedFoldersConfig

    here = "i2i.data.layouts"
    return [
        Component(
            "side-by-side", f"{here}.paired:SideBySide", summary="A|B in one file, in train/ and val/ or one folder"
        ),
        Component("folders", f"{here}.paired:PairedFolders", PairedFoldersConfig, "Two folders, equal file names"),
        Component("unpaired", f"{here}.unpaired:Unpaired", FoldersConfig, "Two folders that have nothing in common"),
        Component("classes", f"{here}.single:Classes", summary="One folder a class; its name is the label"),
        Component(
            "references", f"{here}.references:References", summary="The same, with two images of a class as references"
        ),
        Component("images", f"{here}.single:Images", summary="One folder of pictures"),
    ]


@hookimpl
def i2i_transforms() -> list[Component]:
    """Augmentation with the same random parameters for all images of a sample."""
    from i2i.data.options import AugmentConfig

    augment = "i2i.data.transforms:Augment"
    return [Component("augment", augment, AugmentConfig, "Flips, rotation, brightness, contrast")]
