"""Companion classifications: what each published scheme beside RANO-LM takes from the strands (pure).

An input that is not known leaves the answer open, unless every value that it could have gives the same answer: the
presence of a new brain metastasis is progression by RANO-BM whether or not the target lesions were measured.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from lmresp.criteria import Scheme, load_scheme
from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import BASELINE, days, flag, joined
from lmresp.response.vocabulary import load_companions
from lmresp.terms import Certainty, Steroids

NOT_EVALUABLE = "NOT EVALUABLE"
"""Value of a component that cannot be told; its note says why."""
RANO_BM, BLOOM, CYTOLOGY_1998 = "rano_bm_2015_parenchymal", "bloom_modified_rano_lm", "csf_cytology_1998"
DIAGNOSIS, FOLLOW_UP = "eano_esmo_diagnosis", "eano_esmo_followup"
BY_EXAMINATION = "rests on the examination alone, which does not tell parenchymal from leptomeningeal worsening"
"""Caveat of a RANO-BM answer that nothing on the MRI supports."""


def decide_known(scheme: Scheme, inputs: pd.DataFrame) -> pd.DataFrame:
    """Answer a scheme whose inputs may be unknown.

    Parameters
    ----------
    scheme : Scheme
        The decision table.
    inputs : pandas.DataFrame
        One column of text for each input of the scheme; ``""`` where it is not known.

    Returns
    -------
    pandas.DataFrame
        ``value, scheme, rule_id, certainty, note`` on the index of ``inputs``; where the unknown inputs could change
        the answer, ``value`` is NOT EVALUABLE without a rule and ``note`` names them.
    """
    names = [each.name for each in scheme.inputs]
    cases = list(inputs[names].itertuples(index=False, name=None))
    answers = {case: _answer(scheme, dict(zip(names, case, strict=True))) for case in sorted(set(cases))}
    rows = [(*answers[case], scheme.scheme_id) for case in cases]
    columns = ["value", "rule_id", "certainty", "note", "scheme"]
    return pd.DataFrame(rows, columns=columns, index=inputs.index, dtype=object)


def _answer(scheme: Scheme, known: dict[str, str]) -> tuple[str, str, str, str]:
    possible: set[str] = set()
    for rule in scheme.rules:
        if not all(known[name] in ("", *words) for name, words in rule.when):
            continue
        possible.add(rule.output)
        if len(possible) > 1:
            break
        if all(known[name] for name, _ in rule.when):
            return rule.output, rule.rule_id, rule.certainty.value, rule.note
    return NOT_EVALUABLE, "", "", "not known: " + ", ".join(name for name in known if not known[name])


def _map(words: pd.Series, to: dict[str, str]) -> pd.Series:
    return words.map(to).astype(object).fillna("")


def parenchymal(visits: pd.DataFrame) -> pd.DataFrame:
    """RANO-BM 2015 for metastases inside the brain, at visits whose read gives any of its items.

    Parameters
    ----------
    visits : pandas.DataFrame
        ``bm_target, bm_nontarget, bm_new, parenchymal, steroids, neuro`` (text).

    Returns
    -------
    pandas.DataFrame
        As :func:`decide_known`.
    """
    words = load_companions()[RANO_BM]["words"]
    known = {name: visits[f"bm_{name}"].where(visits[f"bm_{name}"] != "NE", "") for name in ("target", "nontarget")}
    inputs = pd.DataFrame(
        {
            "target": known["target"],
            "nontarget": known["nontarget"].str.lower(),
            "new_lesion": _map(visits["bm_new"], words["new_lesion"]),
            "steroids": _map(visits["steroids"], words["steroids"]),
            "clinical": _map(visits["neuro"], words["clinical"]),
        }
    )
    out = decide_known(load_scheme(RANO_BM), inputs)
    by_examination = (
        decide_known(load_scheme(RANO_BM), inputs.assign(clinical="stable_or_improved"))["value"] != out["value"]
    )
    attributed = flag(by_examination & (inputs["clinical"] == "worse"), BY_EXAMINATION)
    out["note"] = joined([out["note"].str.rstrip("."), attributed], "; ")
    unread = (visits[["bm_target", "bm_nontarget", "bm_new"]] == "").all(axis=1)
    item = visits["parenchymal"].map(lambda word: f"; PARENCHYMAL is {word}" if word else "")
    out.loc[unread, ["rule_id", "certainty"]] = ""
    out["value"] = out["value"].mask(unread, NOT_EVALUABLE)
    out["note"] = out["note"].mask(unread, "no RANO-BM items read" + item)
    return out


def bloom(visits: pd.DataFrame) -> pd.DataFrame:
    """BLOOM's radiological response: the accepted central read alone (``source, overall, mri_flags``)."""
    site = visits["mri_flags"].str.split(";").map(lambda names: "investigator_read" in names).astype(bool)
    central = (visits["source"] == "read") & ~site
    scheme = load_scheme(BLOOM, switched_on=(BLOOM,))
    out = decide_known(scheme, pd.DataFrame({"central_mri": visits["overall"].where(central, "")}))
    out["note"] = out["note"].where(central, "no central read")
    return out


