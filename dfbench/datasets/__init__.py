"""One adapter a data set: a tree on disk becomes a media table, from names and lists alone."""
