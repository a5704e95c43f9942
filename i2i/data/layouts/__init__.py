"""How data folders are organised: one dataset component a layout."""
