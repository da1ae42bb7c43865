"""Optimizers: rules that change parameters by their gradients; clipping; schedules of the learning rate."""

from nn.optim.adagrad import Adagrad
from nn.optim.adam import Adam, AdamW
from nn.optim.clipping import clip_grad_norm_, clip_grad_value_
from nn.optim.one_cycle import OneCycleLR
from nn.optim.optimizer import Optimizer
from nn.optim.plateau import ReduceLROnPlateau
from nn.optim.rmsprop import RMSprop
from nn.optim.schedule import CosineAnnealingLR, ExponentialLR, LinearWarmup, MultiStepLR, Schedule, StepLR
from nn.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LinearWarmup",
    "MultiStepLR",
    "OneCycleLR",
    "Optimizer",
    "RMSprop",
    "ReduceLROnPlateau",
    "Schedule",
    "StepLR",
    "clip_grad_norm_",
    "clip_grad_value_",
]
