"""The list of the mutants that survive."""

import json
import re

from mutants import DOCUMENT, MODULES, ROOT, Survivor, as_markdown, survivors

DIFF = """--- mutation diff ---
--- aaioservicekit/channels.py
+++ baioservicekit/channels.py
@@ -1,3 +1,3 @@
     def _room(self) -> int:
         if not self._may_commit():
-            return 0
+            return 1
"""


def test_what_survives_is_read_from_the_session() -> None:
    """A mutant that the suite did not notice is listed with what it changes; one that was refused is counted."""
    mutation = {"definition_name": "_room", "operator_name": "core/NumberReplacer", "start_pos": [3, 1]}
    dump = "\n".join(
        json.dumps([{"mutations": [mutation]}, {"test_outcome": outcome, "diff": DIFF}])
        for outcome in ("killed", "survived")
    )
    (survivor,) = found = survivors(dump)[1]
    assert survivors(dump)[0] == 2
    assert survivor == Survivor("_room", "NumberReplacer", "return 0", "return 1")
    assert survivor.reason is not None
    assert "no more" in survivor.reason
    text = as_markdown(2, found)
    assert "refuses 1 of 2: 50.0%" in text
    assert f"{survivor.reason}\n\n```diff\n@@ _room\n- return 0\n+ return 1\n```" in text
    assert "Not explained" not in text


def test_a_survivor_that_nothing_explains_stands_out() -> None:
    """The command fails on it, and the document says so."""
    survivor = Survivor("send", "AddNot", "if first:", "if not first:")
    assert survivor.reason is None
    assert "**Not explained.**" in as_markdown(1, [survivor])


def test_the_document_is_of_the_channel_as_it_is() -> None:
    """Each line that was changed stands in the channel's source, and each survivor is explained."""
    document = DOCUMENT.read_text(encoding="utf-8")
    source = "".join((ROOT / module).read_text(encoding="utf-8") for module in MODULES)
    assert "Not explained" not in document
    changed = re.findall(r"^- (.*)$", document, re.MULTILINE)
    assert changed
    assert [line for line in changed if line not in source] == []
