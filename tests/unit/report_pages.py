"""A small participant to report on, and a reader of the page that came out."""

import base64
import io
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from PIL import Image

from bidsapp.modalities.t1w.page import ParticipantReport, write_participant_report

PASSED = {
    "ncc": 0.81,
    "local_ncc": 0.79,
    "brain_volume_ml": 1400.0,
    "affine_scales": [1.02, 0.95, 0.91],
    "mask_dice": 0.98,
    "folded_fraction": 0.0,
    "bright_share": 0.0,
    "cut_faces": (),
    "rescued": False,
    "verdict": "pass",
    "reasons": (),
}
VOID = {"meta", "link", "img", "input", "br", "hr"}
# Shapes of SVG may close themselves.
SELF_CLOSED = {"path", "rect", "circle", "use"}


def save(path: Path, data: np.ndarray, affine: np.ndarray) -> Path:
    nib.Nifti1Image(data, affine).to_filename(path)
    return path


def ball(shape: tuple[int, int, int], sizes: np.ndarray, radius_mm: float) -> np.ndarray:
    grid = np.indices(shape).reshape(3, -1).T - (np.array(shape) - 1) / 2
    return (np.linalg.norm(grid * sizes, axis=1) < radius_mm).reshape(shape)


def centred(shape: tuple[int, int, int], sizes: tuple[float, float, float]) -> np.ndarray:
    affine = np.diag([*sizes, 1.0])
    affine[:3, 3] = -(np.array(shape) - 1) / 2 * np.array(sizes)
    return affine


def small_report(folder: Path, **changes: Any) -> ParticipantReport:
    """Write six images of a ball that is a brain, and give the report of it."""
    folder.mkdir(exist_ok=True, parents=True)
    shape, sizes = (40, 44, 36), (4.0, 4.0, 4.0)
    affine = centred(shape, sizes)
    brain = ball(shape, np.array(sizes), 60)
    core = ball(shape, np.array(sizes), 35)
    image = (0.5 * brain + 0.4 * core).astype(np.float32)
    rng = np.random.default_rng(0)
    noisy = image * 700 + 60 * rng.random(shape, dtype=np.float32)
    report = ParticipantReport(
        title="sub-01 ses-02",
        source="sub-01/ses-02/anat/sub-01_ses-02_T1w.nii.gz",
        chosen_because="It is the only T1w image.",
        template="MNI152NLin2009aSym",
        resolution=2,
        quality=PASSED,
        notes=[],
        seconds={"brain mask": 1.5, "registration": 2.5},
        settings={"speed": "default"},
        versions={"nocicast": "0.1.0"},
        command="nocicast in out participant",
        head=save(folder / "head.nii", noisy, affine),
        head_mask=save(folder / "head_mask.nii", brain.astype(np.uint8), affine),
        t1w=save(folder / "t1w.nii", image, affine),
        mask=save(folder / "mask.nii", brain.astype(np.uint8), affine),
        template_brain=save(folder / "template.nii", image, affine),
        log_jacobian=save(folder / "log.nii", (image - 0.5).astype(np.float32), affine),
    )
    return replace(report, **changes)


@dataclass
class Slice:
    """One tile as a browser shows it: text at its left and right border, and its picture."""

    sides: list[str] = field(default_factory=list)
    caption: str = ""
    sources: list[str] = field(default_factory=list)

    def picture(self, layer: int = 0) -> np.ndarray:
        encoded = self.sources[layer].split(",", 1)[1]
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("L"))


class Page(HTMLParser):
    """Reads a page, insisting that every element is closed where it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, dict[str, str]]] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.mosaics: dict[str, list[Slice]] = {}
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def _inside(self, css: str) -> bool:
        return any(css in attributes.get("class", "").split() for _, attributes in self.open)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice"
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        if tag == "figure":
            section = [at["id"] for name, at in self.open if name == "section" and "id" in at][-1]
            self.mosaics.setdefault(section, []).append(Slice())
        if tag == "img" and self._inside("tile"):
            self._slice().sources.append(attributes["src"])
        if tag not in VOID:
            self.open.append((tag, attributes))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SELF_CLOSED, f"<{tag}/> is no void element"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        opened, _ = self.open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}>"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1][0] == "style":
            return
        self.words.append(data)
        if data.strip() and self._inside("sides"):
            self._slice().sides.append(data.strip())
        if data.strip() and self.open and self.open[-1][0] == "figcaption":
            self._slice().caption = data.strip()

    def _slice(self) -> Slice:
        return list(self.mosaics.values())[-1][-1]


def written(report: ParticipantReport, folder: Path) -> str:
    path = folder / "sub-01.html"
    write_participant_report(report, path)
    return path.read_text(encoding="utf-8")
