"""The list of surviving mutants."""

import json
import re

from mutants import DOCUMENT, MODULES, ROOT, Survivor, as_markdown, survivors

DIFF = """--- mutation diff ---
--- aaioservicekit/_core.py
+++ baioservicekit/_core.py
@@ -1,3 +1,3 @@
         for buffer in self.bounded:
-            if len(buffer.messages) >= buffer.size:
+            if len(buffer.messages) == buffer.size:
                 return False  # CH-3.2
"""


def test_what_survives_is_read_from_the_session() -> None:
    """A mutant that the suite missed is listed with its change; a refused one is counted."""
    mutation = {
        "definition_name": "commit",
        "operator_name": "core/ReplaceComparisonOperator_GtE_Eq",
        "start_pos": [3, 1],
    }
    dump = "\n".join(
        json.dumps([{"mutations": [mutation]}, {"test_outcome": outcome, "diff": DIFF}])
        for outcome in ("killed", "survived")
    )
    (survivor,) = found = survivors(dump)[1]
    assert survivors(dump)[0] == 2
    before, after = "if len(buffer.messages) >= buffer.size:", "if len(buffer.messages) == buffer.size:"
    assert survivor == Survivor("commit", "ReplaceComparisonOperator_GtE_Eq", before, after)
    assert survivor.reason is not None
    assert "never holds more" in survivor.reason
    text = as_markdown(2, found)
    assert "refuses 1 of 2: 50.0%" in text
    assert f"{survivor.reason}\n\n```diff\n@@ commit\n- {before}\n+ {after}\n```" in text
    assert "Not explained" not in text


def test_a_survivor_that_nothing_explains_stands_out() -> None:
    """The command fails on an unexplained survivor, and the document says so."""
    survivor = Survivor("send", "AddNot", "if first:", "if not first:")
    assert survivor.reason is None
    assert "**Not explained.**" in as_markdown(1, [survivor])


def test_the_document_is_of_the_channel_as_it_is() -> None:
    """Each changed line is in the channel's source, and each survivor is explained."""
    document = DOCUMENT.read_text(encoding="utf-8")
    source = "".join((ROOT / module).read_text(encoding="utf-8") for module in MODULES)
    assert "Not explained" not in document
    changed = re.findall(r"^- (.*)$", document, re.MULTILINE)
    assert changed
    assert [line for line in changed if line not in source] == []
