"""X-volution plugged into networks that know nothing of it, and merged again."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.replace import merge_all, replace_convolutions
from golden.operators.xvolution import XVolution
from golden.support.cli import UserError


class Block(nn.Module):
    """A residual block as everybody writes it."""

    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding="same")
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.down = nn.Conv2d(channels, out_channels, 1, stride) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (y + (x if self.down is None else self.down(x))).relu()


class ResNet(nn.Module):
    """Two stages on images [N, 3, H, W], ten classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 7, stride=2, padding=3)
        self.layer1 = nn.Sequential(Block(4, 4, 1), Block(4, 4, 1))
        self.layer2 = nn.ModuleDict({"first": Block(4, 8, 2)})
        self.fc = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.layer2["first"](self.layer1(self.stem(x))).mean((2, 3)))


CONVS = {
    "stem",
    "layer1.0.conv1",
    "layer1.0.conv2",
    "layer1.1.conv1",
    "layer1.1.conv2",
    "layer2.first.conv1",
    "layer2.first.conv2",
    "layer2.first.down",
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def xvolutions(module: nn.Module) -> set[str]:
    return {name for name, part in module.named_modules() if isinstance(part, XVolution)}


def silence_attention(module: nn.Module) -> None:
    """Leave only the static branches, as they were: no attention, batch norms that change nothing."""
    for part in module.modules():
        if isinstance(part, XVolution):
            part.conv_norm.eps = 0
            if isinstance(part.attn_norm, nn.BatchNorm2d):
                nn.init.zeros_(part.attn_norm.weight)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("layer1.0.conv2", {"layer1.0.conv2"}),
        (["stem", "layer1.1.conv1"], {"stem", "layer1.1.conv1"}),
        ("layer2", {"layer2.first.conv1", "layer2.first.conv2", "layer2.first.down"}),
        ("layer1.1", {"layer1.1.conv1", "layer1.1.conv2"}),
        ("layer1.?.conv2", {"layer1.0.conv2", "layer1.1.conv2"}),
        ("*.conv[12]", CONVS - {"stem", "layer2.first.down"}),
        (("*1", "layer1.0"), {"layer1.0.conv1", "layer1.0.conv2", "layer1.1.conv1", "layer2.first.conv1"}),
        ("", CONVS),
        (lambda name, conv: conv.kernel_size == (3, 3) and "layer1" in name, {n for n in CONVS if "layer1" in n}),
    ],
)
def test_names_patterns_and_predicates_choose(chosen: Any, expected: set[str]) -> None:
    net = ResNet()
    assert replace_convolutions(net, chosen) is net
    assert xvolutions(net) == expected
    assert {name for name, part in net.named_modules() if type(part) is nn.Conv2d} == (
        CONVS - expected | {f"{name}.conv" for name in expected}
    )


def test_static_branch_is_the_convolution_it_replaces() -> None:
    net: nn.Module = ResNet().double().eval()
    x = torch.randn(2, 3, 17, 15, dtype=torch.float64)
    expected = net(x)
    net = replace_convolutions(net, "", norms="keep", product="inner", directions=[(0, 1), (1, 1)])
    silence_attention(net)
    torch.testing.assert_close(net(x), expected)


def test_depthwise_and_valid_convolutions_keep_their_geometry() -> None:
    net = nn.Sequential(
        nn.Conv2d(4, 4, 5, groups=4, dtype=torch.float64),
        nn.Conv2d(4, 4, 3, 2, padding="valid", bias=False, dtype=torch.float64),
    )
    x = torch.randn(1, 4, 11, 12, dtype=torch.float64)
    expected = net(x)
    replace_convolutions(net.eval(), ["0", "1"], product="inner")
    silence_attention(net)
    torch.testing.assert_close(net(x), expected)
    first, second = net
    assert isinstance(first, XVolution) and isinstance(second, XVolution)
    assert (first.groups, first.heads, first.padding, first.kernel_size, first.stride) == (4, 4, "valid", 5, 1)
    assert (second.groups, second.heads, second.padding, second.conv.bias) == (1, 1, "valid", None)


