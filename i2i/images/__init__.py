"""Reading and writing image files: formats, pixels, colour and EXIF. Imports no torch."""
