"""Training: the loop, and what goes with it: metrics, callbacks, the history."""

from nn.training.callbacks import Callback, Checkpoint, EarlyStopping
from nn.training.history import History
from nn.training.logs import CSVLog, JSONLinesLog, TensorBoard
from nn.training.metrics import Accuracy, ConfusionMatrix, Metric, TopK
from nn.training.trainer import Trainer

__all__ = [
    "Accuracy",
    "CSVLog",
    "Callback",
    "Checkpoint",
    "ConfusionMatrix",
    "EarlyStopping",
    "History",
    "JSONLinesLog",
    "Metric",
    "TensorBoard",
    "TopK",
    "Trainer",
]