def test_options_reach_every_xvolution() -> None:
    net = replace_convolutions(
        ResNet(), "layer1", product="inner", heads=2, directions=[(0, 1)], shift=2, branch_norm=False
    )
    for name in xvolutions(net):
        layer = net.get_submodule(name)
        assert (layer.product, layer.heads, layer.attn_offsets) == ("inner", 2, ((0, 2),))
        assert isinstance(layer.attn_norm, nn.Identity)


def test_parameters_are_taken_over_with_dtype_mode_and_frozenness() -> None:
    conv = nn.Conv2d(2, 3, 3, padding=1, dtype=torch.bfloat16).eval()
    conv.weight.requires_grad_(False)
    layer = replace_convolutions(conv, "")
    assert isinstance(layer, XVolution) and not layer.training
    assert layer.conv.weight is conv.weight and layer.conv.bias is conv.bias
    assert {p.dtype for p in layer.parameters()} == {torch.bfloat16}
    assert not layer.conv.weight.requires_grad and layer.attention.weight.requires_grad


def test_a_name_is_not_a_prefix() -> None:
    net = nn.Sequential(*(nn.Conv2d(1, 1, 1) for _ in range(11)))
    replace_convolutions(net, "1")
    assert xvolutions(net) == {"1"}


def test_a_pointwise_convolution_is_same_rather_than_valid() -> None:
    layer = replace_convolutions(nn.Conv2d(2, 2, 1), "")
    assert isinstance(layer, XVolution) and layer.padding == "same"


def test_a_shared_convolution_stays_shared() -> None:
    conv = nn.Conv2d(2, 2, 3, padding=1)
    net = nn.Sequential(conv, nn.Sequential(nn.ReLU(), conv), conv)
    replace_convolutions(net, "1.1")
    assert isinstance(net[0], XVolution) and net[0] is net[2] and net[0] is net.get_submodule("1.1")
    merged = merge_all(net.eval())
    first, second = merged.get_submodule("0"), merged.get_submodule("1.1")
    assert isinstance(first, DynamicConv2d) and first is second


@pytest.mark.parametrize("product", ["hadamard", "inner", "dynamic"])
def test_a_replaced_network_trains_and_merges(product: str) -> None:
    net = replace_convolutions(ResNet(), lambda name, conv: name.startswith("layer"), product=product)
    x, labels = torch.randn(8, 3, 16, 16), torch.arange(8)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02)
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    losses = []
    for _ in range(4):
        loss = nn.functional.cross_entropy(net(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    # The bias of a convolution before a batch norm has no effect, hence no gradient but rounding noise.
    still = {name for name, p in net.named_parameters() if torch.equal(p, before[name])}
    assert all(name.endswith(".conv.bias") for name in still), still

    net.eval()
    state = copy.deepcopy(net.state_dict())
    merged = merge_all(net)
    assert not xvolutions(merged) and sum(isinstance(part, DynamicConv2d) for part in merged.modules()) == 7
    torch.testing.assert_close(merged(x), net(x), rtol=1e-5, atol=1e-5)
    assert len(xvolutions(net)) == 7, "the training form is left as it was"
    torch.testing.assert_close(dict(net.state_dict()), dict(state), rtol=0, atol=0)
    merged.load_state_dict(merge_all(net).state_dict())


def test_merging_a_single_layer_returns_it_merged() -> None:
    layer = XVolution(2, 2).eval()
    assert isinstance(merge_all(layer), DynamicConv2d) and isinstance(layer, XVolution)


def test_what_is_inside_an_xvolution_is_not_replaced_again() -> None:
    net = replace_convolutions(ResNet(), "layer1")
    replace_convolutions(net, "*")
    assert xvolutions(net) == CONVS
    with pytest.raises(UserError, match=r"module 'stem.conv' is a Conv2d with no Conv2d that could be replaced"):
        replace_convolutions(net, "stem.conv")


def weight_normed() -> nn.Module:
    return nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 3, padding=1))


def older_weight_normed() -> nn.Module:
    with pytest.warns(FutureWarning, match="weight_norm"):
        return nn.utils.weight_norm(nn.Conv2d(4, 4, 3, padding=1))


