"""Safetensors files: their headers, and what cannot be read."""

import resource

import pytest

from seedband.errors import Refused, WorkFailed
from seedband.models.checkpoints import checkpoint_tensors
from seedband.models.model_folders import CheckpointFiles
from seedband.models.tensor_files import header


def test_weights_that_the_system_does_not_give_are_no_fault_of_theirs(tmp_path):
    (tmp_path / "a.safetensors").mkdir()  # the system's own error, whoever asks
    with pytest.raises(WorkFailed, match="cannot read"):
        header(tmp_path / "a.safetensors")
    (tmp_path / "head.safetensors").mkdir()
    with pytest.raises(WorkFailed, match="cannot read"):
        list(checkpoint_tensors(CheckpointFiles("head", str(tmp_path), "head")))


HEADER = b'{"a":{"dtype":"F32","shape":[%s],"data_offsets":[0,%s]}}'


@pytest.mark.parametrize(
    "content",
    [
        (10 * 2**30).to_bytes(8, "little") + b"{}",
        (2**64 - 1).to_bytes(8, "little") + b"{}",
        len(HEADER % (b"1099511627776", b"4398046511104")).to_bytes(8, "little")
        + HEADER % (b"1099511627776", b"4398046511104"),
        len(HEADER % (b"9223372036854775807,4", b"16")).to_bytes(8, "little")
        + HEADER % (b"9223372036854775807,4", b"16")
        + bytes(16),
        b"",
        b"\x80\x04\x95pickle",
    ],
    ids=["10 GB header", "largest header", "tensor beyond the file", "overflowing shape", "empty", "pickle"],
)
def test_a_header_that_cannot_be_is_refused_before_anything_is_allocated(tmp_path, content):
    file = tmp_path / "adapter_model.safetensors"
    file.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Refused, match="no safetensors file that holds together"):
        header(file)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes
