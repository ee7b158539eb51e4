"""From one clip to its manifest rows."""