def hooked() -> nn.Module:
    conv = nn.Conv2d(4, 4, 3, padding=1)
    conv.register_forward_pre_hook(lambda module, args: None)
    return conv


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: nn.Conv2d(4, 4, 3, padding=2, dilation=2), r"dilation \(2, 2\) is not one of \(1, 1\)"),
        (lambda: nn.Conv2d(4, 4, (3, 5), padding=(1, 2)), r"kernel_size \(3, 5\) is not the same in both"),
        (lambda: nn.Conv2d(4, 4, 3, stride=(1, 2), padding=1), r"stride \(1, 2\) is not the same in both"),
        (lambda: nn.Conv2d(4, 4, 4, stride=4), "kernel_size 4 is not one of 1, 3, 5, 7"),
        (lambda: nn.Conv2d(4, 4, 3, stride=3), "stride 3 is not one of 1, 2"),
        (lambda: nn.Conv2d(4, 4, 3, padding=2), r"padding \(2, 2\) is neither \(1, 1\) \('same'\) nor \(0, 0\)"),
        (lambda: nn.Conv2d(4, 4, 3, padding=(0, 1)), r"padding \(0, 1\) is neither"),
        (lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), "padding_mode 'reflect' is not one of 'zeros'"),
        (lambda: nn.Conv2d(4, 4, 3, padding=1, groups=2), r"groups 2 is neither 1 nor in_channels \(4\)"),
        (lambda: nn.Conv2d(4, 8, 3, padding=1, groups=4), "out_channels 8 differs from in_channels 4"),
        (lambda: nn.LazyConv2d(4, 3, padding=1), "is a LazyConv2d, allowed is Conv2d itself"),
        (weight_normed, "is parametrised, allowed is a Conv2d with plain parameters"),
        (older_weight_normed, "the convolution has the forward pre hook 'WeightNorm', which would be lost"),
        (hooked, "the convolution has the forward pre hook 'hooked.<locals>.<lambda>', which would be lost"),
    ],
)
def test_inexpressible_convolutions_are_refused_and_nothing_is_replaced(
    build: Callable[[], nn.Module], message: str
) -> None:
    net = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Sequential(build()))
    before = list(net.named_modules())
    with pytest.raises(UserError, match=rf"^module '1\.0': {message}"):
        replace_convolutions(net, ["0", "1.0"])
    assert list(net.named_modules()) == before
    replace_convolutions(net, "0")
    assert xvolutions(net) == {"0"}


@pytest.mark.parametrize(
    ("chosen", "options", "message"),
    [
        ("layer3", {}, "module 'layer3' matches no Conv2d that could be replaced in this ResNet"),
        (["stem", "layer?"], {}, r"module 'layer\?' matches no Conv2d"),
        ("fc", {}, "module 'fc' is a Linear with no Conv2d"),
        (lambda name, conv: False, {}, "the predicate chooses none of the 8 Conv2d of this ResNet"),
        ([], {}, r"chosen \[\] is neither a name"),
        (3, {}, "chosen 3 is neither a name"),
        (["stem", 3], {}, "name 3 is a int, allowed is text"),
        ("stem", {"stride": 1}, "option 'stride' is taken from each Conv2d, allowed are product, heads, directions"),
        ("stem", {"head": 1}, "option 'head' is unknown, allowed are product"),
        (["layer1", "stem"], {"product": "inner", "heads": 2}, "module 'stem': heads 2 does not divide in_channels 3"),
        ("stem", {"product": "dynamic", "heads": 2}, "module 'stem': heads 2 does not divide in_channels 3"),
    ],
)
def test_wrong_choices_are_refused_and_nothing_is_replaced(chosen: Any, options: dict[str, Any], message: str) -> None:
    net = ResNet()
    with pytest.raises(UserError, match=message):
        replace_convolutions(net, chosen, **options)
    assert not xvolutions(net)


