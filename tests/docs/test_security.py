"""What the security page names as proof exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
ATTACKS = (ROOT / "scripts" / "lib" / "attack.py").read_text()


def test_every_test_that_the_page_names_is_there():
    names = re.findall(r"`(?:tests/\w+/)?(test_\w+\.py)`", PAGE)
    assert len(names) > 20
    for name in names:
        assert list((ROOT / "tests").rglob(name)), name


def test_every_attack_that_the_page_names_is_there():
    words = re.findall(r"--only \"?([\w ]+?)\"?`", PAGE)
    assert words
    for word in words:
        assert word in ATTACKS, word


def test_requirements_are_claimed_by_the_page_and_by_the_tests_that_show_them_alike():
    shown = {
        (number, path.name)
        for path in (ROOT / "tests").rglob("test_*.py")
        for claim in re.findall(r"ASVS 5\.0: ([^\"]*)", path.read_text())
        for number in re.findall(r"\b\d+\.\d+\.\d+\b", claim)
        if path != Path(__file__)
    }
    claimed = {
        (number, name)
        for line in PAGE.splitlines()
        if (cells := line.split("|")) and re.match(r" \d+\.\d+\.\d+\b", cells[1] if len(cells) > 3 else "")
        for number in re.findall(r"\d+\.\d+\.\d+", cells[1])
        for name in re.findall(r"test_\w+\.py", cells[3])
    }
    assert len(claimed) > 20
    assert claimed == shown
