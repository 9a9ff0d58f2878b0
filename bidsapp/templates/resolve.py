"""From a template's name to its files on this machine."""

import difflib
import logging
import re
from pathlib import Path

from bidsapp.errors import CannotCreateOutput, NoInput, UsageError
from bidsapp.templates import catalogue, download, embedded
from bidsapp.templates.catalogue import Candidate
from bidsapp.templates.template import BIDS_STANDARD, Template

_NAME = re.compile(r"(?P<name>[A-Za-z0-9]+)(?::cohort-0*(?P<cohort>\d+))?")

log = logging.getLogger(__name__)


def resolve_template(name: str, *, home: Path | None) -> Template:
    """Find a template, laying or downloading it where it is not there yet.

    Looked for in the TemplateFlow home (TEMPLATEFLOW_HOME or TemplateFlow's default), in `home`,
    and on TemplateFlow's server, which is asked only for what is in neither. Of several
    resolutions 1 mm is preferred, then 2 mm, then what there is.

    Parameters
    ----------
    name
        A TemplateFlow name; a template with cohorts is written ``MNIPediatricAsym:cohort-2``.
    home
        Folder that may be written, laid out as a TemplateFlow home (best a folder under the work
        directory). The embedded default goes there if the TemplateFlow home does not have it, and
        downloads go there if the TemplateFlow home cannot be written. None leaves only the
        TemplateFlow home.

    Raises
    ------
    UsageError
        The name is not known or not one of a volume with a brain, or a cohort is missing or wrong.
    NoInput
        The template is not on this machine and cannot be downloaded.
    CannotCreateOutput
        There is no folder that could take it.
    """
    base, cohort = _parsed(name)
    homes = _homes(home)
    if base == embedded.DEFAULT and not cohort:
        return _embedded(homes)
    candidates = _candidates(base, cohort, homes)
    if not candidates[0].present(homes):
        _fetch(candidates, base, homes)
    for candidate in candidates:
        if candidate.present(homes):
            if candidate != candidates[0]:
                log.warning("Template %s: using %s, what there is.", name, candidate.t1w)
            return _template(base, cohort, candidate, homes)
    raise NoInput(_missing(base, cohort, homes, "the download brought no files"))


def template_label(name: str, *, home: Path | None) -> str:
    """Give the value of BIDS' ``space`` for a template, which need not be on this machine.

    Parameters
    ----------
    name, home
        As in `resolve_template`; nothing is written.

    Raises
    ------
    UsageError
        As in `resolve_template`.
    """
    base, cohort = _parsed(name)
    if base != embedded.DEFAULT or cohort:
        _candidates(base, cohort, _homes(home))
    return _label(base, cohort)


def _parsed(name: str) -> tuple[str, str | None]:
    """Take a template's name and cohort apart."""
    match = _NAME.fullmatch(name.strip())
    if not match:
        raise UsageError(
            f"{name!r} is not a template's name; write NAME or NAME:cohort-N, "
            f"for instance {embedded.DEFAULT} or MNIPediatricAsym:cohort-2."
        )
    return match["name"], match["cohort"]


def _homes(home: Path | None) -> list[Path]:
    return [catalogue.templateflow_home(), *([home.absolute()] if home else [])]


def _label(base: str, cohort: str | None) -> str:
    return f"{base}+{cohort}" if cohort else base


def _embedded(homes: list[Path]) -> Template:
    t1w = next((home / embedded.T1W for home in homes if embedded.has_embedded(home)), None)
    if t1w is None:
        # An empty TemplateFlow home that gets one template would never be filled with the names of
        # the others by TemplateFlow itself: so the caller's folder is preferred.
        target = homes[-1]
        if len(homes) == 1:
            download.prepare(target)
        t1w = embedded.lay_embedded(target)
    return Template(
        name=embedded.DEFAULT,
        label=embedded.DEFAULT,
        t1w=t1w,
        brain_mask=None,
        skull_stripped=True,
        standard=True,
        reference=embedded.REFERENCE,
        source="embedded",
        licence=embedded.LICENCE,
        citation=embedded.CITATION,
    )


