"""The five tables that the parts of dfbench hand to each other, and their identifiers."""
