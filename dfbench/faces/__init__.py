"""Faces: detectors, landmarks, alignment, crop profiles and the resampling of crops.

The libraries of the networks are imported when a detector is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfbench._lazy import lazy_attributes

if TYPE_CHECKING:
    from dfbench.faces.base import DetectorChoice as DetectorChoice
    from dfbench.faces.base import Face as Face
    from dfbench.faces.base import FaceDetector as FaceDetector
    from dfbench.faces.crops import crop as crop
    from dfbench.faces.detectors import build_face_detector as build_face_detector
    from dfbench.faces.detectors import face_detector_names as face_detector_names
    from dfbench.faces.landmarks import LandmarkProvider as LandmarkProvider
    from dfbench.faces.landmarks import build_landmark_provider as build_landmark_provider
    from dfbench.faces.landmarks import landmark_provider_names as landmark_provider_names
    from dfbench.faces.profiles import CropProfile as CropProfile
    from dfbench.faces.profiles import get_profile as get_profile
    from dfbench.faces.profiles import profile_names as profile_names

_LAZY = {
    "CropProfile": "dfbench.faces.profiles",
    "DetectorChoice": "dfbench.faces.base",
    "Face": "dfbench.faces.base",
    "FaceDetector": "dfbench.faces.base",
    "LandmarkProvider": "dfbench.faces.landmarks",
    "build_face_detector": "dfbench.faces.detectors",
    "build_landmark_provider": "dfbench.faces.landmarks",
    "crop": "dfbench.faces.crops",
    "face_detector_names": "dfbench.faces.detectors",
    "get_profile": "dfbench.faces.profiles",
    "landmark_provider_names": "dfbench.faces.landmarks",
    "profile_names": "dfbench.faces.profiles",
}

__all__ = [
    "CropProfile",
    "DetectorChoice",
    "Face",
    "FaceDetector",
    "LandmarkProvider",
    "build_face_detector",
    "build_landmark_provider",
    "crop",
    "face_detector_names",
    "get_profile",
    "landmark_provider_names",
    "profile_names",
]

__getattr__ = lazy_attributes(__name__, _LAZY)
