"""Translating whole folders: which file becomes which, and the pipeline that works it off."""