def eano_esmo_follow_up(visits: pd.DataFrame) -> pd.DataFrame:
    """EANO-ESMO follow-up call from the strands (``neuro, imaging, csf``); the mapping is a convention."""
    ours = load_companions()[FOLLOW_UP]
    inputs = {
        name: visits[strand].map(ours["words"][name]).astype(object).fillna("not_done")
        for name, strand in (("clinical", "neuro"), ("imaging", "imaging"), ("csf", "csf"))
    }
    scheme = load_scheme(FOLLOW_UP, switched_on=(FOLLOW_UP,))
    out = decide_known(scheme, pd.DataFrame(inputs, index=visits.index))
    out["note"] = joined([out["note"], pd.Series(ours["note"], index=out.index, dtype=object)], " ")
    return out


def cytology_kind(results: pd.Series, charter: Charter) -> pd.Series:
    """Turn results into positive, equivocal or negative by the charter; ``""`` for anything that is no result."""
    kinds = {word: kind for kind in ("positive", "equivocal", "negative") for word in charter.texts(f"cytology_{kind}")}
    return results.astype(object).map(lambda word: kinds.get(word.upper(), "")).astype(object)


def cytology_1998(visits: pd.DataFrame, charter: Charter) -> pd.DataFrame:
    """Cytological response of 1998, from the last two evaluable samples of a subject.

    Parameters
    ----------
    visits : pandas.DataFrame
        Every visit, sorted by subject and number: ``subject_id, result, csf_date, site, by_site, steroids,
        csf_reason``.
    charter : Charter
        Cytology words; ``clearance_interval_days`` is what counts as a month.

    Returns
    -------
    pandas.DataFrame
        As :func:`decide_known`.

    Notes
    -----
    Equal results in a row make a run. The pair is the last two samples; what came before the run is the cytology
    before the pair (one negative is neither of the two words of the table), and the run's length tells whether it was
    kept. Steroids count as increasing when they are above the baseline dose at any sample of the run. The definition
    asks for ventricular and lumbar samples: a run without evaluable ones of both sites is answered by convention, and
    the note says which sites there are.
    """
    kind = cytology_kind(visits["result"], charter).map({"positive": "pos", "equivocal": "susp", "negative": "neg"})
    samples = visits[["subject_id", "site", "by_site"]].assign(
        kind=kind, day=days(visits["csf_date"]), steroids=visits["steroids"]
    )
    samples = samples[kind.notna()]
    subject = samples["subject_id"]
    by_subject = samples.groupby(subject, sort=False)
    last, before_last = (by_subject["kind"].shift(n).fillna("") for n in (1, 2))
    run = [subject, (samples["kind"] != last).groupby(subject, sort=False).cumsum()]
    first, second = (each.groupby(run, sort=False).transform("first") for each in (last, before_last))
    length = samples.groupby(run, sort=False).cumcount() + 1
    kept = samples["day"] - samples["day"].groupby(run, sort=False).transform("first")
    rising = (samples["steroids"] == Steroids.INCREASED).groupby(run, sort=False).cummax()
    unsure = samples["steroids"].isin(["", Steroids.UNKNOWN]).groupby(run, sort=False).cummax()
    inputs = pd.DataFrame(
        {
            "prior": np.select(
                [length < 2, first == "pos", (first == "neg") & (second == "neg")],
                ["", "positive", "negative_twice"],
                default="",
            ),
            "pair": np.where(length < 2, "mixed", samples["kind"] + "_" + samples["kind"]),
            "sustained_1_month": np.where(kept >= charter.number("clearance_interval_days"), "true", "false"),
            "steroids": np.select([rising, unsure], ["increasing", ""], default="stable_or_decreasing"),
        },
        index=samples.index,
        dtype=object,
    )
    out = decide_known(load_scheme(CYTOLOGY_1998), inputs)
    unnamed = (length > 1) & (first != "") & (inputs["prior"] == "") & (out["value"] == NOT_EVALUABLE)
    before = "before the pair: " + first.map({"susp": "equivocal", "neg": "negative once", "": ""})
    out["note"] = out["note"].mask(unnamed, before + ", which is no word of the definition")
    least = load_companions()[CYTOLOGY_1998]["least_days_apart"]
    close = samples["day"] - by_subject["day"].shift() < least
    here = pd.Series(True, index=samples.index)
    for site in ("LUMBAR", "VENTRICULAR"):  # pooled with the visit's result, and evaluable itself
        here &= samples["site"].str.contains(site) & samples["by_site"].str.contains(f"{site}:(?!missing)")
    both = here.groupby(run, sort=False).cummin()
    sites = samples["site"].str.lower().str.replace(";", ", ")
    caveat = ("asks for ventricular and lumbar samples; here " + sites).where(~here, "")
    caveat = caveat.mask(
        here & ~both, "asks for ventricular and lumbar samples; an earlier one of the run is of one site"
    )
    out["certainty"] = out["certainty"].mask(~both & (out["certainty"] != ""), Certainty.CONVENTION.value)
    out["note"] = joined([out["note"].str.rstrip("."), caveat.astype(object)], "; ")
    for where, why in (
        (last == "", "no evaluable sample before this one"),
        (close, "the last two samples lie too close together"),
    ):
        out.loc[where, ["value", "rule_id", "certainty"]] = [NOT_EVALUABLE, "", ""]
        out.loc[where, "note"] = why
    out = out.reindex(visits.index)
    none = out["value"].isna()
    out["note"] = out["note"].where(~none, visits["csf_reason"])
    return out.fillna({"value": NOT_EVALUABLE, "rule_id": "", "certainty": "", "scheme": CYTOLOGY_1998})


