"""What GRnet says about itself; free of torch."""

from __future__ import annotations

from dfbench.models import ModelSpec, OpenPoint, TrainingDefaults

_BIBTEX = """@article{guo2023grnet,
  title   = {Exposing Deepfake Face Forgeries with Guided Residuals},
  author  = {Guo, Zhiqing and Yang, Gaobo and Chen, Jiyou and Sun, Xingming},
  journal = {IEEE Transactions on Multimedia},
  year    = {2023},
  note    = {arXiv:2205.00753}
}"""

GRNET = ModelSpec(
    name="grnet",
    target="reference_models.grnet.network:GRnet",
    options={
        "radius": 2,
        "eps": 0.01,
        "guide": "channel",
        "gain": 1.0,
        "residual_norm": True,
        "residual_at": "after",
        "afm_at": "map",
        "alpha_update": "epoch",
        "alpha_form": "softmax",
        "w_aux": 1.0,
        "backbone": "resnet18",
        "fusion": "afm",
        "streams": "both",
        "stream_heads": True,
        "pretrained": False,
    },
    sizes=(128, 224),
    any_size=True,
    smallest=32,
    paper="Guo, Yang, Chen and Sun, Exposing Deepfake Face Forgeries with Guided Residuals, arXiv:2205.00753",
    bibtex=_BIBTEX,
    provenance="re-implementation",
    measured="re-implementation, not yet measured",
    licence="Apache-2.0",
    open_points=(
        OpenPoint(
            "first weights (published: ImageNet)", "random, since nothing is fetched unless asked for", "pretrained"
        ),
        OpenPoint(
            "window radius and eps of the guided filter", "radius 2 and eps 0.01 on images in [0,1]", "radius, eps"
        ),
        OpenPoint("grey or colour guide", "every RGB plane guides itself; the residual has 3 channels", "guide"),
        OpenPoint("filter at the border", "window cut at the border, divided by the pixels inside"),
        OpenPoint("amplification of the residual", "none", "gain"),
        OpenPoint(
            "where the residual is taken",
            "after the geometric augmentation, on [0,1], before normalisation",
            "residual_at",
        ),
        OpenPoint("normalisation of the residual", "by the ImageNet mean and deviation, like the RGB", "residual_norm"),
        OpenPoint("whether the streams share weights", "they do not"),
        OpenPoint("where the fusion sits", "on the last 512-channel map, before pooling", "afm_at"),
        OpenPoint(
            "form of the channel attention",
            "row-wise softmax of unscaled dot products, no residual sum, nothing learned",
        ),
        OpenPoint(
            'form of the stream weights: loss and weight are "inversely proportional", the losses "fed into the '
            'softmax function"',
            "softmax of the negated losses, for two streams the same as that of the swapped losses",
            "alpha_form",
        ),
        OpenPoint(
            "when the stream weights change",
            "after an epoch, from its mean training losses; 0.5 each at first; the last ones serve at inference",
            "alpha_update",
        ),
        OpenPoint(
            "heads and losses of the streams", "a linear head each, losses added with weight 1", "w_aux, stream_heads"
        ),
        OpenPoint(
            "Table I: what stands in for the residual where MTE is left out",
            "a second RGB stream with weights of its own, so that the size stays",
            "streams",
        ),
        OpenPoint("Table I: what stands in for AFM where it is left out", "the plain sum of the maps", "fusion"),
        OpenPoint("decay rates of Adam", "0.9 and 0.999"),
        OpenPoint("factor of the exponential learning rate", "0.9 an epoch"),
        OpenPoint("epochs, batch size, seed", "20, 64, 7, as in a later program of the same laboratory"),
        OpenPoint("ranges of the augmentation", "flip 0.5, rotation 10 degrees, perspective 0.5 with probability 0.5"),
        OpenPoint("selection of the weights", "the protocol's rule, on validation data alone"),
    ),
    recipe=TrainingDefaults(
        optimizer="adam",
        lr=5e-4,
        lr_decay=0.9,
        epochs=20,
        batch_size=64,
        rotation=10.0,
        perspective=0.5,
        flip=0.5,
        source="optimiser, rate and kinds of augmentation: section IV-B3; all else proposed, see the open points",
    ),
    pretrained="ImageNet weights of ResNet-18 (resnet18.tv_in1k, 47 MB, Hugging Face hub) for both streams; with "
    "another backbone, those of that",
    published_pretrained=True,
)
