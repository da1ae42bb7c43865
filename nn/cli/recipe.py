"""How the command line trains: optimizers, schedules, augmentation by name."""

from __future__ import annotations

from typing import Any

from nn import optim
from nn.module import Module

OPTIMIZERS: dict[str, tuple[Any, float, dict[str, Any]]] = {  # the class, the usual learning rate, other options
    "sgd": (optim.SGD, 0.05, {"momentum": 0.9, "nesterov": True}),
    "adam": (optim.Adam, 0.003, {}),
    "adamw": (optim.AdamW, 0.003, {}),
    "rmsprop": (optim.RMSprop, 0.001, {}),
    "adagrad": (optim.Adagrad, 0.01, {}),
}
SCHEDULES = ("constant", "cosine", "step", "one-cycle", "plateau")


def optimizer(name: str, model: Module, lr: float | None, weight_decay: float) -> optim.Optimizer:
    """The optimizer of that name."""
    kind, usual, options = OPTIMIZERS[name]
    made: optim.Optimizer = kind(
        model.parameters(), lr=usual if lr is None else lr, weight_decay=weight_decay, **options
    )
    return made


def schedule(name: str, optimizer: optim.Optimizer, epochs: int, batches: int) -> tuple[Any, str | None]:
    """The schedule of that name for so many epochs of so many batches, and what it takes for a step."""
    if name == "cosine":  # from the learning rate down to 0
        return optim.CosineAnnealingLR(optimizer, epochs * batches), "step"
    if name == "step":  # divided by ten after a half and after three quarters of the epochs
        return optim.MultiStepLR(optimizer, [max(1, epochs // 2), max(1, 3 * epochs // 4)]), "epoch"
    if name == "one-cycle":  # up to the learning rate, and down
        top = optimizer.param_groups[0]["lr"]
        cycles = bool({"momentum", "betas"} & set(optimizer.defaults))
        return optim.OneCycleLR(optimizer, top, epochs * batches, cycle_momentum=cycles), "step"
    if name == "plateau":  # divided by ten when the validation loss has not become smaller for some epochs
        return optim.ReduceLROnPlateau(optimizer, patience=2), "epoch"
    return None, None
