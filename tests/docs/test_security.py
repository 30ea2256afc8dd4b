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
