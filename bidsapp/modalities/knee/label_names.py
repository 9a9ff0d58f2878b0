"""Names of a knee's bones and cartilages as label tables write them, in any order and numbering."""

import re
from collections.abc import Mapping, Sequence

from bidsapp.errors import BadData
from bidsapp.modalities.knee.anatomy import ANATOMY, BONES

_WORDS = {
    "femur": "femur femoral fem femora femurs os_femoris",
    "tibia": "tibia tibial tib",
    "patella": "patella patellar pat patellae kneecap",
    "fibula": "fibula fibular fib",
    "cartilage": "cartilage cartilages cart cartilaginous articular",
    "trochlea": "trochlea trochlear trochleae",
    "meniscus": "meniscus menisci meniscal",
    "bone": "bone bones bony os",
    "lesion": "lesion lesions bml bmls cyst cysts defect",
    "medial": "medial med",
    "lateral": "lateral lat",
}
_MEANING = {word: meaning for meaning, words in _WORDS.items() for word in words.split()}
# Parts of one plate are joined, and these words say nothing of which structure it is.
_IDLE_WORDS = (
    "left right l r knee of the label region plate plateau compartment condyle condylar central "
    "weight bearing weightbearing anterior posterior total whole and"
)
_IDLE = frozenset(_IDLE_WORDS.split())
_OTHER_WORDS = (
    "background air void outside ligament ligaments tendon tendons retinaculum acl pcl mcl lcl "
    "muscle muscles nerve artery arteries vein veins vessel vessels fat skin hoffa effusion fluid "
    "synovium capsule quadriceps vastus gastrocnemius popliteus popliteal baker"
)
_OTHER = frozenset(_OTHER_WORDS.split())
_SHORT = {
    "fc": "femoral cartilage",
    "tc": "tibial cartilage",
    "pc": "patellar cartilage",
    "mtc": "medial tibial cartilage",
    "ltc": "lateral tibial cartilage",
    "mfc": "medial femoral cartilage",
    "lfc": "lateral femoral cartilage",
    "trf": "trochlear cartilage",
    "fb": "femur bone",
    "tb": "tibia bone",
    "pb": "patella bone",
    "mm": "medial meniscus",
    "lm": "lateral meniscus",
}
EXAMPLE = (
    "femur, femoral_cartilage, tibia, tibial_cartilage (or medial_tibial_cartilage and "
    "lateral_tibial_cartilage), patella, patellar_cartilage"
)


def structure_of(name: str) -> str:
    """Tell which structure a label's name means: ``Cartilage, femoral (medial)`` or ``FemurBone``.

    Lesions of a bone are part of it, regions of a cartilage of the whole.

    Parameters
    ----------
    name
        As the table has it; case, order, underscores and blanks do not matter.

    Returns
    -------
    str
        Of `anatomy.STRUCTURES`; empty where the name means something else, or nothing known.
    """
    meanings = {_MEANING.get(word, "" if word in _IDLE else "?") for word in _words(name)} - {""}
    if "?" in meanings or not meanings:
        return ""
    if "trochlea" in meanings:  # the femur's joint surface under the patella
        meanings |= {"femur"} | ({"cartilage"} if "bone" not in meanings else set())
    side = meanings & {"medial", "lateral"}
    kind = meanings & {"cartilage", "meniscus"}
    bone = meanings & {*BONES, "fibula"}
    if len(side) > 1 or len(kind) > 1 or len(bone) > 1:
        return ""
    if kind == {"meniscus"}:
        return "_".join([*side, "meniscus"]) if not bone else ""
    if not bone:
        return ""
    (of,) = bone
    if kind == {"cartilage"}:
        plate = {"femur": "femoral", "tibia": "tibial", "patella": "patellar"}.get(of)
        if plate is None or "bone" in meanings:
            return ""
        return "_".join([*(side if of == "tibia" else ()), plate, "cartilage"])
    # A part of a bone is not the bone, unless it is a lesion in it.
    return of if not (side or "trochlea" in meanings) or "lesion" in meanings else ""


def is_another(name: str) -> bool:
    """Tell whether a label's name means something that no bone's map is made of: a muscle."""
    words = set(_words(name))
    meanings = {_MEANING.get(word, "") for word in words}
    return bool(words & _OTHER or meanings & {"meniscus", "fibula"}) or meanings == {"bone"}


def _words(name: str) -> list[str]:
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    whole = "".join(character for character in name.lower() if character.isalpha())
    if whole in _SHORT:  # ``TrF`` is one word
        return _SHORT[whole].split()
    words = [word for word in re.split(r"[^a-z]+", parted.lower()) if word]
    return [part for word in words for part in _SHORT.get(word, word).split()]


def structures_of(
    names: Mapping[int, str], bones: Sequence[str], where: str
) -> dict[str, tuple[int, ...]]:
    """Find which numbers of a label map are which structure.

    Parameters
    ----------
    names
        Number to name, as the label table says.
    bones
        Those that are wanted, with their cartilages.
    where
        The table, for messages.

    Returns
    -------
    dict
        Structure to the numbers that make it up; those that are there only.

    Raises
    ------
    BadData
        A bone that is wanted, or its cartilage, has no label, or one half of its cartilage alone.
    """
    found: dict[str, tuple[int, ...]] = {}
    for number, name in names.items():
        structure = structure_of(name)
        if structure and number:
            found[structure] = (*found.get(structure, ()), number)
    for bone in bones:
        cartilages = ANATOMY[bone].cartilages
        halves = [_half(name) for name in names.values() if structure_of(name) in cartilages]
        if halves and len(set(halves)) == 1 and halves[0]:
            other = {"medial": "lateral", "lateral": "medial"}[halves[0]]
            raise BadData(
                f"{where}: of the {bone}'s cartilage only the {halves[0]} half is named so that it "
                f"is understood; it has {_listed(names)}. Name the other label {other}_"
                f"{cartilages[0]}, or leave the {bone} out of preparation.bones."
            )
        absent = [bone] * (bone not in found)
        absent += [cartilages[0]] * (not any(name in found for name in cartilages))
        if absent:
            raise BadData(
                f"{where}: no label is called {' or '.join(absent)}; it has {_listed(names)}. "
                f"Name the labels {EXAMPLE}, or leave the {bone} out of preparation.bones."
            )
    return found


def _half(name: str) -> str:
    """Give the half that a cartilage's name means; empty for one of both."""
    found = {_MEANING.get(word, "") for word in _words(name)} & {"medial", "lateral"}
    return found.pop() if len(found) == 1 else ""


def _listed(names: Mapping[int, str]) -> str:
    return ", ".join(f"{number} {name}" for number, name in sorted(names.items()))
