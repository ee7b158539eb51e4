"""Specification of GRnet; free of torch."""

from __future__ import annotations

from dfbench.models import ModelSpec, Preset, ReproductionNote, TrainingDefaults

_BIBTEX = """@article{guo2023grnet,
  title   = {Exposing Deepfake Face Forgeries with Guided Residuals},
  author  = {Guo, Zhiqing and Yang, Gaobo and Chen, Jiyou and Sun, Xingming},
  journal = {IEEE Transactions on Multimedia},
  year    = {2023},
  note    = {arXiv:2205.00753}
}"""

_LITERAL = {"residual_norm": "imagenet", "afm_scale": False, "afm_residual": False}
"""What the paper leaves open, read to the letter: nothing is added that it does not mention. The defaults of 0.1.0."""

_SEARCH = (
    "docs/results/grnet-search.md: 60 validation pairs of mini, three seeds, 120 and 300 steps from random weights; "
    "invented faces, so thin evidence"
)

GRNET = ModelSpec(
    name="grnet",
    target="reference_models.grnet.network:GRnet",
    options={
        "radius": 2,
        "eps": 0.01,
        "guide": "channel",
        "gain": 1.0,
        "residual_norm": "imagenet",
        "residual_at": "after",
        "afm_at": "map",
        "afm_scale": True,
        "afm_residual": True,
        "alpha_update": "epoch",
        "alpha_form": "softmax",
        "w_aux": 1.0,
        "backbone": "resnet18",
        "fusion": "afm",
        "streams": "both",
        "stream_heads": True,
        "pretrained": False,
    },
    former_defaults=_LITERAL,
    presets={
        "paper": Preset(
            "literal reading of the paper: residual normalised like RGB, attention unscaled and without the features",
            _LITERAL,
        )
    },
    former_values={"residual_norm": {True: "imagenet", False: "none", "true": "imagenet", "false": "none"}},
    sizes=(128, 224),
    any_size=True,
    smallest=32,
    paper="Guo, Yang, Chen and Sun, Exposing Deepfake Face Forgeries with Guided Residuals, arXiv:2205.00753",
    bibtex=_BIBTEX,
    provenance="re-implementation",
    measured="re-implementation, not yet measured",
    licence="Apache-2.0",
    reproduction_notes=(
        ReproductionNote(
            "first weights (published: ImageNet)",
            "random; pretrained weights are downloaded on request only",
            "pretrained",
        ),
        ReproductionNote(
            "window radius and eps of the guided filter", "radius 2 and eps 0.01 on images in [0,1]", "radius, eps"
        ),
        ReproductionNote(
            "grey or colour guide", "every RGB channel guides itself; the residual has 3 channels", "guide"
        ),
        ReproductionNote(
            "filter at the border", "the window is cropped at the border and divided by the number of pixels inside"
        ),
        ReproductionNote("amplification of the residual", "none", "gain"),
        ReproductionNote(
            "where the residual is computed",
            "after the geometric augmentation, on [0,1], before normalisation",
            "residual_at",
        ),
        ReproductionNote(
            "normalisation of the residual",
            "by the ImageNet mean and standard deviation, like RGB; validation AUC over budgets and seeds 0.709, with "
            f"none 0.706 (tied), with batch statistics 0.698 ({_SEARCH})",
            "residual_norm",
        ),
        ReproductionNote("whether the streams share weights", "they do not"),
        ReproductionNote("position of the fusion", "on the last 512-channel map, before pooling", "afm_at"),
        ReproductionNote(
            "form of the channel attention",
            "row-wise softmax of dot products over the square root of the number of positions, the features added, no "
            "learned parameters; validation AUC over budgets and seeds 0.762, to the letter (unscaled, not added) "
            f"0.709, scaled only 0.737, added only 0.742 ({_SEARCH})",
            "afm_scale, afm_residual",
        ),
        ReproductionNote(
            'form of the stream weights: loss and weight are "inversely proportional", the losses "fed into the '
            'softmax function"',
            "softmax of the negated losses, for two streams the same as that of the swapped losses",
            "alpha_form",
        ),
        ReproductionNote(
            "when the stream weights change",
            "after each epoch, from its mean training losses; 0.5 each at first; the last ones are used at inference",
            "alpha_update",
        ),
        ReproductionNote(
            "heads and losses of the streams", "a linear head each, losses added with weight 1", "w_aux, stream_heads"
        ),
        ReproductionNote(
            "Table I: replacement of the residual in the ablation without MTE",
            "a second RGB stream with separate weights, so that the number of parameters is unchanged",
            "streams",
        ),
        ReproductionNote("Table I: replacement of AFM in the ablation without it", "the sum of the maps", "fusion"),
        ReproductionNote("decay rates of Adam", "0.9 and 0.999"),
        ReproductionNote("factor of the exponential learning rate", "0.9 per epoch"),
        ReproductionNote("epochs, batch size, seed", "20, 64, 7, as in later code of the same group"),
        ReproductionNote(
            "ranges of the augmentation", "flip 0.5, rotation 10 degrees, perspective 0.5 with probability 0.5"
        ),
        ReproductionNote("selection of the weights", "the rule of the protocol, on validation data only"),
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
        source="optimiser, rate and kinds of augmentation: section IV-B3; all else: see the reproduction notes",
    ),
    pretrained="ImageNet weights of ResNet-18 (resnet18.tv_in1k, 47 MB, Hugging Face hub) for both streams; with "
    "another backbone, its ImageNet weights",
    published_pretrained=True,
)
