"""What components of each kind promise: a file for each kind, and the table of all checks."""
