"""Foreign files in and out: scores of any other program."""
