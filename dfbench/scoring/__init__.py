"""P(fake) of a user's own images and clips, and what is drawn of it."""
