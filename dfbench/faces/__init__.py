"""Find faces, align them and cut them out."""
