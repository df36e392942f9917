"""doctor: what is pinned on this machine, what cannot be, and the fingerprint of its numerics."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from seedband.determinism.environment_record import EnvironmentRecord
from seedband.determinism.pins import PORTABLE, Overridden, Pins, overridden, pinned_environment
from seedband.determinism.settings import DeterminismSection
from seedband.jobs import executors, run_jobs
from seedband.jobs.kinds.probe import ProbeJob
from seedband.storage.registry import DEFAULT_EXECUTOR

if TYPE_CHECKING:
    from seedband.events import Event

State = Literal["pinned", "open", "absent"]


@dataclass(frozen=True)
class Finding:
    """One source of differing numbers.

    Attributes:
        what: Its name.
        found: What a job has here.
        state: "pinned"; "open" where nothing can pin it, so that other machines may differ; "absent" where this
            machine has no such thing.
        advice: What to do about it, or what to know.
    """

    what: str
    found: str
    state: State
    advice: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """What a job's process is like on this machine.

    Attributes:
        fingerprint: SHA-256 over a battery of results: equal ones mean one class of numerics.
        findings: Source by source.
        overridden: Variables of the shell that give way to pinned values.
        versions: Of Python and of what numbers can depend on.
    """

    fingerprint: str
    findings: tuple[Finding, ...]
    overridden: tuple[Overridden, ...]
    versions: Mapping[str, str]


def diagnose(section: DeterminismSection, device: str = "auto") -> Diagnosis:
    """Start a job's process, and ask what it is pinned to.

    Args:
        section: What jobs are to be pinned to.
        device: "auto", "cpu" or "cuda".

    Raises:
        UsageError: CUDA was asked for, and there is none.
        WorkFailed: The process could not be started or pinned.
    """
    events: list[Event] = []
    with (
        tempfile.TemporaryDirectory(prefix="seedband-doctor-") as logs,
        executors.make(DEFAULT_EXECUTOR, slots=1, offline=True) as executor,
    ):
        run_jobs.probe(ProbeJob(device, section), executor, Path(logs), events.append)
    probed = next(event.content for event in events if event.kind == "probed")
    environment = EnvironmentRecord(**probed["environment"])
    pins: Pins = probed["pins"]
    return Diagnosis(
        fingerprint=environment.fingerprint,
        findings=tuple(_findings(section, environment, pins)),
        overridden=tuple(overridden(pinned_environment(section, offline=False), os.environ)),
        versions=environment.versions,
    )


def _findings(section: DeterminismSection, environment: EnvironmentRecord, pins: Pins) -> list[Finding]:
    hardware = environment.hardware
    strict = pins["deterministic_algorithms"] and not pins["deterministic_warn_only"]
    variables = pins["environment"]
    return [
        _threads(section, pins),
        _instructions(section, hardware),
        Finding(
            "deterministic algorithms",
            "on, and what has none raises" if strict else "off",
            "pinned" if strict else "open",
        ),
        Finding("hash seed", f"PYTHONHASHSEED={variables.get('PYTHONHASHSEED')}", "pinned"),
        Finding("TF32", f"fp32 products in {pins['fp32_precision']}", "pinned"),
        *_everywhere(pins, variables),
        *_gpu(environment),
    ]


def _threads(section: DeterminismSection, pins: Pins) -> Finding:
    held = pins["threads"] == section.threads
    return Finding(
        "CPU threads",
        f"{pins['threads']}, of {os.cpu_count()} cores",
        "pinned" if held else "open",
        "another number gives other numerics, and another band",
    )


def _instructions(section: DeterminismSection, hardware: Mapping[str, object]) -> Finding:
    found = f"{hardware['cpu_capability']} ({hardware['cpu']})"
    if hardware["machine"] not in ("x86_64", "AMD64"):
        return Finding("instruction set", found, "open", f"nothing pins it on {hardware['machine']}")
    if section.portable and hardware["cpu_capability"] != "AVX2":
        return Finding("instruction set", found, "open", "portable asks for AVX2, which this processor does not take")
    if section.portable:
        names = ", ".join(f"{name}={value}" for name, value in PORTABLE.items())
        return Finding("instruction set", found, "pinned", names)
    return Finding(
        "instruction set",
        found,
        "open",
        "for runners that differ, [determinism] portable = true pins AVX2",
    )


def _everywhere(pins: Pins, variables: Mapping[str, str]) -> list[Finding]:
    """Findings that do not depend on a GPU."""
    on = (pins["sdpa_flash"], pins["sdpa_mem_efficient"], pins["sdpa_math"], pins["sdpa_cudnn"])
    kernels = list(compress(("flash", "mem_efficient", "math", "cudnn"), on))
    workspace = f"CUBLAS_WORKSPACE_CONFIG={variables.get('CUBLAS_WORKSPACE_CONFIG')}"
    cudnn = f"deterministic {pins['cudnn_deterministic']}, benchmark {pins['cudnn_benchmark']}"
    return [
        Finding("cuBLAS", workspace, "pinned", "torch no longer complains when it is unset"),
        Finding("cuDNN", cudnn, "pinned"),
        Finding("attention (SDPA)", ", ".join(kernels), "pinned", "cuDNN's has no deterministic backward pass"),
        Finding("NCCL", "a job has one device", "absent", "reductions over several GPUs are not pinned"),
    ]


def _gpu(environment: EnvironmentRecord) -> list[Finding]:
    if environment.device != "cuda":
        return [Finding("GPU", "none in use", "absent")]
    hardware = environment.hardware
    model = f"{hardware['gpu']}, capability {hardware['gpu_capability']}, {hardware['gpu_multiprocessors']} SMs"
    versions = f"CUDA {hardware['cuda']}, cuDNN {hardware['cudnn']}"
    return [
        Finding("GPU", model, "open", "another model gives other numerics"),
        Finding("GPU libraries", versions, "open", "other versions give other numerics: keep the same image"),
    ]
