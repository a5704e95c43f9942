"""What components of each kind promise, one file a kind."""
