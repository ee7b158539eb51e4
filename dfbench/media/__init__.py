"""Open clips and still images, exact frames; encode clips and pictures."""
