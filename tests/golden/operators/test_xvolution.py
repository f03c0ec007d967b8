"""The float operator against pixel loops written from the equations, and merged against training form."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.xvolution import XVolution
from golden.support.cli import UserError
from tests.support.tiers import nightly

Geometry = tuple[int, int, str]  # kernel_size, stride, padding
Kind = tuple[int, int, str, int | None]  # groups, out_channels, product, heads

CHANNELS = 4
#: Every accepted kind of attention branch for 4 input channels.
KINDS: tuple[Kind, ...] = (
    (1, 3, "hadamard", None),
    (1, 3, "inner", None),
    (1, 3, "inner", 2),
    (1, 3, "inner", 4),
    (4, 4, "hadamard", None),
    (4, 4, "inner", None),
    (4, 4, "inner", 4),
    (1, 3, "dynamic", None),
    (1, 3, "dynamic", 2),
    (1, 3, "dynamic", 4),
)
GEOMETRIES: tuple[Geometry, ...] = tuple(itertools.product((1, 3, 5, 7), (1, 2), ("same", "valid")))
#: Neither symmetric nor in raster order, so that a swap of dy and dx, or of a sign, shows.
LOPSIDED = ((1, 0), (0, 0), (-1, 1), (0, -1), (2, 1))


def make(geometry: Geometry, kind: Kind, **options: Any) -> XVolution:
    kernel_size, stride, padding = geometry
    groups, out_channels, product, heads = kind
    return XVolution(
        CHANNELS,
        out_channels,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        groups=groups,
        product=product,
        heads=heads,
        **options,
    )


def randomise(module: nn.Module, generator: torch.Generator) -> None:
    """Normal parameters, and batch norms no training would leave: tiny variances, large means, gammas <= 0."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=generator)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            channels = norm.num_features
            with torch.no_grad():
                assert norm.running_mean is not None and norm.running_var is not None
                norm.running_mean.normal_(0, 100, generator=generator)
                norm.running_var.copy_(10 ** torch.empty(channels).uniform_(-12, 4, generator=generator))
                norm.weight[torch.randint(channels, (1,), generator=generator)] = 0
                norm.eps = 10 ** float(torch.empty(1).uniform_(-5, -2, generator=generator))


