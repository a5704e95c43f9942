"""The machine that trains: processes, device, precision, memory, loading, and being told to stop."""
