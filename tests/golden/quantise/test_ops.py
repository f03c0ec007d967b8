"""Every op as floats, integers and fake-quantised: what trains is what runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from golden.contract.network.add import Add
from golden.contract.network.avg_pool import FRAME
from golden.contract.network.ops import STEPS
from golden.contract.rounding import ROUNDINGS, Rounding
from golden.experiments.experiment import same_integers
from golden.model.network import plain
from golden.model.network import steps as model
from golden.networks.variants import plain_unit
from golden.operators.network import Network
from golden.operators.step import Step
from golden.operators.xvolution import XVolution
from golden.quantise import fake
from golden.quantise.fake import FakeQuantised
from golden.quantise.network import quantise_network
from golden.quantise.precision import Precision
from golden.training import Examples

#: A network with every op but argmax, which does not train.
STEPS_OF_ALL = (
    Step(name="stem", op="layer", inputs=("input",), relu=True),
    Step(name="half", op="avg_pool", inputs=("stem",), options={"kernel": 2, "stride": 2}),
    Step(name="large", op="max_pool", inputs=("stem",), options={"kernel": 2, "stride": 2, "pad": 0}),
    Step(name="signed", op="layer", inputs=("half",)),
    Step(name="both", op="concat", inputs=("large", "signed")),
    Step(name="wide", op="upsample", inputs=("both",), options={"factor": 2}),
    Step(name="mixed", op="layer", inputs=("wide",), relu=True),
    Step(name="sum", op="add", inputs=("mixed", "stem"), relu=True),
    Step(name="mean", op="avg_pool", inputs=("sum",), options={"kernel": FRAME, "stride": 1}),
    Step(name="hidden", op="linear", inputs=("mean",), relu=True),
    Step(name="scores", op="linear", inputs=("hidden",)),
)


def all_ops(seed: int) -> Network:
    """A merged network with random weights. Its batch norms fit `images`."""
    torch.manual_seed(seed)
    parts = {
        "stem": plain_unit(1, 4, 3),
        "signed": XVolution(4, 4),
        "mixed": plain_unit(8, 4, 1),
        "hidden": nn.Linear(4, 6),
        "scores": nn.Linear(6, 5, bias=False),
    }
    made = Network(STEPS_OF_ALL, parts)
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None
    made(images(seed))
    return made.eval().merged()


def images(seed: int, count: int = 16) -> Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_the_network_has_every_op_that_trains() -> None:
    assert {step.op for step in STEPS_OF_ALL} == set(STEPS) - {"argmax"}


@pytest.mark.parametrize(
    "precision",
    [
        Precision(bits=8),
        Precision(bits=4),
        # Multipliers that are powers of two meet ties.
        Precision(bits=8, scales="po2", rounding="half_up"),
        Precision(bits=4, rounding="floor"),
    ],
    ids=["8", "4", "8_half_up", "4_floor"],
)
def test_training_computes_the_integers(precision: Precision) -> None:
    bits = precision.bits
    made = all_ops(bits)
    formats = quantise_network(made, images(bits), precision, "minmax")
    trained = FakeQuantised(made, formats)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(parameter.abs().mean() * torch.randn_like(parameter) / 5)
    integers = trained.quantised()
    examples = Examples((255 * images(9)).round().byte(), torch.zeros(16))
    assert same_integers(trained, integers, examples)
    frames = integers.quantise_images(images(10, 2).numpy())
    np.testing.assert_array_equal(integers.scores(frames), plain.run(integers.integers, frames)[:, :, 0, 0])


def test_all_that_is_requantised_is_rounded_as_is_asked() -> None:
    integers = quantise_network(all_ops(3), images(3), Precision(bits=6, rounding="floor"), "minmax").integers
    fields = {step.name: step.own_fields() for step in integers.steps}
    found = {name: own.get("config", own).get("rounding") for name, own in fields.items()}
    rounded = ("stem", "half", "signed", "mixed", "sum", "mean", "hidden")
    assert found == {name: "floor" if name in rounded else None for name in found}


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_ties_in_training(rounding: Rounding) -> None:
    made = all_ops(7)
    trained = FakeQuantised(made, quantise_network(made, images(7), Precision(bits=8), "minmax"))
    form: dict[str, Any] = {"out_bits": 8, "out_signed": True, "rounding": rounding}
    step = Add(name="sum", inputs=("a", "b"), multipliers=(1, 2), shift=2, relu=False, **form)
    x = torch.arange(-40.0, 40.0)[:, None, None, None]
    found = fake.RESULT["add"](trained, step, [x, x])
    integers = x.long().numpy()
    np.testing.assert_array_equal(found.numpy(), model.RUN["add"](step, [integers, integers]))


def test_integers_come_close_to_floats() -> None:
    made = all_ops(3)
    x = images(4)
    with torch.no_grad():
        wanted = made.values(x)
    errors = []
    for bits in (8, 6, 4):
        formats = quantise_network(made, images(3), Precision(bits=bits), "minmax")
        found = formats.values(formats.quantise_images(x.numpy()))
        by_step = {
            step.name: np.abs(found[step.name] * step.scale - wanted[step.name].numpy()).mean()
            / np.abs(wanted[step.name].numpy()).mean()
            for step in formats.integers.steps
            if step.scale is not None
        }
        print(bits, by_step)
        assert set(by_step) == {step.name for step in STEPS_OF_ALL}
        errors.append(by_step)
    for name in errors[0]:
        assert errors[0][name] < 0.12 and errors[0][name] < errors[2][name], name


def test_joined_results_share_a_format() -> None:
    formats = quantise_network(all_ops(3), images(3), Precision(bits=6), "minmax").integers
    for names in (("stem", "large", "signed", "both", "wide"), ("hidden", "hidden")):
        results = [formats.results[name] for name in names]
        assert len({(result.bits, result.signed, result.scale) for result in results}) == 1
    assert formats.results["both"].signed and not formats.results["sum"].signed


def test_the_highest_score_is_the_answer() -> None:
    quantised = quantise_network(all_ops(5), images(5), Precision(bits=8), "minmax")
    frames = quantised.quantise_images(images(6).numpy())
    answers = quantised.with_argmax("answer")
    assert answers.output_result.shape == (1, 1, 1) and answers.steps[-1].op == "argmax"
    np.testing.assert_array_equal(plain.run(answers, frames[:4]).ravel(), quantised.scores(frames[:4]).argmax(axis=1))


def test_images_are_rounded_and_saturate() -> None:
    quantised = quantise_network(all_ops(5), images(5), Precision(bits=8), "minmax")
    scale = quantised.integers.image.scale
    assert scale is not None
    x = np.array([0.0, 0.5, 1.5, 2.4, 300.0, -3.0]) * scale
    assert quantised.quantise_images(x).tolist() == [0, 0, 2, 2, 255, 0]


def test_gradients_reach_every_parameter() -> None:
    made = all_ops(7)
    trained = FakeQuantised(made, quantise_network(made, images(7), Precision(bits=8), "minmax"))
    trained(images(8)).square().sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_the_first_of_several_highest() -> None:
    made = all_ops(7)
    scores = torch.tensor([[1.0, 3.0, 3.0, -1.0], [2.0, 2.0, 2.0, 2.0]])[:, :, None, None]
    trained = FakeQuantised(made, quantise_network(made, images(7), Precision(bits=8), "minmax"))
    step = trained.formats.with_argmax().steps[-1]
    assert fake.RESULT["argmax"](trained, step, [scores]).ravel().tolist() == [1, 0]
    assert model.RUN["argmax"](step, [scores.numpy()]).ravel().tolist() == [1, 0]
