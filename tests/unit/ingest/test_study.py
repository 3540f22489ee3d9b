"""study.yaml: what is accepted, and that hostile files end in one clear line."""

from pathlib import Path

import pytest

from lmresp.errors import StudyError
from lmresp.ingest.study import open_study

GOOD = "study_id: LM-1\ndata_cut: 2024-06-30\n"


def study_at(folder: Path, content: str | bytes) -> Path:
    data = content.encode() if isinstance(content, str) else content
    (folder / "study.yaml").write_bytes(data)
    return folder


def test_open_study_reads_every_key(tmp_path):
    (tmp_path / "rules.yaml").write_text("x: 1\n")
    study = open_study(
        study_at(tmp_path, 'study_id: "007"\ndata_cut: "2024-06-30"\ntitle: Größe\ncharter: rules.yaml\n')
    )
    assert (study.study_id, study.data_cut, study.title) == ("007", "2024-06-30", "Größe")
    assert study.charter == tmp_path / "rules.yaml"
    assert study.tables_folder == tmp_path / "tables"
    assert study.mri_folder == tmp_path / "mri"
    assert study.results == tmp_path / "derivatives" / "lmresp"


def test_an_unquoted_date_is_a_date(tmp_path):
    assert open_study(study_at(tmp_path, GOOD)).data_cut == "2024-06-30"


def test_charter_yaml_is_the_default_when_present(tmp_path):
    assert open_study(study_at(tmp_path, GOOD)).charter is None
    (tmp_path / "charter.yaml").write_text("{}\n")
    assert open_study(tmp_path).charter == tmp_path / "charter.yaml"


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (BOMB, "line 1: anchors, aliases and tags"),
        ("study_id: !!python/object/apply:os.system [ls]\n", "line 1: anchors, aliases and tags"),
        (GOOD + "title: '" + "x" * 1_000_001 + "'\n", "too large"),
        ("[" * 50_000, "nested too deeply"),
        ("{a: " * 50_000, "nested too deeply"),
        ("\n".join("  " * n + "a:" for n in range(400)), "nested too deeply"),
        (b"study_id: \xff\xfe\n", "not UTF-8"),
        (GOOD + "study_id: LM-2\n", "key given twice: study_id"),
        (GOOD + "data_cutt: 2024-01-01\n", "unknown key data_cutt"),
        ("study_id: LM-1\n", "data_cut is missing"),
        ("study_id: 7\ndata_cut: 2024-06-30\n", "quote numbers"),
        ("study_id: " + "x" * 21 + "\ndata_cut: 2024-06-30\n", "at most 20 characters"),
        ("study_id: LM-1\ndata_cut: 30.06.2024\n", "YYYY-MM-DD"),
        ("study_id: LM-1\ndata_cut: '2024-02-30'\n", "not in the calendar"),
        ("study_id: LM-1\ndata_cut: 2024-06-30T10:00:00\n", "YYYY-MM-DD"),
        (GOOD + "charter: ../../etc/passwd\n", "charter file"),
        (GOOD + "charter: missing.yaml\n", "does not exist"),
        ("- study_id\n", "keys and values"),
        ("", "keys and values"),
        ("a: [1\n", "not valid YAML"),
        ("a: 1\n---\nb: 2\n", "not valid YAML"),
        ("? [a]\n: 1\n", "study.yaml"),
    ],
)
def test_hostile_or_wrong_study_files_end_in_one_line(tmp_path, content, named):
    with pytest.raises(StudyError) as caught:
        open_study(study_at(tmp_path, content))
    message = str(caught.value)
    assert named in message
    assert "study.yaml" in message
    assert "\n" not in message
    assert len(message) < 600


def test_a_missing_folder_or_file_is_named(tmp_path):
    with pytest.raises(StudyError, match="no study folder 'nowhere'"):
        open_study(tmp_path / "nowhere")
    with pytest.raises(StudyError, match=r"no study\.yaml"):
        open_study(tmp_path)
