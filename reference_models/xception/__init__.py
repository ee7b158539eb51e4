"""Xception on faces, the strongest detector of FaceForensics++ (ICCV 2019)."""
