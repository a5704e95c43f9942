"""The checks: a file for each kind of component, and the table of all checks."""
