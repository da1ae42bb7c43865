"""nn: layers, losses, optimizers, data and training on top of tensorgraph's public functions."""

from nn import data, functional, init, models, optim, pictures, training
from nn.activation import ELU, GELU, Arctan, LeakyReLU, ReLU, Sigmoid, Softmax, Softplus, Tanh
from nn.containers import ModuleList, Sequential
from nn.conv import Conv1d, Conv2d, ConvTranspose2d
from nn.dropout import Dropout, Dropout2d
from nn.linear import Linear
from nn.loss import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, MSELoss, NLLLoss
from nn.module import Module, Parameter
from nn.normalization import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm, LocalResponseNorm
from nn.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from nn.serialization import FileFormatError, load, save
from nn.shape import Flatten, Identity
from nn.summary import Summary, summary
from nn.training import Trainer
from nn.weights import load_state_dict_file

__all__ = [
    "ELU",
    "GELU",
    "AdaptiveAvgPool2d",
    "Arctan",
    "AvgPool2d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout2d",
    "FileFormatError",
    "Flatten",
    "GroupNorm",
    "Identity",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "ModuleList",
    "NLLLoss",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Summary",
    "Tanh",
    "Trainer",
    "data",
    "functional",
    "init",
    "load",
    "load_state_dict_file",
    "models",
    "optim",
    "pictures",
    "save",
    "summary",
    "training",
]
