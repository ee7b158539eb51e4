"""Protocol files: TOML -> a validated, hashed, frozen object."""
