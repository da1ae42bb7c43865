"""Weights of other programs: safetensors, NumPy's .npz and PyTorch's .pth files, read without running any code."""

from nn.weights.loading import Loaded, load_state_dict_file

__all__ = ["Loaded", "load_state_dict_file"]