def diagnosis(visits: pd.DataFrame, subjects: pd.DataFrame, charter: Charter) -> pd.DataFrame:
    """EANO-ESMO class at the baseline visit.

    Parameters
    ----------
    visits : pandas.DataFrame
        Every visit, sorted by subject and number: ``subject_id, position, result, mri_pattern, symptomatic, source``.
    subjects : pandas.DataFrame
        ``subject_id, bl_cytology, lm_type``.
    charter : Charter
        Cytology words.

    Returns
    -------
    pandas.DataFrame
        As :func:`decide_known`, on the rows of the baseline visits, with ``given`` (``lm_type``) and ``found`` (class
        and letter of the data, ``?`` where not known) where the two differ.

    Notes
    -----
    Each input is the last known one up to the baseline visit. Clinical signs count as typical when a deficit
    attributed to LM is recorded; ``bl_cytology`` stands in where no sample is. A letter of an automated draft is not
    held against the class given.
    """
    early = visits[visits["position"] != ""]
    who = early["subject_id"]
    people = subjects.drop_duplicates("subject_id").set_index("subject_id")
    names = ("bl_cytology", "lm_type")
    given = {name: _map(who, dict(zip(people.index, people[name], strict=True))) for name in names}
    known = pd.DataFrame(
        {
            "cytology": cytology_kind(early["result"], charter),
            "mri": early["mri_pattern"],
            "clinical": _map(early["symptomatic"], load_companions()[DIAGNOSIS]["words"]["clinical"]),
            "source": early["source"].where(early["mri_pattern"] != "", ""),
        }
    )
    last = known.where(known != "").groupby(who, sort=False).ffill()[early["position"] == BASELINE].fillna("")
    stated = cytology_kind(given["bl_cytology"], charter)[last.index]
    last["cytology"] = last["cytology"].where(last["cytology"] != "", stated).replace("", "not_done")
    out = decide_known(load_scheme(DIAGNOSIS), last[["cytology", "mri", "clinical"]])
    drafted = last["source"] == "draft"
    blind = decide_known(load_scheme(DIAGNOSIS), last[["cytology", "mri", "clinical"]].assign(mri=""))
    # A class that hangs on an automated draft's pattern is not the published one, which a radiologist's read gives.
    hangs = drafted & (out["value"] != blind["value"]) & (out["certainty"] != "")
    out["certainty"] = out["certainty"].mask(hangs, Certainty.CONVENTION.value)
    draft = flag(drafted, " (automated draft, not read)")
    signs = {"typical": "clinical signs typical", "not_typical": "clinical signs not typical"}
    facts = [
        "cytology " + last["cytology"].str.replace("_", " "),
        ("MRI pattern " + last["mri"] + draft).where(last["mri"] != "", ""),
        _map(last["clinical"], signs),
    ]
    out["note"] = joined([*facts, out["note"]], "; ")
    lm_type = given["lm_type"].str.upper()[last.index]
    numeral = _map(last["cytology"], {"positive": "I", "negative": "II", "equivocal": "II", "not_done": "?"})
    letter = last["mri"].str[:1].where((last["mri"] != "") & (last["source"] == "read"), "?")
    other = ((numeral != "?") & (numeral != lm_type.str[:-1])) | ((letter != "?") & (letter != lm_type.str[-1:]))
    out["given"] = lm_type.where((lm_type != "") & other, "")
    out["found"] = (numeral + letter).where(out["given"] != "", "")
    return out
