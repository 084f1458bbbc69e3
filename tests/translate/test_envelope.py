"""The envelope of a patch."""

import pytest

from codex_nexus.translate.envelope import is_patch, mended_input
from codex_nexus.translate.tools import DeclaredTool

PATCH = DeclaredTool("custom", "apply_patch", grammar='begin: "*** Begin Patch" LF')
HUNK = "*** Delete File: a"
BODY = f"*** Begin Patch\n{HUNK}\n*** End Patch"


@pytest.mark.parametrize(
    "written",
    [
        BODY,
        f"*** Begin Patch ***\n{HUNK}\n*** End Patch ***",
        f"*** Begin Patch *** \n{HUNK}\n*** End Patch",
        f"```diff\n{BODY}\n```",
        f"\n```\n{BODY}```\n",
        f"apply_patch <<'EOF'\n{BODY}\nEOF\n",
        f'apply_patch << "PATCH"\n{BODY}\nPATCH',
        f"{HUNK}\n*** End Patch",
    ],
)
def test_a_patch_loses_what_is_around_it(written: str) -> None:
    assert mended_input(PATCH, written) == BODY


@pytest.mark.parametrize(
    "written", [HUNK, f"\n{HUNK}\n\n", f"*** Begin Patch\n{HUNK}", f"*** Begin Patch\r\n{HUNK}\r\n"]
)
def test_a_patch_without_its_last_line_gets_it(written: str) -> None:
    mended = mended_input(PATCH, written)
    assert mended.replace("\r", "") == f"{BODY}\n"


@pytest.mark.parametrize(
    "written",
    [
        f"{BODY}\n\n",
        f"*** Begin Patch\r\n{HUNK}\r\n*** End Patch\r\n",
        "*** Begin Patch\n*** Add File: a\n+*** End Patch\n+```\n*** End Patch",
        "the file should go",
        "",
        "cat <<EOF\nx\nEOF",
    ],
)
def test_what_is_no_patch_or_a_whole_one_stays_as_it_is(written: str) -> None:
    assert mended_input(PATCH, written) == written


def test_a_marker_among_the_added_lines_is_no_end() -> None:
    added = "*** Begin Patch\n*** Add File: a\n+*** End Patch"
    assert mended_input(PATCH, added) == f"{added}\n*** End Patch\n"


def test_other_tools_get_their_input_as_it_is() -> None:
    tool = DeclaredTool("custom", "exec", grammar="start: code")
    assert (is_patch(PATCH), is_patch(tool)) == (True, False)
    assert mended_input(tool, "```\nx\n```") == "```\nx\n```"
