"""How datasets read image files: decoded, kept in memory, and recorded."""
