"""`course.toml`: what it means, and what is said of a mistake in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from datahall.course import catalogue, minutes
from datahall.course.exits import InputError

GOOD = """
[course]
title = "A course"
version = "1"

[[module]]
number = 1
slug = "waves"
title = "Waves"
result = "a wave"

[[module.notebook]]
stem = "01_waves"
title = "A wave"
lab = "01_waves_lab"
[module.notebook.presets.smoke]
steps = 3

[[module]]
number = 2
slug = "echoes"
title = "Echoes"
result = "an echo"
needs = ["waves"]
"""


NOTEBOOK = "[[module.notebook]]\ntitle = ''\nstem = "


def read(tmp_path: Path, text: str) -> catalogue.Catalogue:
    file = tmp_path / "course.toml"
    file.write_text(text)
    return catalogue.load(file)


def test_the_course_itself_can_be_read_and_is_in_order() -> None:
    course = catalogue.load()
    assert [module.number for module in course.modules] == list(range(15))
    assert course.notebooks[0].stem == "00_start_here"


def test_a_notebook_knows_its_files_presets_and_measured_time(tmp_path: Path) -> None:
    (tmp_path / "measured.json").write_text('{"01_waves": 12.5, "09_gone": 1}')
    (notebook,) = read(tmp_path, GOOD).notebooks
    assert notebook.files() == {
        "lecture": "notebooks/01_waves.ipynb",
        "lab": "labs/01_waves_lab.ipynb",
        "solution": "solutions/01_waves_solution.ipynb",
    }
    assert notebook.presets == {"smoke": {"steps": 3}}
    assert notebook.run_s == 12.5


@pytest.mark.parametrize("word", ["01", "1", "convolution"])
def test_a_number_or_slug_means_every_notebook_of_the_module(word: str) -> None:
    stems = [notebook.stem for notebook in catalogue.load().find(word)]
    assert stems == ["01_convolution", "01_convolution_gradients", "01_convolution_cost"]


@pytest.mark.parametrize(
    "word",
    [
        "01_convolution_cost",
        "01_convolution_cost_lab",
        "01_convolution_cost_solution",
        "notebooks/01_convolution_cost.ipynb",
        "/elsewhere/labs/01_convolution_cost_lab.ipynb",
    ],
)
def test_a_stem_or_a_path_means_one_notebook(word: str) -> None:
    assert [notebook.stem for notebook in catalogue.load().find(word)] == ["01_convolution_cost"]


def test_an_unknown_name_is_refused_with_the_nearest_ones() -> None:
    with pytest.raises(InputError, match=r"'convolutoin' is no module.*Did you mean convolution"):
        catalogue.load().find("convolutoin")


def test_a_module_without_notebooks_says_so() -> None:
    with pytest.raises(InputError, match=r"Module 14 .capstone. has no notebooks yet"):
        catalogue.load().find("14")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('title = "Waves"', "", r"\[\[module\]\] waves has no field 'title'"),
        ("number = 1", 'number = "1"', "waves: number is '1'. It should be a valid integer."),
        ("number = 1", "number = true", "waves: number is True. It should be a valid integer."),
        ('result = "a wave"', 'result = "a"\nminuets = 3', "waves has an unknown field 'minuets'"),
        ("lab =", "run_s = 12\nlab =", "01_waves has an unknown field 'run_s'.*measured.json"),
        ('lab = "01', 'needs = "x"\nlab = "01', "01_waves: needs is 'x'. It should be a valid"),
        ('needs = ["waves"]', 'needs = ["echoes"]', "round in a circle: echoes → echoes"),
        ('result = "a wave"', 'result = ""\nneeds = ["echoes"]', "circle: waves → echoes → waves"),
        ("presets.smoke", "presets.smoek", "unknown field 'smoek'. Did you mean 'smoke'"),
        ('needs = ["waves"]', 'needs = ["tides"]', "echoes: needs names 'tides', which does not"),
        ('slug = "echoes"', 'slug = "waves"', "the slug 'waves' occurs twice"),
        ("number = 2", "number = 1", "the number '01' occurs twice"),
        ("[course]", "[course", "course.toml cannot be read"),
        ("[course]", "[curse]", "course.toml has no field 'course'"),
    ],
)
def test_a_mistake_in_the_file_is_told_by_its_field(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    assert old in GOOD
    with pytest.raises(InputError, match=says):
        read(tmp_path, GOOD.replace(old, new, 1))


def test_a_need_of_what_comes_later_is_refused(tmp_path: Path) -> None:
    later = GOOD.replace('needs = ["waves"]', "").replace('"a wave"\n', '"a"\nneeds = ["echoes"]\n')
    with pytest.raises(InputError, match="waves: needs names 'echoes', which comes later"):
        read(tmp_path, later)
    two = NOTEBOOK + "'02_one'\nneeds = ['02_two']\n" + NOTEBOOK + "'02_two'\n"
    with pytest.raises(InputError, match="02_one: needs names '02_two', which comes later"):
        read(tmp_path, GOOD + two)
    circle = NOTEBOOK + "'02_a'\nneeds = ['02_a']\n"
    with pytest.raises(InputError, match="needs go round in a circle: 02_a → 02_a"):
        read(tmp_path, GOOD + circle)


@pytest.mark.parametrize(
    ("text", "says"),
    [("{half", "is no JSON"), ('{"a": -1}', "a is -1"), ('{"a": "4"}', "a is '4'")],
)
def test_a_damaged_file_of_seconds_names_itself(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "measured.json").write_text(text)
    with pytest.raises(InputError, match=f"measured.json.*{says}"):
        read(tmp_path, GOOD)


def test_every_measured_notebook_is_one_of_the_course() -> None:
    seconds = [notebook.run_s for notebook in catalogue.load().notebooks]
    assert None not in seconds


def test_a_module_counts_what_of_it_exists(tmp_path: Path) -> None:
    module = read(tmp_path, GOOD).modules[0]
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_waves.ipynb").write_text("{}")
    assert module.exists(tmp_path) == {
        "lecture": (1, 1),
        "lab": (0, 1),
        "solution": (0, 1),
        "package": (0, 1),
        "tests": (0, 1),
    }


def test_minutes_are_words_code_and_the_measured_run() -> None:
    assert minutes.reading(words=150, code_lines=0) == 1
    assert minutes.reading(words=150, code_lines=12) == 2
    assert minutes.reading(words=150, code_lines=12, run_s=60) == 3
    assert minutes.reading(words=151, code_lines=12, run_s=60) == 4


def test_the_repository_is_found_from_the_package_wherever_one_works(
    tmp_path: Path, root: Path
) -> None:
    code = "from datahall.course.catalogue import repository_root; print(repository_root())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()) == root
