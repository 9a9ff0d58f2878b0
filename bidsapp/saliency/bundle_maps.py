"""A bundle's answer for new people explained: the mean over its fold models, a map a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.product import sidecar_name
from bidsapp.derivatives import OutputNames
from bidsapp.derivatives.sidecars import read_source_sha256
from bidsapp.evaluation.stamp import leak_facts
from bidsapp.intake.images import read_numbers
from bidsapp.saliency.map_files import description_of, space_facts
from bidsapp.saliency.missing_maps import maps_unfinished
from bidsapp.saliency.native import NativeSpace
from bidsapp.saliency.participant_maps import native_content, write_at_home
from bidsapp.saliency.verdict import EARLIER, FAIL, PASS, UNDECIDED, verdict_of
from bidsapp.spaces.nifti import EXTENSION, write_map

if TYPE_CHECKING:
    from bidsapp.networks.bundle import Bundle

_CHECKED = "the maps of held-out people in the run that made the model; this map was not checked"


@dataclass(frozen=True)
class BundleMaps:
    """Maps of a bundle's answers.

    Attributes
    ----------
    bundle
        The trained model; its recipe says by which method it is explained.
    device
        Where to compute.
    native
        Whether to write each map on the scan's own voxels too.
    """

    bundle: "Bundle"
    device: str
    native: bool = False

    @property
    def desc(self) -> str:
        """Value of ``desc``: the bundle's name, the method's, and `mark_of` the verdict on it."""
        return self._desc(self.checks["verdict"])

    @property
    def checks(self) -> dict[str, Any]:
        """What the checks of the group run found of its maps of held-out people by this method."""
        found = self.bundle.metadata.get("saliency_checks") or {}
        if found.get("method") == self.bundle.recipe.saliency.method and "verdict" in found:
            told = [str(text) for text in found.get("sentences", ())]
            verdict = verdict_of(found)
            if verdict != found["verdict"]:
                told = [EARLIER, *told]
            results = {"checks": dict(found["checks"])} if "checks" in found else {}
            return {"verdict": verdict, "sentences": told, **results, "of": _CHECKED}
        return {"verdict": "not run", "sentences": [], "of": _CHECKED}

    @property
    def unchecked(self) -> str:
        """Say that nothing is known of the checks of such maps; empty where there is a verdict."""
        if self.checks["verdict"] in (PASS, FAIL, UNDECIDED):
            return ""
        run = self.bundle.folder.resolve().parent.parent
        if maps_unfinished(run):
            why = f"the run that made it ({run}) has not finished its maps"
        else:
            method = self.bundle.recipe.saliency.method
            why = f"it holds no verdict of its run's sanity checks on maps by {method}"
        return f"{self.bundle.name}: {why}: the maps of these people are unchecked."

    def files(self, names: OutputNames) -> tuple[str, ...]:
        """Names of what may be written for a person, sidecars included, whatever the verdict."""
        maps = [
            name(self._desc(verdict), "statmap", extension)
            for verdict in (PASS, FAIL, UNDECIDED)
            for name in (names.in_space, names.native)
            for extension in dict.fromkeys((EXTENSION, self.bundle.space.extension))
        ]
        return (*maps, *map(sidecar_name, maps))

    def _desc(self, verdict: str) -> str:
        name = "".join(c for c in self.bundle.name if c.isalnum())
        method = description_of(self.bundle.recipe.saliency.method, verdict)
        return name + method[:1].upper() + method[1:]

    def forget(self, names: OutputNames) -> None:
        """Take away the maps of an earlier run."""
        for name in self.files(names):
            (names.folder / name).unlink(missing_ok=True)

    def explain(
        self,
        samples: np.ndarray,
        people: Sequence[str],
        unseen_by: Sequence[tuple[int, ...] | None],
        columns: Mapping[str, Sequence[str]] | None = None,
    ) -> np.ndarray:
        """Explain the answer for each of some people.

        Parameters
        ----------
        samples
            As `bidsapp.representation.sample.read_sample` makes them, (N, C, X, Y, Z).
        people
            A name for each.
        unseen_by
            For each, which of the bundle's models answer: None is all of them.
        columns
            Column that the networks read to the text of each; no map is of them.

        Returns
        -------
        numpy.ndarray
            (N, *shape of the space) float32: sum over channels, mean over models.
        """
        from bidsapp.representation.device import resolve_device
        from bidsapp.representation.image_rows import ImageRows
        from bidsapp.saliency.attribute import Lens, attribute

        bundle = self.bundle
        total = np.zeros((len(samples), *bundle.space.shape), np.float64)
        counts = np.zeros(len(samples))
        for k, model in enumerate(bundle.models):
            rows = [i for i, used in enumerate(unseen_by) if used is None or k in used]
            if not rows:
                continue
            lens = Lens(
                bundle.recipe.saliency,
                model.fitted,
                bundle.space.spacing,
                resolve_device(self.device),
                bundle.recipe.training.batch_size,
                bundle.recipe.training.seed,
            )
            known = {name: [texts[i] for i in rows] for name, texts in (columns or {}).items()}
            given = ImageRows(np.asarray(samples[rows], np.float16), columns=known)
            stored = model.fitted.stored(given).loaded()
            maps = attribute(bundle.network(model), stored, [people[i] for i in rows], lens)
            total[rows] += maps.sum(axis=1)
            counts[rows] += 1
        return (total / counts.reshape(-1, *(1,) * (total.ndim - 1))).astype(np.float32)

    def write(
        self,
        samples: np.ndarray,
        people: Sequence[OutputNames],
        unseen_by: Sequence[tuple[int, ...] | None],
        columns: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Explain some people and write a map with a sidecar for each, beside their images.

        A map over a surface lies on the person's own one, where there is that.
        """
        modality = modality_named(self.bundle.recipe.preparation.modality)
        maps = self.explain(samples, [names.stem for names in people], unseen_by, columns)
        for names, values, used in zip(people, maps, unseen_by, strict=True):
            self.forget(names)
            content = self._sidecar(names, used)
            main, own = names.path(names.main.key), self.bundle.space
            surface = own.extension != EXTENSION
            wanted = (self.native or surface) and own.common
            home = modality.home(main, self.bundle.channels[0]) if wanted else None
            stem = names.folder / names.native(self.desc, "statmap", "")
            if surface and home is not None:
                write_at_home(home, stem, values, content, names.output_dir)
                continue
            path = names.folder / names.in_space(self.desc, "statmap", own.extension)
            if not own.common:
                own = own.placed(read_numbers(names.path(names.main.key))[1])
            own.write(path, values, content)
            if home is not None:
                write_at_home(home, stem, values, content, names.output_dir)
            elif wanted and not surface:
                space = NativeSpace(modality.way_back(main))
                told = native_content(content, space, names.output_dir)
                path = names.folder / names.native(self.desc, "statmap")
                volume = self.bundle.space.put_back(values)
                affine = np.array(self.bundle.space.to_dict()["grid_affine"])
                write_map(path, space.of(volume, affine), space.affine, told, space.codes)

    def _sidecar(self, names: OutputNames, used: tuple[int, ...] | None) -> dict[str, Any]:
        from bidsapp.saliency.attribute import units_of

        bundle, settings = self.bundle, self.bundle.recipe.saliency
        size, words = names.resolution, bundle.recipe.representation.value_words
        grid = {"Resolution": f"{size} mm isotropic, the grid of the recipe"} if size else {}
        lies = space_facts(names.space)
        if not bundle.space.common:
            grid = {}
            lies = {"Space": names.space, "SpatialReference": names.uri + names[names.main.key]}
        return {
            "Description": f"Saliency ({settings.method}) of the model's answer for this person; "
            f"mean over {len(bundle.models if used is None else used)} networks.",
            "Units": units_of(settings, bundle.recipe.representation.input_unit),
            "Target": f"{settings.target} of the positive class",
            "Method": settings.method,
            "Settings": settings.plain(),
            "Model": bundle.identity,
            "Channels": f"sum over {', '.join(bundle.channels)}",
            **({"HigherValue": words[0], "LowerValue": words[1]} if all(words) else {}),
            "Smoothing": "none",
            "Window": bundle.space.facts(),
            **lies,
            **grid,
            "Sanity": self.checks,
            **leak_facts(bundle.recipe.leaks("network")),
            "Sources": [names.uri + names[names.main.key]],
            "SourceSHA256": read_source_sha256(names),
        }
