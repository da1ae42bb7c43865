"""The boundary to the hot loops: NumPy arrays in, NumPy arrays out; nothing here knows of tensors or of the tape.

A kernel trusts its caller. The operations have checked types and shapes and resolved the user's spellings with
`kernels.shapes` before: sizes come as one number for each spatial axis, paddings as ((top, bottom), (left, right)). A
kernel takes arrays of any memory layout, float32 or float64, writes to none of them, and returns fresh ones of the
same type in C order; only the steps of the optimizers, `sgd` and `adam`, work in place, by calls that they return.

Every kernel exists twice: in `reference`, in NumPy, to be read; and in `native`, compiled, with the same signature.
This file is the one switch: what it imports is what runs.
"""

from tensorgraph.kernels._choice import extension

if extension is None:
    from tensorgraph.kernels.reference import *  # noqa: F403 (both list the same names)
else:
    from tensorgraph.kernels.native import *  # noqa: F403
