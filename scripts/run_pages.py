"""Type the commands of a page, and hold what they print against what the page shows.

    python scripts/run_pages.py docs/tutorial.md [--write] [--in FOLDER]

A block marked console holds commands after `$ `, each followed by what it prints, to either stream, and by `exit N`
where its exit code is not 0. A block with a title is a file, which is written, or added to where it is there. All of a
page happens in one fresh folder, with the repository's fixtures in it. --write puts what was printed onto the page.
"""

import argparse
import difflib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(
    r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<content>.*?)^```$', re.MULTILINE | re.DOTALL
)
#: Longest that one command of a page may take, in seconds.
LIMIT_S = 900
#: What pip, pytest and the shell say about this machine alone.
ENVIRONMENT = {"COLUMNS": "110", "NO_COLOR": "1", "TERM": "dumb", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true", help="put what was printed onto the page")
    parser.add_argument("--in", dest="folder", type=Path, help="where to type; a fresh folder unless said")
    arguments = parser.parse_args()
    stale = 0
    for page in arguments.pages:
        text = page.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as fresh:
            printed = reprinted(text, arguments.folder or Path(fresh))
        stale += printed != text
        shown = difflib.unified_diff(text.split("\n"), printed.split("\n"), str(page), "printed", lineterm="")
        print("\n".join(shown))
        if arguments.write:
            page.write_text(printed, encoding="utf-8")
    return int(bool(stale) and not arguments.write)


def reprinted(text: str, folder: Path) -> str:
    """The page with what its commands print now."""
    if not (folder / "fixtures").exists():
        (folder / "fixtures").symlink_to(ROOT / "fixtures")

    def block(found: re.Match[str]) -> str:
        content = found["content"]
        if found["title"]:
            path = folder / found["title"]
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(content)
        elif found["language"] == "console":
            printed = "".join(f"$ {command}\n{typed(command, folder)}" for command in commands(content))
            return found[0].replace(content, printed) if content else found[0]
        return found[0]

    return BLOCK.sub(block, text)


def commands(block: str) -> list[str]:
    """What is typed in a block; a line that ends in a backslash goes on."""
    return re.findall(r"^\$ ((?:.*\\\n)*.*)$", block, re.MULTILINE)


def typed(command: str, folder: Path) -> str:
    """What a command prints, to either stream, as a reader sees it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    search = os.pathsep.join([str(folder), str(ROOT)])
    environment = {**os.environ, **ENVIRONMENT, "PATH": path, "PYTHONPATH": search}
    done = subprocess.run(
        ["/bin/bash", "-c", f"exec 2>&1\n{command}"],
        cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    text = done.stdout if done.stdout.endswith("\n") or not done.stdout else f"{done.stdout}\n"
    lines = [line.rstrip() for line in text.splitlines()]
    ended = [f"exit {done.returncode}"] if done.returncode else []
    return "".join(f"{line}\n" for line in [*lines, *ended])


if __name__ == "__main__":
    sys.exit(main())
