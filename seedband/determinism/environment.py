"""Where numbers are made: versions, hardware, and a fingerprint of the numerics themselves."""

import hashlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

PACKAGES = (
    "seedband",
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "safetensors",
    "tokenizers",
    "numpy",
    "scipy",
    "scikit-learn",
)


class Hardware(TypedDict):
    """What a process runs on; the GPU where it has one."""

    machine: str
    system: str
    cpu: str
    cpu_capability: str
    cpu_count: int | None
    gpu: NotRequired[str]
    gpu_capability: NotRequired[str]
    gpu_multiprocessors: NotRequired[int]
    gpu_memory_bytes: NotRequired[int]
    cuda: NotRequired[str | None]
    cudnn: NotRequired[int | None]


class Environment(TypedDict):
    """Where numbers are made, as records have it."""

    versions: dict[str, str]
    device: str
    hardware: Hardware
    fingerprint: str


def describe(device: str) -> Environment:
    """Everything about this process's environment that numbers can depend on.

    Args:
        device: "cpu" or "cuda".
    """
    return {
        "versions": versions(),
        "device": device,
        "hardware": hardware(device),
        "fingerprint": fingerprint(device),
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers can depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def hardware(device: str) -> Hardware:
    """Processor, instruction set and, on CUDA, the GPU with what cuBLAS's guarantee depends on."""
    import torch

    found: Hardware = {
        "machine": platform.machine(),
        "system": platform.system(),
        "cpu": _cpu_model(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_count": os.cpu_count(),
    }
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        found |= {
            "gpu": properties.name,
            "gpu_capability": f"{properties.major}.{properties.minor}",
            "gpu_multiprocessors": properties.multi_processor_count,
            "gpu_memory_bytes": properties.total_memory,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        }
    return found


def fingerprint(device: str) -> str:
    """SHA-256 over the results of a small fixed battery: unequal ones mean another class of numerics.

    The operations are those whose results were seen to depend on threads, instruction set or library: a product
    with a long inner dimension, the backward pass of layer norm, attention forward and backward, and the
    generators themselves.
    """
    import torch

    digest = hashlib.sha256()
    with torch.random.fork_rng(devices=[]):
        for operation in _BATTERY:
            for tensor in operation(torch.device(device)):
                digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _matmul(device: "torch.device") -> "tuple[torch.Tensor, ...]":
    import torch

    left = torch.linspace(-1, 1, 4 * 16384, device=device).sin().reshape(4, 16384)
    return (left @ torch.linspace(-2, 2, 16384 * 4, device=device).cos().reshape(16384, 4),)


def _layer_norm(device: "torch.device") -> "tuple[torch.Tensor, ...]":
    import torch

    norm = torch.nn.LayerNorm(256, device=device)
    norm(torch.linspace(-3, 3, 2048 * 256, device=device).sin().reshape(2048, 256)).square().sum().backward()
    return tuple(parameter.grad for parameter in norm.parameters() if parameter.grad is not None)


def _attention(device: "torch.device") -> "tuple[torch.Tensor, ...]":
    import torch

    inputs = torch.linspace(-2, 2, 2 * 4 * 48 * 32, device=device).sin().reshape(2, 4, 48, 32).requires_grad_()
    out = torch.nn.functional.scaled_dot_product_attention(inputs, inputs.flip(2), inputs.flip(3))
    (gradient,) = torch.autograd.grad(out.square().sum(), inputs)
    return out, gradient


def _generators(_device: "torch.device") -> "tuple[torch.Tensor, ...]":
    import torch

    generator = torch.Generator().manual_seed(20261122)
    return torch.randn(4096, generator=generator), torch.randperm(1024, generator=generator)


_BATTERY: "tuple[Callable[[torch.device], tuple[torch.Tensor, ...]], ...]" = (
    _matmul,
    _layer_norm,
    _attention,
    _generators,
)


def _cpu_model() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"
