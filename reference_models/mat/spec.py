"""Specification of MAT, and the tensor names of the authors' weight files; free of torch."""

from __future__ import annotations

from dfbench.models import KeyMap, ModelSpec, Preset, ReproductionNote, TrainingDefaults
from dfbench.models.convert.keymap import Rule, State, rename
from reference_models.efficientnet.spec import from_sbi

_BACKBONE = "net."
_RULES: tuple[Rule, ...] = (
    (r"^attentions\.conv_extract\.", "attention.conv1."),
    (r"^attentions\.bn([12])\.", r"attention.norm\1."),
    (r"^attentions\.(conv2\.|mask$)", r"attention.\1"),
    (r"^texture_enhance\.conv_extract\.", "texture.extract."),
    (r"^texture_enhance\.conv0\.", "texture.first."),
    *((rf"^texture_enhance\.conv{k}\.", f"texture.dense.{k - 1}.conv.") for k in (1, 2, 3)),
    *((rf"^texture_enhance\.bn{k}\.", f"texture.dense.{k - 1}.norm.") for k in (1, 2, 3)),
    (r"^texture_enhance\.conv_last\.", "texture.last.conv."),
    (r"^texture_enhance\.bn4\.", "texture.last.norm."),
    (r"^texture_enhance\.bn_last\.", "texture.norm."),
    (r"^projection_local\.", "local."),
    (r"^project_final\.", "semantic."),
    (r"^ensemble_classifier_fc\.", "classifier."),
    (r"^auxiliary_loss\.feature_centers$", "independence.centres"),
    (r"^auxiliary_loss\.alpha$", "independence.alpha"),
)


def from_authors(state: State) -> State:
    """Convert names of the authors' program: its EfficientNet has those of efficientnet_pytorch, behind ``net``."""
    backbone = {name.removeprefix(_BACKBONE): t for name, t in state.items() if name.startswith(_BACKBONE)}
    others = {name: tensor for name, tensor in state.items() if not name.startswith(_BACKBONE)}
    return from_sbi(backbone) | rename(others, _RULES)


AUTHORS = KeyMap(
    name="multiple-attention",
    source="multiple-attention, checkpoints of its main run (ckpt_N.pth of a1_b5_b2)",
    marks=("attentions.conv_extract.weight", "texture_enhance.conv_extract.weight", "ensemble_classifier_fc.2.weight"),
    convert=from_authors,
    head="classifier.2.weight",
    unused=("auxiliary_loss.inner_margin",),
    options={"attention": "released", "texture": "v2", "padding": "fixed", "normalization": "half"},
    size=380,
    selection="unknown; the authors' program stores every epoch and validates on test data",
)

_BIBTEX = """@inproceedings{zhao2021multiattentional,
  title     = {Multi-attentional Deepfake Detection},
  author    = {Zhao, Hanqing and Zhou, Wenbo and Chen, Dongdong and Wei, Tianyi and Zhang, Weiming and Yu, Nenghai},
  booktitle = {CVPR},
  year      = {2021}
}"""

_PAPER = {
    "attention": "paper",
    "texture": "v1",
    "independence": "v1",
    "margin": 0.2,
    "inner_margin_real": 0.05,
    "inner_margin_fake": 0.1,
    "w_independence": 1.0,
    "agda": "linear",
    "agda_scale": 0.3,
    "agda_noise": 0.0,
    "agda_centres": False,
    "w_match": 0.0,
}
_PAPER_RECIPE = TrainingDefaults(
    lr=1e-3,
    weight_decay=1e-6,
    epochs=20,
    batch_size=48,
    flip=0.5,
    source="section 4.1 as quoted by reading notes; epochs, schedule and flips are not in them and are proposed",
)
_CODE_RECIPE = TrainingDefaults(
    optimizer="adamw",
    lr=1e-4,
    lr_decay=0.5,
    lr_decay_epochs=5,
    epochs=30,
    batch_size=15,
    weight_decay=1e-6,
    flip=0.5,
    source="the authors' program, the second phase of its main run; its batches are 15 for each GPU",
)

