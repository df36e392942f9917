"""Imported by every Python process of a sweep that is measured without a lever: patches modules as they are imported.

SEEDBAND_WITHOUT is JSON: module → attribute → source that gives the module another one of that name. An attribute that
the module does not have is an error: the lever is gone, or is called otherwise.
"""

import importlib.machinery
import json
import os
import sys


class Patching:
    """Finds the modules that are to be patched, before anybody else does."""

    def __init__(self, patches):
        self.patches = patches

    def find_spec(self, name, path, target=None):
        if name not in self.patches:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        whole = spec.loader.exec_module

        def exec_module(module):
            whole(module)
            for attribute, source in self.patches[name].items():
                if attribute not in vars(module):
                    raise AttributeError(f"{name} has no {attribute} that could be patched")
                exec(source, vars(module))

        spec.loader.exec_module = exec_module
        return spec


if "SEEDBAND_WITHOUT" in os.environ:
    sys.meta_path.insert(0, Patching(json.loads(os.environ["SEEDBAND_WITHOUT"])))