def _candidates(base: str, cohort: str | None, homes: list[Path]) -> list[Candidate]:
    """Every T1w with a brain that goes by this name and cohort, the best first."""
    found = catalogue.candidates(base, homes)
    if not found:
        known = catalogue.names(homes)
        if base in known:
            raise UsageError(
                f"Template {base} has no T1-weighted volume with a brain mask, which the "
                f"registration needs; one that has is {embedded.DEFAULT}."
            )
        # Names differ in case and endings, so the letters are compared without case.
        spelt = {other.lower(): other for other in known}
        close = difflib.get_close_matches(base.lower(), spelt, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(spelt[c] for c in close)}?" if close else ""
        places = " and ".join(map(str, homes))
        raise UsageError(
            f"Template {base!r} is not known to TemplateFlow, nor is there a tpl-{base} in "
            f"{places}; {hint or 'known are ' + ', '.join(sorted(known)) + '.'}"
        )
    cohorts = sorted({candidate.cohort for candidate in found if candidate.cohort}, key=int)
    if cohort is None and all(candidate.cohort for candidate in found):
        raise UsageError(
            f"Template {base} has cohorts; say which, as {base}:cohort-{cohorts[0]} "
            f"(there are {', '.join(cohorts)})."
        )
    of_cohort = [candidate for candidate in found if candidate.cohort == cohort]
    if not of_cohort:
        there = f"its cohorts are {', '.join(cohorts)}" if cohorts else "it has no cohorts"
        raise UsageError(f"Template {base} has no cohort {cohort}; {there}.")
    return sorted(of_cohort, key=lambda candidate: candidate.rank(homes))


def _fetch(candidates: list[Candidate], base: str, homes: list[Path]) -> None:
    """Download the best candidate; where that cannot be done, complain only if none is here."""
    wanted = candidates[0]
    try:
        if not wanted.published:
            raise NoInput(f"{wanted.t1w} is empty or lacks its brain mask")
        download.fetch(wanted.missing(homes), homes)
    except (NoInput, CannotCreateOutput) as error:
        if any(candidate.present(homes) for candidate in candidates):
            return
        if isinstance(error, CannotCreateOutput):
            raise
        raise NoInput(_missing(base, wanted.cohort, homes, str(error))) from error


def _missing(base: str, cohort: str | None, homes: list[Path], why: str) -> str:
    option = f" --cohort {cohort}" if cohort else ""
    return (
        f"Template {base}{f':cohort-{cohort}' if cohort else ''} is not in "
        f"{' nor in '.join(map(str, homes))}, and {why}. On a machine with a network run "
        f"`TEMPLATEFLOW_HOME=/some/folder {_command()} get {base}{option}`, bring that folder "
        "here, and let TEMPLATEFLOW_HOME name it (in a container: `docker run -v "
        "/some/folder:/templateflow -e TEMPLATEFLOW_HOME=/templateflow`, `singularity run -B "
        "/some/folder:/templateflow --env TEMPLATEFLOW_HOME=/templateflow`). "
        f"The template {embedded.DEFAULT} comes with the app and needs none of this."
    )


def _template(base: str, cohort: str | None, candidate: Candidate, homes: list[Path]) -> Template:
    t1w = candidate.located(candidate.t1w, homes)
    mask = candidate.located(candidate.mask, homes) if candidate.mask else None
    if t1w is None:
        raise NoInput(f"{candidate.t1w} vanished from {' and '.join(map(str, homes))}.")
    description, licence = catalogue.description(base, homes)
    links = description.get("ReferencesAndLinks") or []
    links = list(links.values()) if isinstance(links, dict) else links
    server = f"{download.SERVER}/" if candidate.published else "templateflow:"
    return Template(
        name=f"{base}:cohort-{cohort}" if cohort else base,
        label=_label(base, cohort),
        t1w=t1w,
        brain_mask=mask,
        skull_stripped=mask is None,
        standard=cohort is None and base in BIDS_STANDARD,
        reference=f"{server}{candidate.t1w}",
        source="templateflow",
        licence=licence,
        citation=tuple(map(str, links)),
    )


def _command() -> str:
    """TemplateFlow's command as it can be typed: with its folder where that is not on the path."""
    import shlex
    import shutil
    import sys

    beside = Path(sys.executable).parent / "templateflow"
    known = shutil.which("templateflow") or not beside.exists()
    return "templateflow" if known else shlex.quote(str(beside))
