"""What is checked of recipes, components and networks while they train."""
