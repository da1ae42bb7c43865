"""The compiled kernels: each kernel file once for every instruction set, all in one extension module.

Where they cannot be compiled, the package installs without them and the NumPy kernels run; `tg.show_config()` says so.
"""

import os
import platform
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FOLDER = Path("tensorgraph/kernels/src")
COMMON = ["binding", "buffers", "dispatch", "pool", "signatures", "update_binding"]
KERNELS = sorted(path.stem for path in FOLDER.glob("*.cpp") if path.stem not in COMMON)

FLAGS = "-std=c++20 -O3 -fno-math-errno -fno-trapping-math -ffp-contract=fast -fvisibility=hidden -pthread".split()
FLAGS.append("-g0")  # many an interpreter asks for debug information, which would be five sixths of the file
ISAS = {"baseline": ""}
if platform.machine().lower() in ("x86_64", "amd64"):
    ISAS |= {"avx2": "-mavx2 -mfma", "avx512": "-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma"}


class BuildKernels(build_ext):
    """Compiles the kernel files with each set's flags, and links them with the files that all share."""

    def build_extension(self, ext: Extension) -> None:
        import numpy as np  # at hand when something is built, not when the package's data is asked for

        extra = os.environ.get("TENSORGRAPH_CXXFLAGS", "").split()  # for sanitizers

        def compiled(job: tuple[str, str]) -> list[str]:
            isa, name = job
            objects: list[str] = self.compiler.compile(
                [f"{FOLDER}/{name}.cpp"],
                output_dir=f"{self.build_temp}/{isa}",
                macros=[("TENSORGRAPH_ISA", isa)],
                extra_postargs=[*FLAGS, *ISAS[isa].split(), *extra],
                depends=ext.depends,
            )
            return objects

        with ThreadPoolExecutor(os.cpu_count()) as threads:  # a compiler for each core
            for objects in threads.map(compiled, [(isa, name) for isa in ISAS for name in KERNELS]):
                ext.extra_objects += objects
        ext.include_dirs.append(np.get_include())
        ext.extra_compile_args += [*FLAGS, *extra]
        ext.extra_link_args += ["-pthread", *extra]
        super().build_extension(ext)


setup(
    cmdclass={"build_ext": BuildKernels},
    ext_modules=[
        Extension(
            "tensorgraph.kernels._native",
            sources=[f"{FOLDER}/{name}.cpp" for name in COMMON],
            depends=sorted(map(str, FOLDER.iterdir())),
            language="c++",
            optional=True,
        )
    ],
)
