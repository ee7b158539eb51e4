"""A high-pass filter followed by a small network (IH&MMSec 2018); approximate, from memory of the paper."""
