"""Xception on faces, the strongest baseline of FaceForensics++ (ICCV 2019)."""
