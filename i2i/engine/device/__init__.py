"""What depends on machine and system: processes, device, precision, memory, loader processes, signals."""
