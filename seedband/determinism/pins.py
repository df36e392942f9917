"""Pins: the environment and the flags of a job.

The environment is pinned by the parent before the child's Python starts, for
hash seeds, thread pools and cuBLAS read it then and never again; the child checks that it arrived.
"""

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, TypedDict

from seedband.determinism.settings import DeterminismSection
from seedband.errors import WorkFailed

#: Present in the environment of a job, they are recorded: they can change numbers.
RECORDED_PREFIXES = ("TORCH", "PYTORCH_", "CUDA_", "CUBLAS", "NVIDIA_TF32", "NCCL_", "OMP_", "MKL_", "KMP_", "ATEN_")
#: Unless their name says that nobody else is to know them.
SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|(API|ACCESS|PRIVATE)_?KEY", re.IGNORECASE)
#: A shorter value is no secret, but would be found everywhere.
MIN_SECRET = 6
#: What `portable` adds: the instructions that x86 machines have in common. MKL's strict mode covers products only.
PORTABLE = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "AVX2,STRICT"}


class Overridden(NamedTuple):
    """A variable whose value in the shell gives way to the pinned one."""

    name: str
    found: str
    pinned: str


def pinned_environment(section: DeterminismSection, *, offline: bool) -> dict[str, str]:
    """The variables of a job, whatever the shell says.

    Args:
        section: Threads of every numeric library, and whether the lowest common instruction set is taken.
        offline: Whether model hubs must not be asked.
    """
    threads = section.threads
    pinned = {
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "NUMEXPR_NUM_THREADS": str(threads),
        "OMP_DYNAMIC": "FALSE",
        "MKL_DYNAMIC": "FALSE",
        "TOKENIZERS_PARALLELISM": "false",
        "FLASH_ATTENTION_DETERMINISTIC": "1",
        "NVIDIA_TF32_OVERRIDE": "0",
        # What scikit-learn sets when it is imported, by whichever evaluator and whenever that is.
        "KMP_DUPLICATE_LIB_OK": "True",
        "KMP_INIT_AT_FORK": "FALSE",
    }
    pinned |= PORTABLE if section.portable else {}
    return pinned | ({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"} if offline else {})


def inherited(environment: Mapping[str, str]) -> DeterminismSection:
    """The section by which a job was pinned, for its own children: read from what it was started with."""
    threads = environment.get("OMP_NUM_THREADS", "")
    portable = all(environment.get(name) == value for name, value in PORTABLE.items())
    return DeterminismSection(threads=int(threads) if threads.isdecimal() else 1, portable=portable)


def overridden(pinned: Mapping[str, str], environment: Mapping[str, str]) -> list[Overridden]:
    """Variables that the shell sets otherwise than the pins do."""
    return [
        Overridden(name, environment[name], value)
        for name, value in pinned.items()
        if name in environment and environment[name] != value
    ]


def pin(section: DeterminismSection) -> None:
    """Pin torch, in a child whose environment was pinned before it started.

    Raises:
        WorkFailed: The environment did not arrive as pinned.
    """
    check_environment(section)
    import torch

    torch.set_num_threads(section.threads)
    torch.set_num_interop_threads(1)
    torch.use_deterministic_algorithms(mode=True, warn_only=False)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.fp32_precision = "ieee"  # type: ignore[attr-defined]
    torch.backends.cuda.enable_cudnn_sdp(enabled=False)


def check_environment(section: DeterminismSection) -> None:
    """Find out whether the environment of this process is the pinned one.

    Raises:
        WorkFailed: It did not arrive as pinned.
    """
    expected = pinned_environment(section, offline=False)
    wrong = {name: os.environ.get(name) for name, value in expected.items() if os.environ.get(name) != value}
    if wrong:
        raise WorkFailed(f"the job's environment is not pinned: {wrong}", hint="start jobs through seedband")


class Pins(TypedDict):
    """Every pin as torch and the environment have it."""

    environment: dict[str, str]
    threads: int
    interop_threads: int
    deterministic_algorithms: bool
    deterministic_warn_only: bool
    fill_uninitialized_memory: bool
    cudnn_deterministic: bool
    cudnn_benchmark: bool
    fp32_precision: str
    fp32_precision_matmul: str
    fp32_precision_conv: str
    sdpa_flash: bool
    sdpa_mem_efficient: bool
    sdpa_math: bool
    sdpa_cudnn: bool


def read_back() -> Pins:
    """Every pin as it stands now, read from torch and the environment: libraries flip flags."""
    import torch

    backends: Any = torch.backends
    return {
        "environment": {
            name: value
            for name, value in sorted(os.environ.items())
            if name in pinned_environment(DeterminismSection(portable=True), offline=True)
            or (name.startswith(RECORDED_PREFIXES) and not SECRET.search(name))
        },
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "deterministic_warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "fill_uninitialized_memory": torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        "cudnn_deterministic": backends.cudnn.deterministic,
        "cudnn_benchmark": backends.cudnn.benchmark,
        "fp32_precision": backends.fp32_precision,
        "fp32_precision_matmul": backends.cuda.matmul.fp32_precision,
        "fp32_precision_conv": backends.cudnn.conv.fp32_precision,
        "sdpa_flash": backends.cuda.flash_sdp_enabled(),
        "sdpa_mem_efficient": backends.cuda.mem_efficient_sdp_enabled(),
        "sdpa_math": backends.cuda.math_sdp_enabled(),
        "sdpa_cudnn": backends.cuda.cudnn_sdp_enabled(),
    }


def without_secrets(text: str, environment: Mapping[str, str]) -> str:
    """A text in which no variable's value stands whose name says that nobody else is to know it."""
    for name, value in environment.items():
        if SECRET.search(name) and len(value) >= MIN_SECRET:
            text = text.replace(value, f"[{name}]")
    return text


def flipped(start: Mapping[str, object], end: Mapping[str, object]) -> list[str]:
    """Pins that changed while a job ran."""
    return [name for name, value in start.items() if end.get(name) != value]
