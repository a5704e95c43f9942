"""i2i: plugin-based image-to-image translation. The public names are in ``__init__.pyi`` and are loaded when used."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
