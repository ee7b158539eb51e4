"""Indices of the face mesh's points: MediaPipe's 478 points, then 26 of the silhouette, then the outer ring."""

from __future__ import annotations

MESH = 468
IRIS = 10
RAYS = 26
POINTS = MESH + IRIS + RAYS
"""Number of points of the model; the outer ring is derived from them."""

ANCHOR = 168
LEFT_SIDE, RIGHT_SIDE = 234, 454
"""Widest points of the face, image left and image right; their distance is one face width."""

JAW = (361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132)
FOREHEAD = (93, 234, 127, 162, 21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251, 389, 356, 454, 323)
OVAL = (*FOREHEAD, *JAW)
"""The face oval as a closed polygon."""

LIP_CORNERS = (61, 291)
INNER_CORNERS = (78, 308)
UPPER_INNER = (191, 80, 81, 82, 13, 312, 311, 310, 415)
LOWER_INNER = (95, 88, 178, 87, 14, 317, 402, 318, 324)
UPPER_OUTER = (185, 40, 39, 37, 0, 267, 269, 270, 409)
LOWER_OUTER = (146, 91, 181, 84, 17, 314, 405, 321, 375)

# Each eye: corner towards the ear, corner towards the nose, upper lid, lower lid (same order), fold above the lid.
EYES = (
    (33, 133, (246, 161, 160, 159, 158, 157, 173), (7, 163, 144, 145, 153, 154, 155), (247, 30, 29, 27, 28, 56, 190)),
    (263, 362, (466, 388, 387, 386, 385, 384, 398), (249, 390, 373, 374, 380, 381, 382),
     (467, 260, 259, 257, 258, 286, 414)),
)  # fmt: skip
IRIS_CENTRES = (468, 473)
BROWS = (70, 63, 105, 66, 107, 46, 53, 52, 65, 55, 300, 293, 334, 296, 336, 276, 283, 282, 295, 285)

FIVE = (468, 473, 4, 61, 291)
"""Image-left eye, image-right eye, nose tip, image-left and image-right mouth corner."""