def numpy64(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def normalise(norm: nn.Module, y: np.ndarray) -> np.ndarray:
    if isinstance(norm, nn.Identity):
        return y
    assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
    mean, var = numpy64(norm.running_mean), numpy64(norm.running_var)
    return (y - mean) / np.sqrt(var + norm.eps) * numpy64(norm.weight) + numpy64(norm.bias)


def reference(
    layer: XVolution,
    x: np.ndarray,
    geometry: Geometry,
    kind: Kind,
    directions: tuple[tuple[int, int], ...],
    shift: int,
) -> np.ndarray:
    """One frame [C, H, W] to [O, Ho, Wo], one output pixel after another, as the equations have it."""
    channels, height, width = x.shape
    kernel, stride, padding = geometry
    groups, out_channels, product, heads = kind
    depthwise = groups > 1
    pad = kernel // 2 if padding == "same" else 0
    conv_weight, attn_weight = numpy64(layer.conv.weight), numpy64(layer.attention.weight)
    conv_bias = np.zeros(out_channels) if layer.conv.bias is None else numpy64(layer.conv.bias)

    def pixel(row: int, column: int) -> np.ndarray:
        inside = 0 <= row < height and 0 <= column < width
        return x[:, row, column] if inside else np.zeros(channels)

    out = np.empty((out_channels, *((size + 2 * pad - kernel) // stride + 1 for size in (height, width))))
    for qy, qx in np.ndindex(*out.shape[1:]):
        py, px = (stride * q - pad + kernel // 2 for q in (qy, qx))
        conv, attention = conv_bias.copy(), np.zeros(out_channels)
        for ky, kx in np.ndindex(kernel, kernel):
            neighbour = pixel(py + ky - kernel // 2, px + kx - kernel // 2)
            weight = conv_weight[:, :, ky, kx]
            conv += weight[:, 0] * neighbour if depthwise else weight @ neighbour
        for t, (dy, dx) in enumerate(directions):
            neighbour = pixel(py + shift * dy, px + shift * dx)
            terms = pixel(py, px) * neighbour
            size = channels // (heads or 1)
            if product == "inner" and not depthwise:
                terms = np.array([terms[first : first + size].sum() for first in range(0, channels, size)])
            elif product == "dynamic":
                similarity = [terms[c // size * size : c // size * size + size].sum() / size for c in range(channels)]
                terms = np.array(similarity) * neighbour
            weight = attn_weight[:, :, t]
            attention += weight[:, 0] * terms if depthwise else weight @ terms
        out[:, qy, qx] = normalise(layer.conv_norm, conv)
        if directions:
            out[:, qy, qx] += normalise(layer.attn_norm, attention)
    return out


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_training_form_is_the_equations(geometry: Geometry) -> None:
    seed = GEOMETRIES.index(geometry)
    generator = torch.Generator().manual_seed(seed)
    smallest = geometry[0] if geometry[2] == "valid" else 1
    frames = {(smallest, smallest), (smallest + 1, smallest + 4), (7, 8)}
    for kind, directions, shift in itertools.product(KINDS, (LOPSIDED, ()), (1, 2, 3)):
        layer = make(geometry, kind, directions=directions, shift=shift, bias=shift != 1, branch_norm=shift != 2)
        layer.double().eval()
        randomise(layer, generator)
        for height, width in frames:
            x = torch.randn(1, CHANNELS, height, width, generator=generator, dtype=torch.float64)
            with torch.no_grad():
                y = layer(x)[0].numpy()
            expected = reference(layer, x[0].numpy(), geometry, kind, directions, shift)
            where = f"seed {seed} {kind} {directions} shift {shift} {height}x{width}"
            np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max(), err_msg=where)


def test_batch_norms_normalise_each_branch_by_itself_while_training() -> None:
    torch.manual_seed(0)
    layer = XVolution(2, 3, bias=True, dtype=torch.float64).train()
    x = torch.randn(5, 2, 6, 6, dtype=torch.float64)
    layer.conv_norm.weight.data.zero_()
    attention = layer(x)
    np.testing.assert_allclose(attention.mean((0, 2, 3)).detach(), 0, atol=1e-12)
    np.testing.assert_allclose(attention.var((0, 2, 3), unbiased=False).detach(), 1, atol=1e-3)


def test_each_frame_of_a_batch_is_computed_alone() -> None:
    torch.manual_seed(1)
    layer = XVolution(CHANNELS, 3, product="inner", heads=2).eval()
    x = torch.randn(3, CHANNELS, 5, 6)
    torch.testing.assert_close(layer(x), torch.cat([layer(frame[None]) for frame in x]))


def test_bias_and_branch_norm_are_there_when_asked_for() -> None:
    assert XVolution(2, 3).conv.bias is None
    assert XVolution(2, 3, bias=True).conv.bias is not None
    assert isinstance(XVolution(2, 3).attn_norm, nn.BatchNorm2d)
    assert isinstance(XVolution(2, 3, branch_norm=False).attn_norm, nn.Identity)


def test_default_directions_are_the_eight_neighbours() -> None:
    expected = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    expected.remove((0, 0))
    assert list(XVolution(2, 2).attn_offsets) == expected
    assert XVolution(2, 2, directions=[[0, -1], [1, 1]], shift=3).attn_offsets == ((0, -3), (3, 3))


def test_no_directions_are_a_convolution_and_its_batch_norm() -> None:
    torch.manual_seed(2)
    layer = XVolution(2, 3, stride=2, directions=[], bias=True)
    plain = nn.Sequential(layer.conv, copy.deepcopy(layer.conv_norm))
    x = torch.randn(4, 2, 7, 7)
    torch.testing.assert_close(layer(x), plain(x), rtol=0, atol=0)
    layer(x).sum().backward()
    torch.optim.Adam(layer.parameters()).step()
    assert layer.eval().merge().attn_weight.shape == (3, 2, 0)


def test_a_shift_beyond_the_frame_meets_only_zeros() -> None:
    layer = XVolution(2, 3, shift=10**6, branch_norm=False, dtype=torch.float64).eval()
    x = torch.randn(1, 2, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(layer(x), layer.conv_norm(layer.conv(x)))


def largest_term(layer: XVolution, x: torch.Tensor) -> float:
    """Largest magnitude among what either form adds up: each branch, and each branch of an empty frame."""
    exact = copy.deepcopy(layer).double()
    terms = []
    for frames in (x.double(), torch.zeros_like(x[:1]).double()):
        conv = exact.conv_norm(exact.conv(frames))
        terms += [conv, exact(frames) - conv]
    return max(float(term.abs().max()) for term in terms)


@pytest.mark.parametrize(
    ("dtype", "step"),
    [(torch.float32, 5), (torch.float64, 5), pytest.param(torch.float64, 1, marks=nightly)],
    ids=["float32", "float64", "all of float64"],
)
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_merged_is_training_form(geometry: Geometry, dtype: torch.dtype, step: int) -> None:
    """With a step of 5, a part of the variants has every value of each. Both types start at another one."""
    seed = GEOMETRIES.index(geometry)
    generator = torch.Generator().manual_seed(seed)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    taps = (((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)), LOPSIDED, ())
    variants = list(itertools.product(KINDS, taps, (1, 2, 3), (True, False), (True, False)))
    start = 2 if dtype == torch.float64 and step > 1 else 0
    for kind, directions, shift, branch_norm, bias in variants[start::step]:
        layer = make(
            geometry, kind, directions=directions, shift=shift, branch_norm=branch_norm, bias=bias, dtype=dtype
        )
        randomise(layer, generator)
        x = torch.randn(2, CHANNELS, 7, 9, generator=generator).to(dtype)
        with torch.no_grad():
            merged = layer.eval().merge()
            error = float((merged(x) - layer(x)).abs().max()) / largest_term(layer, x)
        where = f"seed {seed} {kind} {directions} shift {shift} norm {branch_norm} bias {bias}"
        assert error <= tolerance, f"{where}: {error}"


def test_merged_has_the_shapes_and_the_geometry_of_the_layer() -> None:
    layer = XVolution(
        6, 4, kernel_size=5, stride=2, padding="valid", product="inner", heads=3, directions=[(1, 0), (0, 2)], shift=2
    )
    merged = layer.eval().merge()
    shapes = {name: tuple(p.shape) for name, p in merged.named_parameters()}
    assert shapes == {"conv_weight": (4, 6, 5, 5), "attn_weight": (4, 6, 2), "bias": (4,)}
    assert (merged.kernel_size, merged.stride, merged.padding, merged.groups) == (5, 2, "valid", 1)
    assert merged.attn_offsets == ((2, 0), (0, 4))
    tied = merged.attn_weight.unflatten(1, (3, 2))
    torch.testing.assert_close(tied[:, :, 0], tied[:, :, 1], rtol=0, atol=0)
    assert (merged.product, merged.heads) == ("hadamard", None)
    assert repr(layer).count("merges into a 'hadamard' layer") == 1
    dynamic = XVolution(6, 4, product="dynamic", heads=3).eval().merge()
    assert "merges into" not in repr(XVolution(6, 4)) + repr(dynamic)
    assert (dynamic.product, dynamic.heads, dynamic.attn_weight.shape) == ("dynamic", 3, (4, 6, 8))
    assert "product='dynamic', heads=3" in repr(dynamic) and "product='hadamard', attn" in repr(merged)
    depthwise = XVolution(6, 6, groups=6).eval().merge()
    assert depthwise.attn_weight.shape == (6, 1, 8) and depthwise.groups == 6


def test_merging_copies_and_keeps_dtype_and_mode() -> None:
    layer = XVolution(2, 2, branch_norm=False, dtype=torch.bfloat16).eval()
    before = copy.deepcopy(layer.state_dict())
    merged = layer.merge()
    assert all(p.dtype == torch.bfloat16 and p.requires_grad for p in merged.parameters())
    assert not merged.training
    with torch.no_grad():
        for parameter in merged.parameters():
            parameter.fill_(7)
    torch.testing.assert_close(dict(layer.state_dict()), dict(before), rtol=0, atol=0)


def test_folding_rounds_once() -> None:
    """Scale, product and sum each rounded to float32 would miss the nearest float32 here and there."""
    generator = torch.Generator().manual_seed(5)
    layer = XVolution(8, 8, bias=True).eval()
    randomise(layer, generator)
    single, double = layer.merge(), copy.deepcopy(layer).double().merge()
    for name, parameter in double.named_parameters():
        torch.testing.assert_close(single.get_parameter(name), parameter.float(), rtol=0, atol=0)


def test_merging_in_training_mode_is_refused_unless_the_norms_are_frozen() -> None:
    layer = XVolution(2, 2)
    with pytest.raises(UserError, match="training mode"):
        layer.merge()
    layer.conv_norm.eval()
    with pytest.raises(UserError, match="training mode"):
        layer.merge()
    layer.attn_norm.eval()
    assert layer.merge().training


def test_merging_refuses_batch_norms_without_a_scale() -> None:
    layer = XVolution(2, 2).eval()
    layer.attn_norm = nn.BatchNorm2d(2, track_running_stats=False).eval()
    with pytest.raises(UserError, match="no running statistics"):
        layer.merge()
    layer = XVolution(2, 2, dtype=torch.float16).eval()
    layer.conv_norm.load_state_dict(
        layer.conv_norm.state_dict() | {"running_mean": torch.full((2,), 6e4), "running_var": torch.zeros(2)}
    )
    with pytest.raises(UserError, match=r"merged bias is not finite in torch\.float16"):
        layer.merge()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_gradients_reach_input_and_parameters(kind: Kind) -> None:
    torch.manual_seed(4)
    layer = make((3, 2, "same"), kind, bias=True, branch_norm=False, dtype=torch.float64).eval()
    for module in (layer, layer.merge()):
        x = torch.randn(2, CHANNELS, 3, 4, dtype=torch.float64, requires_grad=True)
        # gradcheck steps the parameters in place, so the module sees each step.
        assert torch.autograd.gradcheck(
            lambda x, *_, module=module: module(x), (x, *module.parameters()), fast_mode=True
        )
        module(x).square().sum().backward()
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().min() > 0, name


def test_merged_form_can_be_tuned() -> None:
    torch.manual_seed(6)
    merged = XVolution(3, 2).eval().merge()
    x, target = torch.randn(4, 3, 6, 6), torch.randn(4, 2, 6, 6)
    optimizer = torch.optim.SGD(merged.parameters(), lr=1e-3)
    before = {name: p.detach().clone() for name, p in merged.named_parameters()}
    losses = []
    for _ in range(5):
        loss = (merged(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)
    assert all(not torch.equal(p, before[name]) for name, p in merged.named_parameters())


def test_state_dicts_carry_everything() -> None:
    torch.manual_seed(7)
    options: dict[str, Any] = {"product": "inner", "heads": 2, "directions": LOPSIDED, "bias": True}
    trained, fresh = XVolution(4, 3, **options), XVolution(4, 3, **options)
    x = torch.randn(3, 4, 5, 5)
    trained(x)
    fresh.load_state_dict(trained.state_dict())
    torch.testing.assert_close(fresh.eval()(x), trained.eval()(x), rtol=0, atol=0)
    merged = trained.merge()
    assert list(merged.state_dict()) == ["conv_weight", "attn_weight", "bias"]
    restored = DynamicConv2d(4, 3, attn_offsets=LOPSIDED)
    restored.load_state_dict(merged.state_dict())
    torch.testing.assert_close(restored(x), merged(x), rtol=0, atol=0)


def test_a_new_dynamic_convolution_is_a_plain_one() -> None:
    torch.manual_seed(8)
    module = DynamicConv2d(3, 4, kernel_size=5, stride=2)
    plain = nn.Conv2d(3, 4, 5, 2, 2)
    plain.load_state_dict({"weight": module.conv_weight, "bias": module.bias})
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(module(x), plain(x))
    assert module.conv_weight.abs().max() > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_merging_stays_on_the_device() -> None:
    layer = XVolution(4, 4, device="cuda", dtype=torch.float64).eval()
    merged = layer.merge()
    assert all(p.device.type == "cuda" for p in merged.parameters())
    x = torch.randn(1, 4, 6, 6, device="cuda", dtype=torch.float64)
    torch.testing.assert_close(merged(x), layer(x))


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"in_channels": 0}, "in_channels 0"),
    ({"out_channels": 2.0}, "out_channels 2.0"),
    ({"kernel_size": 2}, "kernel_size 2 is not one of 1, 3, 5, 7"),
    ({"kernel_size": 9}, "kernel_size 9"),
    ({"kernel_size": (3, 3)}, r"kernel_size \(3, 3\)"),
    ({"kernel_size": True}, "kernel_size True"),
    ({"stride": 3}, "stride 3 is not one of 1, 2"),
    ({"padding": 1}, "padding 1 is not one of 'same', 'valid'"),
    ({"groups": 2}, r"groups 2 is neither 1 nor in_channels \(4\)"),
    ({"groups": 4, "out_channels": 8}, "out_channels 8 differs from in_channels 4"),
    ({"product": "outer"}, "product 'outer' is not one of 'hadamard', 'inner', 'dynamic', 'softmax'"),
    ({"heads": 2}, "heads 2 is not for product 'hadamard', allowed is None"),
    ({"product": "dynamic", "heads": 3}, "heads 3 does not divide in_channels 4"),
    ({"product": "dynamic", "heads": True}, "heads True"),
    ({"product": "dynamic", "groups": 4}, r"groups 4 \(depthwise\) is not for product 'dynamic', allowed is 1"),
    ({"product": "inner", "heads": 3}, "heads 3 does not divide in_channels 4"),
    ({"product": "inner", "heads": 0}, "heads 0"),
    ({"product": "inner", "heads": 2, "groups": 4}, "heads 2 differs from groups 4"),
    ({"directions": [(0, 1), (1, 0), (0, 1)]}, r"directions entry \(0, 1\) is there twice"),
    ({"directions": [(0, 1), [0, 1]]}, r"directions entry \(0, 1\) is there twice"),
    ({"directions": [(0, 1, 1)]}, r"directions entry \(0, 1, 1\)"),
    ({"directions": [(0, 0.5)]}, r"directions entry \(0, 0.5\)"),
    ({"directions": "all"}, "directions 'all'"),
    ({"directions": 8}, "directions 8"),
    ({"shift": 0}, "shift 0 is not an integer from 1 up"),
    ({"weighting": 2}, "weighting 2 is not one of 1, 3"),
    ({"weighting": True}, "weighting True is not one of 1, 3"),
    ({"stack": 0}, "stack 0 is not an integer from 1 up"),
    ({"product": "softmax", "groups": 4}, r"groups 4 \(depthwise\) is not for product 'softmax', allowed is 1"),
    ({"product": "softmax", "heads": 3}, "heads 3 does not divide in_channels 4"),
    ({"product": "softmax", "heads": 4, "out_channels": 6}, "heads 4 does not divide out_channels 6"),
    ({"product": "softmax", "shift": 2}, "shift 2 is not for product 'softmax', allowed is 1"),
    ({"product": "softmax", "weighting": 3}, "weighting 3 is not for product 'softmax', allowed is 1"),
    ({"product": "softmax", "stack": 2}, "stack 2 is not for product 'softmax', allowed is 1"),
    (
        {"product": "softmax", "directions": []},
        r"directions \(\) is not for product 'softmax', allowed is \(\(-1, -1\)",
    ),
    ({"branch_norm": 1}, "branch_norm 1"),
    ({"bias": None}, "bias None"),
)


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=[str(arguments) for arguments, _ in REFUSED])
def test_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        XVolution(**({"in_channels": 4, "out_channels": 4} | arguments))


def test_dynamic_convolution_refuses_by_name() -> None:
    with pytest.raises(UserError, match=r"attn_offsets entry \(0, 1\) is there twice"):
        DynamicConv2d(2, 2, attn_offsets=[(0, 1), (0, 1)])
    with pytest.raises(UserError, match="stride 4"):
        DynamicConv2d(2, 2, stride=4)
    with pytest.raises(UserError, match="product 'inner' is not one of 'hadamard', 'dynamic'"):
        DynamicConv2d(2, 2, product="inner")
    with pytest.raises(UserError, match="heads 3 does not divide in_channels 4"):
        DynamicConv2d(4, 2, product="dynamic", heads=3)
    with pytest.raises(UserError, match="heads 2 is not for product 'hadamard', allowed is None"):
        DynamicConv2d(4, 2, heads=2)


@pytest.mark.parametrize("shape", [(2, 6, 6), (1, 2, 6), (1, 3, 6, 6), (1, 2, 4, 6), (1, 2, 6, 4)], ids=str)
def test_frames_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    layer = XVolution(2, 3, kernel_size=5, padding="valid").eval()
    for module in (layer, layer.merge()):
        with pytest.raises(UserError, match=r"input has shape .* allowed is \[N, 2, H, W\] with H and W at least 5"):
            module(torch.zeros(shape))


def test_scalars_and_arrays_of_numpy_are_numbers() -> None:
    """They come out of configuration files and sweeps."""
    i = np.int64
    layer = XVolution(
        i(4),
        np.int32(8),
        kernel_size=i(5),
        stride=np.uint8(2),
        padding=np.str_("valid"),
        groups=i(1),
        product=np.str_("inner"),
        heads=torch.tensor(2),
        directions=np.array([[0, 1], [-1, 0]]),
        shift=np.array(2),
        weighting=i(1),
        stack=i(1),
        branch_norm=np.bool_(False),
        feature_norm=np.bool_(True),
        bias=np.bool_(True),
    )
    plain = XVolution(
        4,
        8,
        kernel_size=5,
        stride=2,
        padding="valid",
        product="inner",
        heads=2,
        directions=[(0, 1), (-1, 0)],
        shift=2,
        branch_norm=False,
        feature_norm=True,
        bias=True,
    )
    assert repr(layer) == repr(plain)
    merged = layer.eval().merge()
    assert {type(d) for offset in merged.attn_offsets for d in offset} == {int}
    assert repr(merged) == repr(plain.eval().merge())
    for arguments, message in (
        ({"heads": np.float64(2), "product": "inner"}, "heads 2.0 is not an integer from 1 up"),
        ({"bias": np.int64(1)}, "bias 1 is not one of True, False"),
        ({"directions": np.array([[0, 0.5]])}, r"directions entry array\(\[0\. , 0\.5\]\) is not a pair of integers"),
        ({"directions": np.array(3)}, r"directions 3 is not a list of \(dy, dx\)"),
        ({"shift": np.array([1])}, r"shift array\(\[1\]\) is not an integer from 1 up"),
    ):
        with pytest.raises(UserError, match=f"^{message}"):
            XVolution(4, 4, **arguments)
