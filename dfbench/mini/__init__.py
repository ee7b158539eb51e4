"""The embedded data set: invented people, four manipulations, FF++'s tree."""

from dfbench.mini.generate import generate
from dfbench.mini.settings import MiniSettings

__all__ = ["MiniSettings", "generate"]
