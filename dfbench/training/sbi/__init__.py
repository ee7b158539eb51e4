"""Self-blended images: fakes made from reals by blending a face with a transformed copy of itself.

Shiohara and Yamasaki, "Detecting Deepfakes with Self-Blended Images", CVPR 2022. The modules follow the published
order: :mod:`stored` (face from a manifest's row), :mod:`crops`, :mod:`transforms`, :mod:`deformation`, :mod:`blending`;
:mod:`pairs` puts them together. All of it is NumPy and OpenCV, without torch. See ``docs/sbi.md``.
"""