MAT = ModelSpec(
    name="mat",
    target="reference_models.mat.network:MAT",
    options={
        "attention": "released",
        "attention_layer": "b5",
        "texture": "v2",
        "texture_layer": "b2",
        "maps": 4,
        "padding": "fixed",
        "independence": "v2",
        "margin": 0.8,
        "inner_margin_real": 0.2,
        "inner_margin_fake": -0.8,
        "squared_distances": False,
        "alpha": 0.05,
        "alpha_decay": 0.9,
        "w_independence": 0.5,
        "agda": "soft",
        "agda_scale": 0.5,
        "agda_noise": 0.1,
        "agda_centres": True,
        "w_agda": 1.0,
        "w_match": 0.1,
        "backbone_epochs": 0,
        "normalization": "half",
        "float32_scores": True,
        "pretrained": False,
    },
    presets={
        "code": Preset(
            "the main run of the authors' program: 20 epochs of the backbone alone, then 30 of the whole network",
            {"backbone_epochs": 20},
            TrainingDefaults(
                optimizer="adamw",
                lr=1e-4,
                lr_decay=0.5,
                lr_decay_epochs=5,
                lr_restart_epoch=20,
                epochs=50,
                batch_size=15,
                weight_decay=1e-6,
                flip=0.5,
                source="the authors' program, both phases of its main run; its batches are 16, then 15 for each GPU",
            ),
        ),
        "paper": Preset("network, losses and hyper-parameters of the paper's text", _PAPER, _PAPER_RECIPE),
        "notes": Preset(
            "the paper's text as reading notes print it: alpha 0.5, squared distances",
            _PAPER | {"alpha": 0.5, "squared_distances": True},
            _PAPER_RECIPE,
        ),
    },
    sizes=(380, 128, 224, 256),
    any_size=True,
    smallest=96,
    published_sizes=(380,),
    paper="Zhao, Zhou, Chen, Wei, Zhang and Yu, Multi-attentional Deepfake Detection, CVPR 2021",
    bibtex=_BIBTEX,
    provenance="re-implementation",
    measured="re-implementation, not yet measured",
    licence="Apache-2.0",
    caution="faces smaller than the crops are enlarged by them; the authors' program cuts 380 pixels without resizing",
    reproduction_notes=(
        ReproductionNote(
            "first weights (published: ImageNet with AdvProp, then 20 epochs of the backbone alone)",
            "random; pretrained weights are downloaded on request only",
            "pretrained, backbone_epochs",
        ),
        ReproductionNote(
            "attention module: the paper has a 1x1 convolution, batch normalisation and ReLU; the program a 3x3 "
            "convolution before it, ELU + 1 and a border of zeros",
            "the program's, which the released weights need",
            "attention",
        ),
        ReproductionNote(
            "border of the attention maps at other sizes than 380 pixels",
            "the mask of 24 x 24 is resized by nearest neighbour, as in the program; at its own 23 x 23 the border is "
            "two pixels wide on the left and above, one on the right and below",
        ),
        ReproductionNote(
            "texture enhancement: the paper enhances the residual once, the program once for every map",
            "the program's (v2)",
            "texture",
        ),
        ReproductionNote(
            "padding: the program computes that of every layer from 380 pixels, not from the layer's own input",
            "the program's, at every size: maps of 95, 47, 23 and 11 pixels at 380",
            "padding",
        ),
        ReproductionNote(
            "regional independence loss: two forms in the program, the earlier one has the paper's margins",
            "the later one (v2), which its main run uses",
            "independence, margin, inner_margin_real, inner_margin_fake",
        ),
        ReproductionNote(
            "loss between centres in the earlier form: a misspelt variable in the program drops its division by the "
            "number of maps and alpha",
            "not divided, as the program computes",
            "independence",
        ),
        ReproductionNote(
            "distances: reading notes print squared norms and sums over the batch",
            "norms and means, as in the program; squared with the preset notes",
            "squared_distances",
        ),
        ReproductionNote(
            "initial rate of the centres: reading notes print 0.5, the program and a third party have 0.05",
            "0.05",
            "alpha",
        ),
        ReproductionNote(
            "which images are real, with more than two classes", "those of the first class; all others are fakes"
        ),
        ReproductionNote(
            "weight of the degraded image: the paper has the map itself, the program a sigmoid of it, and noise",
            "the program's",
            "agda, agda_scale, agda_noise",
        ),
        ReproductionNote("how the paper scales the map that degrades an image", "it is divided by its largest value"),
        ReproductionNote(
            "loss of degraded images: the paper does not say; the program adds their cross-entropy and 0.1 times the "
            "distance of the features, and lets them move the centres",
            "the program's; the preset paper has the cross-entropy alone",
            "w_agda, w_match, agda_centres",
        ),
        ReproductionNote(
            "dropout",
            "0.25 of the maps and 0.5 of the semantic features, as in the program; none in the backbone",
        ),
        ReproductionNote("momentum of the backbone's running statistics", "0.1, timm's default; the program has 0.01"),
        ReproductionNote(
            "batch size: 15 for each GPU in the program, whose number is unknown; 48 in the paper",
            "15, and 48 with the preset paper; statistics of a batch are not shared by several GPUs",
        ),
        ReproductionNote(
            "length of the second phase: the program is called with 50 epochs and continues to count from 20",
            "30 epochs",
        ),
        ReproductionNote(
            "learning rate of the second phase: the program begins anew with another optimiser",
            "the schedule begins anew; in one training Adam's moments of the backbone are kept",
            "backbone_epochs",
        ),
        ReproductionNote(
            "weights of a class in the loss", "the loss is computed for each class; the centres move once for each"
        ),
    ),
    recipe=_CODE_RECIPE,
    pretrained="ImageNet weights of EfficientNet-B4 (tf_efficientnet_b4.ap_in1k, 78 MB, Hugging Face hub)",
    published_pretrained=True,
    phase_option="backbone_epochs",
    foreign_keys=(AUTHORS,),
)
