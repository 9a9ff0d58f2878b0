"""``python -m bidsapp.supply licences|sbom``: what an installation is made of.

``licences`` lists every distribution that the app needs with its licence and ends with 1 where one
cannot go together with the app's own, or says none. ``sbom`` writes a bill of materials (CycloneDX
1.5, JSON) of all that is installed: distributions, Debian packages, weights and templates.
"""

import hashlib
import importlib.metadata as metadata
import json
import os
import re
import sys
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

APP = "nocicast"
_DPKG = Path("/var/lib/dpkg/status")
_DATA = (".pt", ".pth", ".safetensors", ".nii", ".nii.gz")

# Families of licences, by what metadata, classifiers and SPDX call them; the first that fits.
_FAMILIES = (
    ("copyleft", r"\bA?GPL|affero|(?<!lesser )general public|\bSSPL|\bEUPL|CC-BY-SA"),
    ("restricted", r"non.?commercial|proprietary|\bCC-BY-N[CD]|all rights reserved\W*$"),
    ("weak copyleft", r"\bLGPL|lesser general public|\bMPL|mozilla public|\bEPL"),
    (
        "permissive",
        r"\bMIT\b|\bBSD|apache|\bISC\b|\bPSF|python software foundation|zlib|unlicense|\bCC0|\bBSL"
        r"|\b0BSD|historical permission|\bHPND|creative commons zero|\bAFL|kiwi licensing",
    ),
)
FITTING = ("permissive", "weak copyleft")


@dataclass(frozen=True)
class Line:
    """One distribution: its name, version and licence, and the licence's family; empty: unknown."""

    name: str
    version: str
    licence: str
    family: str

    @property
    def fits(self) -> bool:
        """Whether it can go together with the Apache License 2.0 of the app."""
        return self.family in FITTING


