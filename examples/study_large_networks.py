"""AlexNet, VGG-16, GoogLeNet and ResNet-18, forward and backward on a batch: how long, and how much memory.

    python examples/study_large_networks.py          batches of 8 images of 224x224 (AlexNet: 227x227)
    python examples/study_large_networks.py --quick  batches of one image, ResNet-18 alone

Each network runs in a process of its own, so that its peak of memory is its own. Asserts that every parameter gets a
gradient, and that all of them are finite.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import nn
import tensorgraph as tg

SIZES = {"resnet18": 224, "alexnet": 227, "googlenet": 224, "vgg16": 224}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--network", choices=SIZES, help="this one, in this process")
    options = parser.parse_args()
    batch = 1 if options.quick else 8
    if options.network:
        print(measured(options.network, batch))
        return
    print(f"{'network':10}  {'batch':>5}  {'parameters':>11}  {'forward':>9}  {'backward':>9}  {'peak memory':>11}")
    for name in list(SIZES)[:1] if options.quick else SIZES:
        command = [sys.executable, __file__, "--network", name, *(["--quick"] if options.quick else [])]
        print(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout, end="", flush=True)


def measured(name: str, batch: int) -> str:
    """The line of a network: the second of two steps, since the first one also fetches the memory."""
    rng = np.random.default_rng(0)
    model = getattr(nn.models, name)(rng=rng)
    x = tg.tensor(rng.random((batch, 3, SIZES[name], SIZES[name]), dtype=np.float32))
    classes = rng.integers(0, 1000, batch)
    loss_function = nn.CrossEntropyLoss()
    for _ in range(2):
        model.zero_grad()
        started = time.perf_counter()
        outputs = model(x)
        weighted = zip((1.0, 0.3, 0.3), outputs if isinstance(outputs, tuple) else (outputs,))  # GoogLeNet's paper
        loss = sum(weight * loss_function(logits, classes) for weight, logits in weighted)
        middle = time.perf_counter()
        loss.backward()
        ended = time.perf_counter()
    for path, parameter in model.named_parameters():
        assert parameter.grad is not None, path
        assert np.isfinite(parameter.grad.data).all(), path
    parameters = sum(parameter.size for parameter in model.parameters())
    return (
        f"{name:10}  {batch:5}  {parameters:11,}  {middle - started:7.2f} s  {ended - middle:7.2f} s  "
        f"{peak_mebibytes():7,.0f} MiB"
    )


def peak_mebibytes() -> float:
    """The most memory that this process has taken so far; 0 where this is not Linux."""
    if sys.platform != "linux":
        return 0.0
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
