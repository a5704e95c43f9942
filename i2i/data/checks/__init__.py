"""The check of a data folder before training, for ``i2i data check`` and for `i2i.data.loading.open_data`."""
