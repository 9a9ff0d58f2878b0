"""What a search chose in each fold, how stable that was, and how optimistic its inner scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.drawing.wording import many
from bidsapp.evaluation.tsv import is_missing, read_table
from bidsapp.recipes.search import HIGHER
from bidsapp.training.search_metric import metric_of

FILE = "search.tsv"
_NEEDED = ("variant", "repeat", "fold", "setting", "metric", "mean", "se", "chosen")
_FOLDS = (
    *("variant", "repeat", "fold", "setting", "values", "metric", "inner", "inner_se"),
    *("outer", "optimism"),
)
_SETTINGS = ("variant", "setting", "values", "metric", "inner", "inner_sd", "chosen", "folds")
_NAMES = {"auc": "AUC", "log_loss": "cross-entropy", "brier": "Brier score"}


def search_tables(
    folder: Path, scores: pd.DataFrame
) -> tuple[dict[str, pd.DataFrame], list[tuple[str, str]]]:
    """Compare what the searches of a run found inside training folds with held-out results.

    Parameters
    ----------
    folder
        Of the run.
    scores
        Held-out scores: `variant`, `repeat`, `fold`, `outcome`, `probability`.

    Returns
    -------
    tables
        ``search_folds`` (a row per fold: the setting that was chosen, its inner and its held-out
        score, and by how much the inner one is better) and ``search_settings`` (a row per setting:
        its mean inner score, and in how many folds it was chosen); none where nothing was searched.
    sentences
        A variant and a sentence on it, each.
    """
    if not (folder / FILE).is_file():
        return {}, []
    table = read_table(folder / FILE, _NEEDED)
    table = table[table["variant"].isin(set(scores["variant"]))]
    if table.empty:
        return {}, []
    keys = [name for name in table.columns if "." in name]
    table = table.assign(values=[_values(row, keys) for row in table.to_dict("records")])
    for name in ("repeat", "fold", "setting", "mean", "se"):
        table[name] = pd.to_numeric(table[name], errors="coerce")
    inner = [name for name in table.columns if name.startswith("inner_")]
    inside = table[inner].apply(lambda column: ~column.map(is_missing)).any(axis=1)
    table = table.assign(inside=inside if inner else False)
    folds = pd.DataFrame([_fold(row, scores) for row in _chosen(table)], columns=pd.Index(_FOLDS))
    settings = _settings(table)
    sentences = [
        (str(name), _sentence(str(name), rows, settings, folds))
        for name, rows in table.groupby("variant", sort=False)
    ]
    return {"search_folds": folds, "search_settings": settings}, sentences


def _values(row: Mapping[Any, Any], keys: list[str]) -> str:
    return ", ".join(f"{key} {row[key]}" for key in keys if not is_missing(row[key]))


def _chosen(table: pd.DataFrame) -> Sequence[Mapping[Any, Any]]:
    return table[table["chosen"] == "true"].to_dict("records")


def _fold(row: Mapping[Any, Any], scores: pd.DataFrame) -> tuple[object, ...]:
    keys = ("variant", "repeat", "fold")
    own = scores[(scores[list(keys)] == [row[key] for key in keys]).all(axis=1)]
    name = str(row["metric"])
    outer = metric_of(name, own) if len(own) else np.nan
    inner = float(str(row["mean"])) if row["inside"] else np.nan
    optimism = inner - outer if name in HIGHER else outer - inner
    se = row["se"] if row["inside"] else np.nan
    where = (*(row[key] for key in keys), row["setting"], row["values"])
    return (*where, name, inner, se, outer, optimism)


def _settings(table: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (variant, setting), own in table.groupby(["variant", "setting"], sort=False):
        means = own["mean"].dropna().to_numpy(float)
        spread = float(np.std(means, ddof=1)) if len(means) > 1 else np.nan
        chosen = int((own["chosen"] == "true").sum())
        told = (own["values"].iloc[0], own["metric"].iloc[0])
        mean = float(means.mean()) if len(means) else np.nan
        rows.append((variant, setting, *told, mean, spread, chosen, len(own)))
    return pd.DataFrame(rows, columns=pd.Index(_SETTINGS))


def _sentence(variant: str, rows: pd.DataFrame, settings: pd.DataFrame, folds: pd.DataFrame) -> str:
    """Say what was chosen, how stably, and how much better it looked inside than outside."""
    own = settings[settings["variant"] == variant]
    mine = folds[folds["variant"] == variant]
    best = own.iloc[int(own["chosen"].to_numpy().argmax())]
    name = _NAMES.get(str(best["metric"]), str(best["metric"]))
    if not rows["inside"].any():
        return (
            f"{variant}: {best['values']} was chosen among {many(len(own), 'setting')} by the "
            f"{name} of the people who are held out, so that their results look better than those "
            "of new people would."
        )
    count = int((own["chosen"] > 0).sum())
    text = (
        f"{variant}: settings were chosen inside each training fold among "
        f"{many(len(own), 'setting')}. {best['values']} was chosen in {best['chosen']} of "
        f"{many(int(best['folds']), 'fold')}"
    )
    text += f", {many(count - 1, 'other')} in the rest" if count > 1 else ""
    outer = mine[mine["outer"].notna() & mine["inner"].notna()]
    if outer.empty:
        return f"{text}."
    inside, outside = outer["inner"].mean(), outer["outer"].mean()
    gain = float(outer["optimism"].mean())
    how = "better" if gain > 0 else "worse"
    return (
        f"{text}. The {name} of the chosen settings is {inside:.2f} inside (mean of folds) and "
        f"{outside:.2f} in the people held out: inside it looks {how} by {abs(gain):.2f}, and only "
        "that of the people held out is a result."
    )
