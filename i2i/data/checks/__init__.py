"""The check of a data folder before training: what is wrong in it, as data, for the command and for `open_data`."""
