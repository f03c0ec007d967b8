"""Training that a seed decides."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from golden.networks.resnet import resnet
from golden.support.cli import UserError
from golden.training import Task, load_task
from golden.training.train import Schedule, augmented, evaluate, predict, reproducible, train


@pytest.fixture(scope="module")
def task() -> Task:
    return load_task("digits", train_images=192, validation_images=100)


def trained(task: Task, *, seed: int = 0, data_seed: int = 0, **options: object) -> nn.Module:
    with reproducible(seed):
        network = resnet(8, in_channels=1, outputs=10)
        train(network, task, Schedule(epochs=1, seed=data_seed, **options))  # type: ignore[arg-type]
    return network


def difference(a: nn.Module, b: nn.Module) -> float:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return max(float((x - y).abs().max()) for x, y in pairs if x.numel())


def test_the_same_seeds_give_the_same_weights(task: Task) -> None:
    first = trained(task, augment=("flip", "shift"))
    torch.rand(5)  # the state of the global generator does not matter
    assert difference(first, trained(task, augment=("flip", "shift"))) == 0
    assert difference(first, trained(task, data_seed=1, augment=("flip", "shift"))) > 0
    assert difference(first, trained(task, seed=1, augment=("flip", "shift"))) > 0


class Recorder(nn.Module):
    """Keeps the images it sees; of any number of weights."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, 10))
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen.append(x.clone())
        return self.linear(x)


def test_two_networks_see_the_same_images_in_the_same_order(task: Task) -> None:
    seen = []
    for seed, width in ((0, 3), (1, 7)):
        with reproducible(seed):
            network = Recorder(width)
            train(network, task, Schedule(epochs=2, batch=50, augment=("flip", "shift"), seed=5))
        seen.append(torch.cat(network.seen))
    assert torch.equal(*seen)
    # Whole epochs, each in an order of its own.
    assert len(seen[0]) == 2 * 192 and not torch.equal(seen[0][:192], seen[0][192:])


def test_the_state_of_the_library_comes_back() -> None:
    torch.set_num_threads(2)
    try:
        state = torch.get_rng_state()
        with pytest.raises(RuntimeError), reproducible(3):
            assert torch.get_num_threads() == 1 and torch.are_deterministic_algorithms_enabled()
            torch.rand(1)
            raise RuntimeError
        assert torch.get_num_threads() == 2 and not torch.are_deterministic_algorithms_enabled()
        assert torch.equal(torch.get_rng_state(), state)
    finally:
        torch.set_num_threads(1)


def test_progress_curve_and_mode(task: Task) -> None:
    parts: list[float] = []
    with reproducible(0):
        network = resnet(8, in_channels=1, outputs=10)
        curve = train(network, task, Schedule(epochs=3), advance=parts.append)
    assert sum(parts) == pytest.approx(1)
    assert [point["epoch"] for point in curve] == [1, 2, 3]
    assert curve[2]["loss"] < curve[0]["loss"]
    assert not network.training
    assert evaluate(network, task, task.validation) == curve[2]["validation"]
    assert curve[2]["validation"] > 30  # three times chance
    # Batches do not matter where nothing is trained.
    assert torch.allclose(predict(network, task.test), network(task.test.images()), atol=1e-5)


def test_a_diverged_training_is_told(task: Task) -> None:
    with reproducible(0), pytest.raises(UserError, match=r"diverged in epoch .*lower learning_rate"):
        train(Recorder(50), task, Schedule(epochs=2, optimiser="sgd", learning_rate=1e9))


def test_unknown_choices_are_named() -> None:
    with pytest.raises(UserError, match="optimiser 'lion' is not one of 'adamw', 'sgd'"):
        Schedule(epochs=1, optimiser="lion")
    with pytest.raises(UserError, match="augment 'crop' is not one of 'flip', 'shift'"):
        Schedule(epochs=1, augment=("crop",))


def test_augmented_images_are_moved_copies() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(200, 2, 16, 9, generator=torch.Generator().manual_seed(1)) + 0.1
    flipped = augmented(images, ("flip",), generator)
    as_was = (flipped == images).all((1, 2, 3))
    turned = (flipped == images.flip(3)).all((1, 2, 3))
    assert (as_was ^ turned).all() and 60 < as_was.sum() < 140
    shifted = augmented(images, ("shift",), generator)
    found = set()
    padded = nn.functional.pad(images, (1, 1, 1, 1))
    for image, frame in zip(shifted, padded, strict=True):
        places = [(y, x) for y in range(3) for x in range(3) if torch.equal(image, frame[:, y : y + 16, x : x + 9])]
        assert len(places) == 1
        found.update(places)
    assert len(found) == 9
