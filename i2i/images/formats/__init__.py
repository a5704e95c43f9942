"""The image formats that are taken apart here: one file a format."""
