"""Self-blended images: fakes made from reals by blending a face with a transformed copy of itself.

Shiohara and Yamasaki, "Detecting Deepfakes with Self-Blended Images", CVPR 2022. The modules follow the published
order: :mod:`stored` (face from a manifest's row), its first crop (:mod:`dfbench.faces.regions`), :mod:`transforms`,
:mod:`deformation`, :mod:`blending`; :mod:`pairs` puts them together, all of it NumPy and OpenCV, without torch.
:mod:`images` makes the batches of a training; the method ``sbi`` is registered in ``reference_models/sbi``. See
``docs/sbi.md``.
"""
