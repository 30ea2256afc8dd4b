"""Select Graphic Rendition (ECMA-48, 8.3.117): which colours and weights are in force after some output.

Pure. Of all escapes of a terminal only these change how text that follows looks on a screen that shows lines.
"""

from __future__ import annotations

import re

ESCAPE = re.compile(rb"\x1b\[([0-9;:]{0,100})m")  # a longer one is not meant for a terminal

_GROUPS = {
    1: "bold",
    2: "faint",
    3: "italic",
    **dict.fromkeys((4, 21), "underline"),
    **dict.fromkeys((5, 6), "blink"),
    7: "inverse",
    8: "hidden",
    9: "struck",
    **dict.fromkeys((*range(30, 39), *range(90, 98)), "foreground"),
    **dict.fromkeys((*range(40, 49), *range(100, 108)), "background"),
    53: "overline",
    58: "underline colour",
}
_ENDS = {
    22: ("bold", "faint"),
    23: ("italic",),
    24: ("underline",),
    25: ("blink",),
    27: ("inverse",),
    28: ("hidden",),
    29: ("struck",),
    39: ("foreground",),
    49: ("background",),
    55: ("overline",),
    59: ("underline colour",),
}


class Style:
    """What is in force on one stream. Its text is the parameters that bring it about, `1;31`; empty for none."""

    def __init__(self) -> None:
        self._set: dict[str, str] = {}

    def __str__(self) -> str:
        return ";".join(self._set.values())

    def feed(self, data: bytes) -> None:
        """Take in output. The work is that of the escapes after its last reset."""
        reset = max(data.rfind(b"\x1b[0m"), data.rfind(b"\x1b[m"))
        for escape in ESCAPE.finditer(data, max(reset, 0)):
            self._apply(escape[1].decode().split(";"))

    def _apply(self, parameters: list[str]) -> None:
        at = 0
        while at < len(parameters):
            number = int(parameters[at].partition(":")[0][:4] or 0)
            taken = 1
            if parameters[at] in ("38", "48", "58"):  # 38;5;N or 38;2;R;G;B
                taken = {"5": 3, "2": 5}.get(parameters[at + 1] if at + 1 < len(parameters) else "", 1)
            text = ";".join(parameters[at : at + taken])
            if number == 0:
                self._set.clear()
            elif groups := _ENDS.get(number):
                for group in groups:
                    self._set.pop(group, None)
            elif group := _GROUPS.get(number):
                self._set[group] = text
            at += taken
