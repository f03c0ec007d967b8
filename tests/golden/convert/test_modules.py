"""PyTorch modules and exported programs: what they become computes what they do, and the rest is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from golden.convert.build import build
from golden.convert.convert import convert
from golden.convert.module import ModuleSource, exported, read_program
from golden.convert.rewrite import rewritten
from golden.operators.network import Network
from golden.operators.xvolution import XVolution
from golden.support.cli import UserError
from tests.support.conversions import check_equal, check_refused
from tests.support.onnx_models import images
from tests.support.tiers import thorough


class Lambda(nn.Module):
    """A function with modules."""

    def __init__(self, function: Callable[..., Tensor], *parts: nn.Module) -> None:
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.parts)


def trained(module: nn.Module, seed: int = 0) -> nn.Module:
    """``module`` in eval mode, its batch norms as if it had learned."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            for tensor in (part.running_mean, part.weight.data, part.bias.data):
                assert tensor is not None
                tensor.uniform_(-0.5, 1, generator=generator)
            assert part.running_var is not None
            part.running_var.uniform_(0.5, 2, generator=generator)
    return module.eval()


def check_module(module: nn.Module, x: np.ndarray) -> Network:
    with torch.no_grad():
        wanted = module(torch.from_numpy(x).float()).double().numpy()
    return check_equal(ModuleSource(exported(module, x)), x, wanted)


class Residual(nn.Module):
    """In-place additions and ReLUs, a weight norm, X-volution, and a batch norm of scores."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.depthwise, self.limit = nn.Conv2d(4, 4, 3, 1, 1, groups=4), nn.ReLU6(inplace=True)
        self.normed = nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 1))
        self.mix = XVolution(4, 4)
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(4, 5), nn.BatchNorm1d(5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem((x - 0.5) / 0.25)
        y = self.limit(self.depthwise(x))
        x += y
        x = self.mix(self.normed(x)) + y
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


def test_a_residual_network() -> None:
    torch.manual_seed(0)
    network = check_module(trained(Residual()), images())
    assert [(step.name, step.op, step.relu) for step in network.steps] == [
        ("sub", "layer", False),
        ("stem_0", "layer", True),
        ("depthwise", "layer", True),
        ("add", "add", False),
        ("normed", "layer", False),
        ("mix", "layer", False),
        ("add_1", "add", False),
        ("head_1", "linear", False),
    ]
    assert network.steps[2].ceiling == 6


def test_pools_and_others() -> None:
    """Each in a spelling of its own."""

    def forward(x: Tensor, conv: nn.Module, norm: nn.Module, linear: nn.Module) -> Tensor:
        x = torch.cat([F.max_pool2d(x, 3, 1, 1), F.interpolate(F.avg_pool2d(x, 2), scale_factor=2)], dim=1)
        x = F.interpolate(norm(x).clamp(min=0), size=(12, 12))
        x = F.adaptive_avg_pool2d(1 - conv(x).clamp(0, 4), (2, 2))
        return F.relu(linear(x.reshape(x.shape[0], -1)))

    torch.manual_seed(1)
    parts = (nn.Conv2d(4, 3, 5, padding="same"), nn.BatchNorm2d(4), nn.Linear(12, 5))
    network = check_module(trained(Lambda(forward, *parts)), images())
    ops = ["max_pool", "avg_pool", "upsample", "concat", "layer", "upsample", "layer", "layer", "avg_pool", "linear"]
    assert [step.op for step in network.steps] == ops
    assert [step.ceiling for step in network.steps if step.ceiling] == [4]


def test_more_results_than_a_step_joins() -> None:
    """Eight of them, and what they are with the others. One alone is joined with nothing."""

    def forward(x: Tensor) -> Tensor:
        return torch.cat([torch.cat([x], 1), *(F.max_pool2d(x, 3, 1, 1) for _ in range(9)), x], 1)

    network = check_module(Lambda(forward).eval(), images())
    assert [len(step.inputs) for step in network.steps if step.op == "concat"] == [8, 4]


class Leaf(nn.Module):
    """A class that is called as the one of this project that stands for X-volution."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


def test_what_came_in_is_called_by_its_own_module() -> None:
    torch.manual_seed(3)
    for module, origin in [(Leaf(), "mul 'mul'"), (XVolution(2, 2), "XVolution '0'")]:
        (node,) = ModuleSource(exported(nn.Sequential(module).eval(), images(2))).graph.nodes
        assert node.origins == (origin,)


@thorough
def test_a_program_in_a_file(tmp_path: Path) -> None:
    """With X-volution in it, and more images than its batch has."""
    torch.manual_seed(2)
    module, path = trained(Residual()), tmp_path / "program.pt2"
    torch.export.save(exported(module, images(2)), path)
    with torch.no_grad():
        wanted = module(torch.from_numpy(images(5))).double().numpy()
    network = check_equal(ModuleSource(read_program(path)), images(5), wanted)
    assert network.steps[5].name == "mix"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"program file .* is no exported program"):
        read_program(path)