def test_merging_refuses_by_name() -> None:
    with pytest.raises(UserError, match="there is no XVolution to merge in this ResNet"):
        merge_all(ResNet())
    net = replace_convolutions(ResNet(), ["stem", "layer1.0.conv1"]).eval()
    net.get_submodule("layer1.0.conv1").train()
    with pytest.raises(UserError, match=r"^module 'layer1\.0\.conv1': conv_norm is in training mode"):
        merge_all(net)
    net.eval().get_submodule("stem").register_forward_hook(lambda module, args, output: None)
    with pytest.raises(UserError, match=r"^module 'stem': the layer has the forward hook '.*<lambda>'"):
        merge_all(net)


def settle(module: nn.Module) -> None:
    """Batch norms that do something."""
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm2d, nn.SyncBatchNorm)) and part.running_mean is not None:
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 2)
            if part.affine:
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.normal_(part.bias)


def quiet(module: nn.Module) -> None:
    """Attention branches that add nothing. The static branches stay as they are."""
    for part in module.modules():
        if isinstance(part, XVolution):
            nn.init.zeros_(part.attn_norm.weight)


@pytest.mark.parametrize("convert", [lambda net: net, nn.SyncBatchNorm.convert_sync_batchnorm], ids=["", "sync"])
def test_a_norm_that_is_seen_to_follow_becomes_that_of_the_static_branch(convert: Callable[..., nn.Module]) -> None:
    net = convert(ResNet()).double().eval()
    settle(net)
    x = torch.randn(2, 3, 17, 15, dtype=torch.float64)
    expected, before = net(x), dict(net.named_modules())
    replace_convolutions(net, ["layer1", "layer2.first.down"])
    for block, conv, norm in itertools.product(("layer1.0", "layer1.1"), ("conv",), (1, 2)):
        layer = net.get_submodule(f"{block}.{conv}{norm}")
        assert isinstance(layer, XVolution) and layer.conv_norm is before[f"{block}.bn{norm}"]
        assert not any(part.training for part in net.modules())
        assert type(net.get_submodule(f"{block}.bn{norm}")) is nn.Identity
    down = net.get_submodule("layer2.first.down")
    assert isinstance(down, XVolution) and down.conv_norm not in before.values()
    assert type(net.get_submodule("layer2.first.bn1")) is type(before["layer2.first.bn1"])
    quiet(net)
    down.conv_norm.eps = 0
    torch.testing.assert_close(net(x), expected)
    assert {p.data_ptr() for p in before["layer1.0.bn1"].parameters()} <= {p.data_ptr() for p in net.parameters()}
    torch.testing.assert_close(merge_all(net)(x), expected)


