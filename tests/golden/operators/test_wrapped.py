"""X-volution under what PyTorch does to whole networks: compiled, exported, trained on several devices."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.linear_shift import LinearShift
from golden.operators.replace import merge_all, replace_convolutions
from golden.operators.xvolution import XVolution
from golden.support.cli import UserError
from tests.support.tiers import in_turn, thorough

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "hadamard": lambda: XVolution(4, 4),
    "inner, normed": lambda: XVolution(4, 4, product="inner", heads=2, feature_norm=True, stride=2),
    "hadamard, normed": lambda: XVolution(4, 4, feature_norm=True),
    "dynamic": lambda: XVolution(4, 4, product="dynamic", heads=2),
    "softmax": lambda: XVolution(4, 4, product="softmax"),
    "wide": lambda: XVolution(4, 4, stack=2, weighting=3),
    "plain": lambda: XVolution(4, 4, directions=()),
    "linear shift": lambda: LinearShift(4, 4, product="inner", heads=2),
    "merged": lambda: XVolution(4, 4, product="dynamic").eval().merge(),
    "merged plain": lambda: XVolution(4, 4, directions=()).eval().merge(),
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    """A group of this process alone, as a script has it that is started on one device."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@in_turn
@thorough
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_compiles_to_one_graph_and_exports(kind: str, training: bool) -> None:
    layer, x = LAYERS[kind]().train(training), torch.randn(2, 4, 6, 6)
    torch.compiler.reset()
    expected = copy.deepcopy(layer)(x)
    compiled = torch.compile(copy.deepcopy(layer), fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), expected)
    exported = torch.export.export(copy.deepcopy(layer), (x,), strict=True)
    if not training:
        torch.testing.assert_close(exported.module()(x), expected)


def test_a_normed_layer_compiles_to_one_graph() -> None:
    """The quick one of the cases above that failed."""
    torch.compiler.reset()
    layer, x = XVolution(2, 2, feature_norm=True, directions=((0, 1),)).eval(), torch.randn(1, 2, 3, 3)
    torch.testing.assert_close(torch.compile(layer, fullgraph=True, backend="eager")(x), layer(x))


@pytest.mark.parametrize("kind", LAYERS)
def test_every_parameter_has_something_to_learn(kind: str) -> None:
    """DistributedDataParallel waits for the gradient of every parameter."""
    layer = LAYERS[kind]()
    layer(torch.randn(2, 4, 6, 6)).square().sum().backward()
    assert [name for name, p in layer.named_parameters() if p.grad is None or not p.numel()] == []


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_trains_in_a_process_group(kind: str, process_group: None) -> None:
    layer = DistributedDataParallel(LAYERS[kind]())
    for _ in range(3):
        layer(torch.randn(2, 4, 6, 6)).square().sum().backward()


@pytest.mark.parametrize("kind", ["plain", "merged plain"])
def test_checkpoints_from_before_the_empty_weight_was_a_buffer(kind: str) -> None:
    name = "attention.weight" if kind == "plain" else "attn_weight"
    layer = LAYERS[kind]()
    state = layer.state_dict()
    assert state[name].shape == (4, 4, 0) and name not in dict(layer.named_parameters())
    layer.load_state_dict({**state, name: nn.Parameter(torch.empty(4, 4, 0))})
    with pytest.raises(RuntimeError, match=f"size mismatch for {name}"):
        layer.load_state_dict({**state, name: torch.empty(4, 4, 8)})


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(XVolution(4, 4), nn.ReLU()))


def wrapped_inside() -> nn.Module:
    net = network()
    net[1] = DistributedDataParallel(net[1])
    return net


@pytest.mark.parametrize(
    "wrap",
    [lambda: DistributedDataParallel(network()), lambda: nn.DataParallel(network()), wrapped_inside],
    ids=["distributed", "parallel", "inside"],
)
def test_a_wrapped_network_is_merged_without_its_wrapper(wrap: Callable[[], nn.Module], process_group: None) -> None:
    wrapped, x = wrap(), torch.randn(2, 3, 6, 6)
    wrapped(x).sum().backward()
    wrapped.eval()
    merged = merge_all(wrapped)
    assert [type(part) for part in merged.modules()] == [
        nn.Sequential,
        nn.Conv2d,
        nn.Sequential,
        DynamicConv2d,
        nn.ReLU,
    ]
    torch.testing.assert_close(merged(x), wrapped(x), rtol=1e-5, atol=1e-5)
    merged.load_state_dict(merge_all(network().eval()).state_dict())


def test_what_is_to_be_replaced_is_not_wrapped_yet(process_group: None) -> None:
    """A wrapper knows the parameters that were there when it was made: new ones would drift apart."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), DistributedDataParallel(nn.Conv2d(4, 4, 3, padding=1)))
    before = list(net.named_modules())
    with pytest.raises(UserError, match=r"^module '1' is a DistributedDataParallel, which would not train what is new"):
        replace_convolutions(net, ["0", "1.module"])
    assert list(net.named_modules()) == before
    assert isinstance(replace_convolutions(net, "0")[0], XVolution)
    parallel = nn.DataParallel(nn.Conv2d(3, 4, 3, padding=1))
    assert isinstance(replace_convolutions(parallel, "").module, XVolution)


def test_a_compiled_network_is_merged() -> None:
    torch.compiler.reset()
    net, x = network().eval(), torch.randn(2, 3, 6, 6)
    compiled = torch.compile(net, backend="eager")
    torch.testing.assert_close(merge_all(compiled)(x), compiled(x), rtol=1e-5, atol=1e-5)
