"""What an experiment demands: its data set, and its time where no stored run tells it."""

from __future__ import annotations

from golden.experiments.experiment import task_of
from scripts.studies.functions import Settings

#: Seconds of one core for each pixel that a ResNet-8 of plain convolutions learns from, measured on ``load_digits``.
SECONDS_PER_PIXEL = 7e-6
#: Time of a network with X-volution, relative to a plain one.
XVOLUTION_FACTOR = 1.4
#: Time of quantising and measuring, and time of an epoch of training in few bits, in epochs of plain training.
PTQ_EPOCHS, QAT_EPOCHS = 0.5, 2.0
#: Seconds to choose scales and shifts of a whole network, whatever it was trained on.
QUANTISATION_S = 5.0
#: Number of training images where settings give none, and pixels of an image.
IMAGES = {"digits": 1200, "fashion_mnist": 55_000, "cifar10": 45_000, "image_folder": 10_000}
PIXELS = {"digits": 8 * 8, "fashion_mnist": 28 * 28, "cifar10": 32 * 32}


def check_data(settings: Settings) -> None:
    """Raise `UserError` where the data set of checked ``settings`` is missing. The message says what brings it."""
    task_of(settings)


def seconds(settings: Settings) -> float:
    """Rough time in seconds that one core takes for checked ``settings``.

    It is proportional to epochs, images, pixels and depth.
    """
    task = settings["task"]
    pixels = PIXELS.get(task, settings["image_side"] ** 2)
    images = settings["train_images"] or IMAGES[task]
    epochs = settings["epochs"] + PTQ_EPOCHS * len(settings["bits"])
    if settings["qat_bits"]:
        epochs += settings["qat_epochs"] * (1 + QAT_EPOCHS * len(settings["qat_bits"]))
    factor = 1.0 if settings["variant"] == "conv" else XVOLUTION_FACTOR
    learning = SECONDS_PER_PIXEL * pixels * images * epochs
    quantising = QUANTISATION_S * (len(settings["bits"]) + len(settings["qat_bits"]))
    return (learning + quantising) * factor * settings["depth"] / 8
