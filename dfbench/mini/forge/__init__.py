"""The four forgeries of FF++'s families, drawn over an original's decoded frames."""
