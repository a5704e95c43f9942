"""i2i: plugin-based image-to-image translation. The public names are in ``__init__.pyi`` and are loaded when used."""


def __getattr__(name: str) -> object:
    import lazy_loader  # here and not above, for the command imports this package before it listens to signals

    if name == "__version__":
        from importlib.metadata import version

        return version("i2i-toolkit")
    load, _, names = lazy_loader.attach_stub(__name__, __file__)
    if name == "__all__":
        return names
    try:
        return globals().setdefault(name, load(name))
    except ModuleNotFoundError as error:
        from i2i.extras import missing_extra

        if missing := missing_extra(error):
            raise missing from error
        raise


def __dir__() -> list[str]:
    import lazy_loader

    return list(lazy_loader.attach_stub(__name__, __file__)[1]())
