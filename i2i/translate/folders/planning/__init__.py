"""Which input becomes which output file, settled before any work."""