class Branching(nn.Module):
    """Cannot be traced: what happens depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x))
        return y if y.mean() > 0 else -y


class Uses(nn.Module):
    """A convolution and a norm, used as ``how`` says."""

    def __init__(self, how: Callable[..., Tensor], norm: nn.Module | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4) if norm is None else norm
        self.how = how
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        return self.how(self.conv, self.norm, x)


STAYS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "group norm": (lambda: nn.Sequential(nn.Conv2d(4, 4, 3), nn.GroupNorm(2, 4)), "it is a GroupNorm, allowed are Ba"),
    "own class": (
        lambda: nn.Sequential(nn.Conv2d(4, 4, 3), type("OwnNorm", (nn.BatchNorm2d,), {})(4)),
        "it is a OwnNorm, allowed are BatchNorm2d and SyncBatchNorm",
    ),
    "used elsewhere": (
        lambda: Uses(lambda conv, norm, x: norm(y := conv(x)) + y),
        "more than the norm takes what the convolution computes",
    ),
    "norm used twice": (lambda: Uses(lambda conv, norm, x: norm(norm(conv(x)))), "it is not seen to be called once"),
    "not traceable": (Branching, "nobody can see what follows here; norms={'conv': 'norm'} takes it over"),
    "convolution used twice": (lambda: Uses(lambda conv, norm, x: norm(conv(conv(x)))), "nobody can see what follows"),
}


@pytest.mark.parametrize("kind", STAYS)
def test_a_norm_that_stays_behind_is_named_in_a_warning(kind: str) -> None:
    build, reason = STAYS[kind]
    net = build()
    name, norm = [key for key, _ in net.named_children()][:2]
    words = f"module '{name}' is replaced by an XVolution, which has norms of its own, and its norm '{norm}' stays behi"
    with pytest.warns(UserWarning, match=f"^{words}nd: {re.escape(reason)}"):
        replace_convolutions(net, name)
    assert isinstance(net.get_submodule(name), XVolution) and not isinstance(net.get_submodule(norm), nn.Identity)
    kept = build()
    replace_convolutions(kept, name, norms="keep")  # no warning: any is an error here
    assert not isinstance(kept.get_submodule(norm), nn.Identity)


def test_no_warning_where_no_norm_follows() -> None:
    for net in (
        nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(4)),
        Uses(lambda conv, norm, x: conv(norm(x))),
        Uses(lambda conv, norm, x: norm(x + conv(x))),
    ):
        replace_convolutions(net, lambda name, conv: True)
        assert any(type(part) is nn.BatchNorm2d and "conv_norm" not in name for name, part in net.named_modules())


def test_looking_at_a_network_leaves_it_as_it_is() -> None:
    net = Uses(lambda conv, norm, x: norm(conv(x)))
    replace_convolutions(net, "conv")
    assert net.seen == [] and isinstance(net.norm, nn.Identity)


def test_a_part_is_looked_at_where_the_whole_cannot_be_traced() -> None:
    net = nn.Sequential(Branching(), nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)))
    norm = net[1][1]
    replace_convolutions(net, "1.0")
    assert isinstance(net[1][0], XVolution) and net[1][0].conv_norm is norm and isinstance(net[1][1], nn.Identity)
    # What a part hands out may go anywhere.
    parts = nn.Sequential(Branching(), nn.Sequential(nn.Conv2d(4, 4, 3)), nn.BatchNorm2d(4))
    replace_convolutions(parts, "1.0")
    assert type(parts[2]) is nn.BatchNorm2d


def test_norms_that_are_told_are_taken_over() -> None:
    net = nn.Sequential(Branching(), nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))).double().eval()
    settle(net)
    x = torch.randn(2, 4, 7, 7, dtype=torch.float64)
    expected, norms = net(x), [net[0].norm, net[1][1]]
    replace_convolutions(net, "*", norms={"0.conv": "0.norm"})
    quiet(net)
    assert [net[0].conv.conv_norm, net[1][0].conv_norm] == norms
    torch.testing.assert_close(net(x), expected)


@pytest.mark.parametrize(
    ("norms", "message"),
    [
        ({"stem": "layer1.0.bn1"}, "norms names 'stem', which is not one of the convolutions to replace"),
        ({"layer1.0.conv1": "bn1"}, "norms names 'bn1', which is no module of this ResNet"),
        ({"layer1.0.conv1": "fc"}, "module 'fc' cannot be taken over: it is a Linear, allowed are BatchNorm2d and Sy"),
        ({"layer1.0.conv1": "layer2.first.bn1"}, "module 'layer2.first.bn1' cannot be taken over: it has 8 channels"),
        ({"layer1.0.conv1": "layer1.0.bn1", "layer1.0.conv2": "layer1.0.bn1"}, "norms names 'layer1.0.bn1' twice"),
        ("drop", "norms 'drop' is not one of 'fold', 'keep'"),
    ],
)
def test_norms_that_are_told_wrongly_are_refused(norms: Any, message: str) -> None:
    net = ResNet()
    with pytest.raises(UserError, match=f"^{message}"):
        replace_convolutions(net, ["layer1.0.conv1", "layer1.0.conv2"], norms=norms)
    assert not xvolutions(net)


def test_a_block_with_norm_in_its_name_is_no_norm() -> None:
    """Such blocks are common: a convolution, its norm and an activation."""

    class Conv2dNormActivation(nn.Sequential):
        pass

    net = nn.Sequential(
        nn.Conv2d(3, 4, 1), Conv2dNormActivation(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
    )
    norm = net[1][1]
    replace_convolutions(net, "*")
    assert net[1][0].conv_norm is norm and isinstance(net[0], XVolution)
