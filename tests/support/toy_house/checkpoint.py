"""A kind of checkpoint: a head in half precision."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from seedband.models.kinds import CheckpointKind
from seedband.models.model_folders import tensor_names
from seedband.models.shape_check import check_shapes


class Half(CheckpointKind):
    """half.json and half.safetensors."""

    name = "half"
    sign = "half.json"
    explained = "half.json (a head in half precision)"
    keeps_base = True

    def weights(self, folder):
        return ["half.safetensors"]

    def check(self, files, base, labels, task):
        check_shapes(files.name, self.shapes(files), tensor_names(Path(base.path)), len(labels))

    def open(self, files, base, labels, task, opened):
        from seedband.models.loading import pooled

        network = pooled(base.path, labels, self.reads(Path(files.path)), dropout=0.0)
        tensors = load_file(Path(files.path) / "half.safetensors")
        network.module.load_state_dict(
            {name: tensor.to(torch.float32) for name, tensor in tensors.items()}, strict=False
        )
        return network

    def settings(self, folder):
        return json.loads((folder / "half.json").read_text(encoding="utf-8"))

    def labels(self, folder):
        return self.settings(folder)["labels"]

    def base_sha256(self, folder):
        return self.settings(folder)["base_sha256"]

    def reads(self, folder):
        return self.settings(folder)["pooling"]
