"""What stands beside the call: each strand, the companion schemes and the diagnosis, never folded into it (pure)."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from lmresp import queries
from lmresp.criteria import load_scheme
from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import flag, joined, position_of, text_frame
from lmresp.queries import Query
from lmresp.response import companions
from lmresp.terms import Certainty, Csf, Imaging, Neuro, Steroids

COLUMNS = (
    *("subject_id", "visit", "visit_num", "date", "component", "value", "scheme", "rule_id", "certainty"),
    *("authority", "row_ids", "note"),
)
ORDER = (
    *("csf", "neuro", "nano", "nano_lm", "imaging", "steroids", "parenchymal", "systemic", "bloom", "cytology_1998"),
    *("eano_esmo_followup", "diagnosis"),
)
"""Components in the order in which they are listed; ``csf LUMBAR`` and the like follow ``csf``."""
NOT_RECORDED = "NOT RECORDED"
_KEYS = ["subject_id", "visit_num"]
_STRAND = ("date", "status", "reason", "row_ids", "flags", "rule_id", "certainty")
_OWN = {
    "csf": ("result", "site", "by_site"),
    "neuro": ("symptomatic", "nano", "nano_rule_id", "nano_certainty", "nano_lm"),
    "imaging": ("source", "overall", "parenchymal", "bm_target", "bm_nontarget", "bm_new", "mri_pattern"),
    "steroids": (),
}
"""Columns that a strand adds to the common ones."""
_NANO_CHANGE = ("NEUROLOGIC_RESPONSE", "NEUROLOGIC_PROGRESSION")
_BETTER = {"csf": (Csf.CLEARED,), "neuro": (Neuro.IMPROVED,), "imaging": (Imaging.IMPROVED,)}
_WORSE = {"csf": (Csf.POSITIVE_NEW,), "neuro": (Neuro.WORSE,), "imaging": (Imaging.PROGRESSIVE,)}


def components(
    csf: pd.DataFrame,
    neuro: pd.DataFrame,
    mri: pd.DataFrame,
    steroids: pd.DataFrame,
    facts: pd.DataFrame,
    subjects: pd.DataFrame,
    charter: Charter,
) -> tuple[pd.DataFrame, list[Query]]:
    """List, for every visit, what each component says on its own.

    Parameters
    ----------
    csf, neuro, mri, steroids : pandas.DataFrame
        The strands, one row per subject and visit (``work/*.csv``).
    facts, subjects : pandas.DataFrame
        Checked tables of text.
    charter : Charter
        Cytology words, ``switched_on`` (schemes that are off by default: BLOOM and the EANO-ESMO follow-up) and who
        answers for a rule of which certainty.

    Returns
    -------
    frame : pandas.DataFrame
        Columns :data:`COLUMNS`, all text; one row per visit and component, sorted by subject, visit number and
        :data:`ORDER`. Visits after baseline have every component but the diagnosis, the baseline visit has that alone.
        ``value`` is NOT EVALUABLE, without a rule, where a scheme lacks an input that could change its answer.
    problems : list of Query
        DV010 (one strand better, another worse), DV041 (class given in ``subjects`` against the baseline data).

    Raises
    ------
    ValueError
        If the strands do not list the same visits.
    """
    visits = _visits(csf, neuro, mri, steroids)
    after = visits[visits["position"] == ""]
    people = text_frame(subjects, ["subject_id", "bl_cytology", "lm_type"])
    classes = companions.diagnosis(visits, people, charter)
    cytology = companions.cytology_1998(visits, charter)
    history = visits.assign(
        **{f"{strand}_row_ids": _rows_so_far(visits, strand) for strand in ("csf", "imaging", "neuro")}
    )
    at_baseline = history.loc[classes.index]
    parts = [
        *_strands(after, charter),
        *_sites(after),
        _systemic(after, facts),
        _companion(after, "parenchymal", companions.parenchymal(after), ("imaging", "steroids", "neuro")),
        _companion(history.loc[after.index], "cytology_1998", cytology.loc[after.index], ("csf",)),
        _companion(at_baseline, "diagnosis", classes, ("csf", "imaging", "neuro")),
    ]
    switched_on = charter.texts("switched_on")
    if companions.BLOOM in switched_on:
        parts.append(_companion(after, "bloom", companions.bloom(after), ("imaging",)))
    if companions.FOLLOW_UP in switched_on:
        found = companions.eano_esmo_follow_up(after)
        parts.append(_companion(after, "eano_esmo_followup", found, ("neuro", "imaging", "csf")))
    frame = pd.concat(parts)
    authorities = {level: charter.authority(level) if level else "" for level in sorted(set(frame["certainty"]))}
    frame["authority"] = frame["certainty"].map(authorities)
    frame["place"] = frame["component"].str.split(" ").str[0].map({name: n for n, name in enumerate(ORDER)})
    frame = frame.sort_values(["subject_id", "number", "place", "component"], kind="stable").reset_index(drop=True)
    problems = [
        queries.make(
            "DV041", subject_id=row.subject_id, visit=row.visit, column="lm_type", value=row.given, other=row.found
        )
        for row in at_baseline.join(classes[["given", "found"]]).query("given != ''").itertuples()
    ]
    return frame[list(COLUMNS)].astype(object), [*problems, *_discordant(after)]


def _visits(csf: pd.DataFrame, neuro: pd.DataFrame, mri: pd.DataFrame, steroids: pd.DataFrame) -> pd.DataFrame:
    """One row per visit: ``<strand>`` (status), ``<strand>_date``, ... and each strand's own columns."""
    merged = text_frame(csf, [*_KEYS, "visit"])
    for strand, frame in {"csf": csf, "neuro": neuro, "imaging": mri, "steroids": steroids}.items():
        part = text_frame(frame, [*_KEYS, *_STRAND, *_OWN[strand]])
        names = {name: f"{strand}_{name}" for name in _STRAND} | {"status": strand}
        merged = merged.merge(part.rename(columns=names), on=_KEYS, how="left", validate="one_to_one")
        if merged[strand].isna().any() or len(part) != len(merged):
            raise ValueError("the strands must list the same visits")
    merged["position"] = position_of(merged["csf_flags"])
    merged["number"] = pd.to_numeric(merged["visit_num"])
    merged["mri_flags"] = merged["imaging_flags"]
    return merged.sort_values(["subject_id", "number"], kind="stable").reset_index(drop=True)


def _rows(visits: pd.DataFrame, component: str, date: pd.Series, **cells: pd.Series | str) -> pd.DataFrame:
    empty = {"value": "", "scheme": "", "rule_id": "", "certainty": "", "row_ids": "", "note": ""}
    out = visits[["subject_id", "visit", "visit_num", "number"]].assign(component=component, date=date)
    return out.assign(**(empty | cells))


def _strands(visits: pd.DataFrame, charter: Charter) -> Iterator[pd.DataFrame]:
    """Yield every strand's own status, NANO where its domains were scored, and the steroid dose."""
    for strand in ("csf", "neuro", "imaging", "steroids"):
        cells = {
            "value": visits[strand],
            "row_ids": visits[f"{strand}_row_ids"],
            "note": visits[f"{strand}_reason"],
        }
        if strand == "steroids":
            cells["value"] = cells["value"].where(cells["value"] != "", Steroids.UNKNOWN.value)
            level = charter.settings["steroid_equivalents_mg"].certainty
            cells["certainty"] = pd.Series(level, index=visits.index, dtype=object)
        else:
            cells |= {"rule_id": visits[f"{strand}_rule_id"], "certainty": visits[f"{strand}_certainty"]}
            cells["scheme"] = pd.Series(f"strand_{strand}", index=visits.index, dtype=object)
        yield _rows(visits, strand, visits[f"{strand}_date"], **cells)
    scored = visits[visits["nano"] != ""]
    medicated = scored["neuro_flags"].str.contains("_on_(?:rising|falling)_steroids") & scored["nano"].isin(
        _NANO_CHANGE
    )
    yield _rows(
        scored,
        "nano",
        scored["neuro_date"],
        value=scored["nano"],
        scheme="nano_2017_overall",
        rule_id=scored["nano_rule_id"],
        # The published definition asks that no change of medication explains it: here that is not excluded.
        certainty=scored["nano_certainty"].mask(medicated, Certainty.CONVENTION.value),
        row_ids=scored["neuro_row_ids"],
        note=flag(medicated, "asks that a change is not due to medication; the steroid dose changed with it"),
    )
    listed = visits[visits["nano_lm"] != ""]
    yield _rows(
        listed,
        "nano_lm",
        listed["neuro_date"],
        value=listed["nano_lm"],
        row_ids=listed["neuro_row_ids"],
        note="items only; no call is derived from NANO-LM",
    )


def _sites(visits: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the status of every sampling site's own series."""
    rules: dict[str, list[tuple[str, str]]] = {}
    for rule in load_scheme("strand_csf").rules:
        rules.setdefault(rule.output, []).append((rule.rule_id, rule.certainty.value))
    single = {output: found[0] for output, found in rules.items() if len(found) == 1}
    sites = visits.assign(part=visits["by_site"].str.split(";")).explode("part")
    sites = sites[sites["part"].fillna("") != ""].reset_index(drop=True)
    pairs = sites["part"].str.split(":", n=1)
    for site in sorted(set(pairs.str[0])):
        mine = sites[pairs.str[0] == site]
        value = pairs[mine.index].str[1]
        yield _rows(
            mine,
            f"csf {site}",
            mine["csf_date"],
            value=value,
            scheme="strand_csf",
            rule_id=value.map({word: rule for word, (rule, _) in single.items()}).fillna(""),
            certainty=value.map({word: level for word, (_, level) in single.items()}).fillna(""),
            row_ids=mine["csf_row_ids"],
            note="samples of this site alone"
            + flag(mine["site"] != site, "; date and rows are those of the whole visit"),
        )


def _systemic(visits: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
    """Disease outside the nervous system, as the site recorded it at the visit."""
    table = text_frame(facts, [*_KEYS, "recorded_dtc", "systemic", "row_id"])
    table["number"] = pd.to_numeric(table["visit_num"], errors="coerce")
    table = table[table["systemic"] != ""].drop_duplicates(["subject_id", "number"], keep="last")
    found = visits[["subject_id", "number", "visit", "visit_num"]].merge(
        table.drop(columns="visit_num"), on=["subject_id", "number"], how="left"
    )
    found = found.set_index(visits.index).fillna({"systemic": NOT_RECORDED, "recorded_dtc": "", "row_id": ""})
    return _rows(
        visits,
        "systemic",
        found["recorded_dtc"],
        value=found["systemic"],
        row_ids=found["row_id"],
        note=(found["systemic"] != NOT_RECORDED).map({True: "recorded in facts", False: ""}),
    )


def _rows_so_far(visits: pd.DataFrame, strand: str) -> pd.Series:
    """Row ids of a strand up to and including each visit."""
    seen: dict[str, str] = {}
    texts = []
    for subject, ids in zip(visits["subject_id"], visits[f"{strand}_row_ids"], strict=True):
        seen[subject] = ";".join(filter(None, [seen.get(subject, ""), ids]))
        texts.append(seen[subject])
    return pd.Series(texts, index=visits.index, dtype=object)


def _companion(visits: pd.DataFrame, component: str, found: pd.DataFrame, strands: tuple[str, ...]) -> pd.DataFrame:
    """Lay the answers of a companion scheme on the visits; the first strand gives the date, all give their rows.

    Where earlier visits decide too, :func:`components` has put their rows into ``<strand>_row_ids`` before.
    """
    answers = {name: found[name] for name in ("value", "scheme", "rule_id", "certainty", "note")}
    row_ids = joined([visits[f"{strand}_row_ids"] for strand in strands])
    return _rows(visits, component, visits[f"{strands[0]}_date"], row_ids=row_ids, **answers)


def _discordant(visits: pd.DataFrame) -> list[Query]:
    better = pd.DataFrame({strand: visits[strand].isin(words) for strand, words in _BETTER.items()})
    worse = pd.DataFrame({strand: visits[strand].isin(words) for strand, words in _WORSE.items()})
    apart = visits[better.any(axis=1) & worse.any(axis=1)]
    return [
        queries.make(
            "DV010",
            subject_id=row.subject_id,
            visit=row.visit,
            value=f"imaging {row.imaging}, neurology {row.neuro}, csf {row.csf}",
        )
        for row in apart.itertuples()
    ]