def with_dilation() -> nn.Module:
    return nn.Conv2d(2, 4, 3, padding=2, dilation=2)


#: Modules that are refused, and what the one line says.
REFUSED: Mapping[str, tuple[Callable[[], nn.Module], str]] = {
    "training": (lambda: nn.Sequential(nn.Dropout()).train(), "the module is in training mode, allowed is eval mode"),
    "dilation": (with_dilation, "Conv2d '0': dilation [2, 2] is not allowed, allowed is 1"),
    "strides": (lambda: nn.Conv2d(2, 4, 3, stride=(1, 2)), "Conv2d '0': stride [1, 2] differs between axes"),
    "padding": (lambda: nn.Conv2d(2, 4, 3, padding=2), "padding 2 is neither 0 nor 1, half of kernel 3"),
    "depth_multiplier": (lambda: nn.Conv2d(2, 4, 3, groups=2), "groups 2 makes 4 of 2 channels"),
    "padding_mode": (lambda: nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"), "operation pad.default is not one"),
    "transposed": (lambda: nn.ConvTranspose2d(2, 4, 3), "is not one of"),
    "batch_statistics": (lambda: nn.BatchNorm2d(2, track_running_stats=False), "BatchNorm2d '0'"),
    "unknown": (lambda: nn.Sigmoid(), "Sigmoid '0': operation sigmoid.default is not one of"),
    "branch": (
        lambda: Lambda(lambda x: x if x.sum() > 0 else -x),
        "Sequential cannot be exported: ",
    ),
    "product": (lambda: Lambda(lambda x: x * x), "mul 'mul': multiplies two results"),
    "constant": (lambda: Lambda(lambda x: torch.ones(2, 3)), "allowed is a result that depends on the image"),
    "two_results": (lambda: Lambda(lambda x: (x, x.relu())), "gives 2 results, allowed is one"),
    "hardtanh": (lambda: nn.Hardtanh(), "Hardtanh '0': min -1.0 is not allowed, allowed is 0"),
    "alpha": (lambda: Lambda(lambda x: torch.add(x, x, alpha=2)), "alpha 2 is not allowed, allowed is 1"),
    "mean_of_rows": (lambda: Lambda(lambda x: x.mean(2)), "dim [2] is not allowed, allowed are rows and columns"),
    "view": (lambda: Lambda(lambda x: x.view(x.shape[0], 4, 18)), "size [2, 4, 18] of shape [N, 2, 6, 6]"),
    "images_in_a_row": (
        lambda: Lambda(lambda x: F.adaptive_avg_pool2d(x, 1).view(1, -1)),
        "view 'view': makes shape [1, 4] of 2 images, allowed is [2, ...]",
    ),
    "uneven_pool": (lambda: nn.AdaptiveAvgPool2d(4), "output_size [4, 4] does not divide frames of [6, 6]"),
    "nan": (
        lambda: Lambda(lambda x: F.conv2d(x, torch.full((1, 2, 1, 1), torch.nan))),
        "weight has a value that is NaN or infinite",
    ),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[thorough] * (i > 9)) for i, name in enumerate(REFUSED)])
def test_what_is_refused(name: str) -> None:
    made, message = REFUSED[name]
    module = nn.Sequential(made())
    module = module if name == "training" else module.eval()
    check_refused(lambda: build(rewritten(ModuleSource(exported(module, images(2))).graph)), message)


def test_a_source_that_is_misread_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the float network computes is compared with the source before anything is quantised."""
    from golden.convert import module_ops

    right = module_ops.OPERATIONS
    wrong = {**right, "relu.default": lambda input: module_ops.Identity()}
    monkeypatch.setattr("golden.convert.module.OPERATIONS", wrong)
    with pytest.raises(UserError, match=r"ReLU '1' is misread: the float step"):
        convert(nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU()).eval(), images())


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        (np.zeros((2, 6, 6)), r"shape \[2, 6, 6\], allowed is \[N, C, H, W\]"),
        (np.zeros((0, 2, 6, 6)), "none of them 0"),
        (np.zeros((1, 2, 6, 6), np.uint8), "dtype uint8, allowed are floating-point dtypes"),
        (np.full((1, 2, 6, 6), np.nan), "NaN or infinite"),
        (np.ones((1, 3, 6, 6)), "cannot be exported"),
    ],
)
def test_calibration_is_checked(calibration: np.ndarray, message: str) -> None:
    with pytest.raises(UserError, match=message):
        convert(nn.Conv2d(2, 4, 3).eval(), calibration)
