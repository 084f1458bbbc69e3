"""Random `config.toml` texts as people and programs write them."""

import tomllib

from hypothesis import strategies as st

BOM = "\ufeff"
WORDS = st.text("abcXYZ 019#=[]{},.'äß你🦊-_", max_size=12)
BLANKS = st.sampled_from(["", " ", "  ", "\t"])


def _basic(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _bare_or_quoted(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from([name, f'"{name}"', f"'{name}'"])


def _multi_line(sign: str, newline: str) -> st.SearchStrategy[str]:
    line = st.text("ab#=[] 你,{}", max_size=8) | st.sampled_from(
        ['say "hi"', "it's", "[model_providers.codex-nexus]", "model = 1"]
    )
    end = st.sampled_from(["", sign, sign * 2])
    body = st.lists(line, max_size=4).map(newline.join)
    return st.builds(lambda text, tail: f"{sign * 3}{newline}{text}{tail}{sign * 3}", body, end)


def values(newline: str, *, lines: bool = True) -> st.SearchStrategy[str]:
    plain = st.one_of(
        WORDS.map(_basic),
        WORDS.map(lambda text: "'" + text.replace("'", "") + "'"),
        st.integers(-9, 999).map(str),
        st.sampled_from(
            ["true", "1.5", "nan", "-inf", "0xFF", "1979-05-27 07:32:00", "1979-05-27T07:32:00Z", r'"\u00e9\n\"#"']
        ),
    )
    inline = st.lists(plain, max_size=3).map(
        lambda found: "{ " + ", ".join(f"k{n}.x = {value}" for n, value in enumerate(found)) + " }"
    )
    flat = st.lists(plain | inline, max_size=3).map(lambda found: "[" + ", ".join(found) + "]")
    if not lines:
        return st.one_of(plain, inline, flat)
    tall = st.lists(plain | inline, max_size=3).map(
        lambda found: f"[ # first{newline}" + "".join(f"  {value}, # ]{newline}{newline}" for value in found) + "]"
    )
    return st.one_of(plain, inline, flat, tall, _multi_line('"', newline), _multi_line("'", newline))


@st.composite
def pairs(draw: st.DrawFn, key: str, newline: str, value: st.SearchStrategy[str] | None = None) -> str:
    blanks = [draw(BLANKS) for _ in range(4)]
    remark = draw(st.sampled_from(["", "# remark", "# [x] = 'y'"]))
    text = draw(values(newline) if value is None else value)
    return f"{blanks[0]}{key}{blanks[1]}={blanks[2]}{text}{blanks[3]}{remark}{newline}"


@st.composite
def between(draw: st.DrawFn, newline: str) -> str:
    line = st.sampled_from(
        ["", "  ", "# a comment", "#:schema x", "\t# model = 'no'", "# [model_providers.codex-nexus]"]
    )
    return "".join(text + newline for text in draw(st.lists(line, max_size=2)))


@st.composite
def providers(draw: st.DrawFn, newline: str) -> tuple[str, str]:
    """Other providers and, at times, a hand-written one with our id: what stands at the root, and what in tables."""
    ours = draw(st.booleans())
    name = draw(_bare_or_quoted("codex-nexus"))
    table = "model_providers"
    other = draw(pairs("name", newline))
    mine = (
        draw(pairs("name", newline))
        + draw(between(newline))
        + draw(pairs("base_url", newline, st.just('"http://old"')))
    )
    style = draw(st.sampled_from(["none", "tables", "root-inline", "root-dotted", "table-dotted", "table-inline"]))
    if style == "none":
        return "", ""
    if style == "root-inline":
        value = draw(values(newline, lines=False))
        entries = [f"a = {{ name = {value} }}", *([f"{name} = {{ name = 'x' }}"] if ours else [])]
        entries = draw(st.permutations(entries)) if draw(st.booleans()) else []
        return draw(pairs(table, newline, st.just("{" + ", ".join(entries) + "}"))), ""
    if style == "root-dotted":
        text = draw(pairs(f"{table}.a.name", newline))
        return text + (draw(pairs(f"{table} . {name}.name", newline)) if ours else ""), ""
    if style == "table-dotted":
        return "", f"[{table}]{newline}" + draw(pairs("a.b", newline)) + (
            draw(pairs(f"{name}.name", newline)) if ours else ""
        )
    if style == "table-inline":
        return "", f"[ {table} ]{newline}" + (
            draw(pairs(name, newline, st.just("{ name = 'n' }"))) if ours else ""
        ) + draw(pairs("a", newline))
    deeper = f"[{table}.{name}.http_headers]{newline}" + draw(pairs("x", newline)) if draw(st.booleans()) else ""
    return "", f"[{table}.a]{newline}{other}" + (f"[{table}.{name}] # c{newline}{mine}{deeper}" if ours else "")


@st.composite
def documents(draw: st.DrawFn) -> str:
    newline = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    root, tables = draw(providers(newline))
    parts: list[str] = []
    for key in draw(
        st.lists(st.sampled_from(["model", "model_provider", "approval_policy", "tui.theme", '"odd key"']), unique=True)
    ):
        text = st.sampled_from(['"openai"', "'codex-nexus'", '"x"']) if key == "model_provider" else None
        parts.append(draw(pairs(key, newline, text)))
    parts.append(root)
    parts = [draw(between(newline)) + part for part in draw(st.permutations(parts))]
    sections = [tables]
    for key in draw(
        st.lists(st.sampled_from(["mcp_servers.x", 'projects."/a b"', "[hooks]", "features", "'q'.z"]), unique=True)
    ):
        header = f"{draw(BLANKS)}[{key}]{draw(BLANKS)}{newline}"
        sections.append(
            header
            + "".join(draw(pairs(name, newline)) for name in draw(st.sets(st.sampled_from(["model", "k", "d.e"]))))
        )
    sections = [draw(between(newline)) + section for section in draw(st.permutations(sections))]
    text = "".join(parts + sections)
    if draw(st.booleans()):
        text = text.removesuffix(newline)
    return draw(st.sampled_from(["", "", BOM])) + text


def is_valid(text: str) -> bool:
    try:
        tomllib.loads(text.removeprefix(BOM))
    except tomllib.TOMLDecodeError:
        return False
    return True
