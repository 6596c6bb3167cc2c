"""What the other tests here go by: how blocks are read, and what counts as the output that a page shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from blocks import blocks, commands
from shown import is_shown

PAGE = """\
# A page

<!-- run
$ hidden
-->

```console
$ first --option \\
    value
printed
$ second
```

1. In a list:

    ```yaml title="x.yaml"
    a: 1
    ```

<!-- not run: needs the moon -->
```python
print(1)
```

<!-- exits 3 -->
```console
$ cat <<END
> kept
> END
```
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "page.md"
    file.write_text(PAGE)
    return file


def test_blocks_are_read_in_order_with_what_is_said_of_them(page: Path) -> None:
    found = [(block.line, block.language, block.title, block.marks) for block in blocks(page)]

    assert found == [
        (4, "console", None, {}),
        (8, "console", None, {}),
        (17, "yaml", "x.yaml", {}),
        (22, "python", None, {"not run": "needs the moon"}),
        (27, "console", None, {"exits": "3"}),
    ]


def test_commands_have_their_continuation_and_their_output(page: Path) -> None:
    _, block, yaml, _, last = blocks(page)

    first, second = commands(block)
    assert (first.line, first.text, first.output) == (8, "first --option \\\n    value", "printed")
    assert (second.line, second.text, second.output) == (11, "second", "")
    assert yaml.text == "a: 1"
    assert commands(last)[0].text == "cat <<END\nkept\nEND"


@pytest.mark.parametrize("text", ["```console\nno command\n```\n", "<!-- exits 1 -->\n\nprose\n"])
def test_a_page_that_cannot_be_run_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "page.md"
    file.write_text(text)

    with pytest.raises(AssertionError):
        [commands(block) for block in blocks(file)]


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("orders: created (v0)", "orders: created (v0)\n", True),
        ("orders: created (v0)", "orders: created (v1)\n", False),
        ("a ... d", "a b c d", True),
        ("a\n...\nd", "a\nb\nc\nd", True),
        ("a\n...", "b\na", False),
        ("a  b", "a      b   ", True),
        ("a b", "ab", False),
        ("took 2.0 s", "took 311 ms", True),
        ("took 2.0 s", "took 2.0 parsecs", False),
        ("2 s ago", "just now", True),
        ("2026-01-01T00:00:00.000Z", "2027-02-03T04:05:06.789Z", True),
        ("2026-01-01T00:00:00Z", "yesterday", False),
        ("488c25b9-f94b-4397-a568-462f25bd66de x", "15bdcd70-58ba-4944-b25b-acd3d6c5da30 x", True),
        ("488c25b9-f94b-4397-a568-462f25bd66de x", "nobody x", False),
    ],
)
def test_what_counts_as_shown(shown: str, printed: str, same: bool) -> None:
    assert is_shown(shown, printed) is same
