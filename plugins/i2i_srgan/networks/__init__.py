"""Generators and discriminators of super-resolution."""