def plain_name(name: str) -> str:
    """Name of a distribution as indices compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def family_of(licence: str) -> str:
    """Family of a licence; of several joined by AND the strictest, by OR the freest.

    Parameters
    ----------
    licence
        SPDX expression, or what metadata say in words.

    Returns
    -------
    str
        One of ``copyleft``, ``restricted``, ``weak copyleft``, ``permissive``; empty if unknown.
    """
    order = [name for name, _ in _FAMILIES]

    def strictest(parts: Sequence[str]) -> str:
        found = [_one_family(part) for part in parts]
        return "" if "" in found else min(found, key=order.index)

    ways = [strictest(re.split(r" AND ", way)) for way in re.split(r" OR ", licence.strip("() "))]
    return max(filter(None, ways), key=order.index, default="")


def _one_family(text: str) -> str:
    # the library's licence has the general one's name in it
    name = re.sub(r"library or lesser general public license|\bLGPL\S*", "LGPL", text, flags=re.I)
    return next((kind for kind, told in _FAMILIES if re.search(told, name, re.I)), "")


def licence_of(distribution: metadata.Distribution) -> str:
    """Licence of a distribution as its metadata say it: SPDX, else classifiers, else in words."""
    told = distribution.metadata
    listed = [
        one.rpartition(" :: ")[2]
        for one in told.get_all("Classifier") or ()
        if one.startswith("License ::")
    ]
    expression, words = (
        next(iter(told.get_all(name) or ()), "") for name in ("License-Expression", "License")
    )
    first = words.strip().split("\n")[0][:80].strip("= ")
    return expression or ", ".join(listed) or first


def needed(name: str = APP) -> dict[str, metadata.Distribution]:
    """Give all distributions that one needs here, itself left out, extras not asked for.

    Raises
    ------
    PackageNotFoundError
        Something that is needed is not installed.
    """
    from packaging.requirements import Requirement

    found: dict[str, metadata.Distribution] = {}
    todo = [(name, frozenset[str]())]
    seen = set()
    while todo:
        own, extras = todo.pop()
        if (own, extras) in seen:
            continue
        seen.add((own, extras))
        found[own] = metadata.distribution(own)
        for text in found[own].requires or ():
            wanted = Requirement(text)
            marker = wanted.marker
            if marker is None or any(marker.evaluate({"extra": e}) for e in ("", *extras)):
                todo.append((plain_name(wanted.name), frozenset(wanted.extras)))
    del found[name]
    return dict(sorted(found.items()))


def lines() -> list[Line]:
    """Every distribution that the app needs, with its licence."""
    found = []
    for name, one in needed().items():
        licence = licence_of(one)
        found.append(Line(name, one.version, licence, family_of(licence)))
    return found


def _installed() -> dict[str, metadata.Distribution]:
    """Distributions by name, as imports find them: of two of one name, the one first on the path.

    An editable installation leaves its metadata both in the checkout and in the environment.
    """
    found: dict[str, metadata.Distribution] = {}
    for one in metadata.distributions():
        found.setdefault(plain_name(one.metadata["Name"]), one)
    return dict(sorted(found.items()))


def _distributions() -> Iterator[dict[str, Any]]:
    for name, one in _installed().items():
        licence = licence_of(one)
        entry: dict[str, Any] = {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{one.version}",
            "purl": f"pkg:pypi/{name}@{quote(one.version)}",
            "name": name,
            "version": one.version,
        }
        if licence:
            entry["licenses"] = [{"license": {"name": licence}}]
        parts = [
            _file(str(file), urlsafe_b64decode(f"{file.hash.value}==").hex())
            for file in one.files or ()
            if file.hash is not None and file.hash.mode == "sha256" and str(file).endswith(_DATA)
        ]
        yield entry | ({"components": parts} if parts else {})


def _file(name: str, sha256: str) -> dict[str, Any]:
    return {"type": "data", "name": name, "hashes": [{"alg": "SHA-256", "content": sha256}]}


def _debian() -> Iterator[dict[str, Any]]:
    text = _DPKG.read_text(encoding="utf-8", errors="replace") if _DPKG.is_file() else ""
    for block in text.split("\n\n"):
        told = dict(re.findall(r"^(Package|Version|Architecture): (.*)$", block, re.M))
        if "Package" in told and "Version" in told:
            purl = f"pkg:deb/debian/{told['Package']}@{quote(told['Version'])}"
            purl += f"?arch={told.get('Architecture', 'all')}"
            yield {
                **{"type": "library", "bom-ref": purl, "purl": purl},
                **{"name": told["Package"], "version": told["Version"]},
            }


def _carried() -> Iterator[dict[str, Any]]:
    """Files of templates and weights that an image carries beside the distributions."""
    for variable in ("TEMPLATEFLOW_HOME", "NOCICAST_WEIGHTS"):
        folder = Path(os.environ.get(variable) or "/nowhere")
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if path.is_file() and path.stat().st_size:
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                yield _file(f"{variable}/{path.relative_to(folder)}", digest)


def bill_of_materials() -> dict[str, Any]:
    """Give all that is installed, as CycloneDX 1.5 has it; the same each time."""
    version = metadata.version(APP)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "name": APP, "version": version},
        },
        "components": [*_distributions(), *_debian(), *_carried()],
    }


def main(arguments: Sequence[str]) -> int:
    """Print licences or the bill of materials; 1 where a licence does not fit."""
    if list(arguments) == ["sbom"]:
        print(json.dumps(bill_of_materials(), indent=1))
        return 0
    if list(arguments) != ["licences"]:
        print("Usage: python -m bidsapp.supply licences|sbom", file=sys.stderr)
        return 64
    found = lines()
    for one in found:
        print(f"{one.name:<28}{one.version:<16}{one.family or 'UNKNOWN':<15}{one.licence}")
    wrong = [one.name for one in found if not one.fits]
    if wrong:
        print(
            f"Do not go together with the Apache License 2.0: {', '.join(wrong)}.", file=sys.stderr
        )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
