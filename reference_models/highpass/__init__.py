"""A high-pass filter before a small network (IH&MMSec 2018), re-made from memory of the paper."""
