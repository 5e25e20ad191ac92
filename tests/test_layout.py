"""Imports go one way, few files import each library, and the map of the code is right."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import pymdc

ROOT = Path(pymdc.__file__).parent

# From the ground up: a module imports only from the floors below its own.
FLOORS = [
    ["config", "errors", "version", "core", "transfers"],  # the last two without what is in them
    [
        "core.hashes",
        "core.explanations",
        "core.job",
        "core.pool",
        "core.slices",
        "core.curve",
        "core.endpoints",
        "core.nonces",
        "core.replies",
    ],
    ["transfers.binarypack", "transfers.hashing", "transfers.mixtures", "transfers.names"],
    ["transfers.shards"],
    ["core.addresses"],
    ["core.key_pair", "core.delivery", "core.under_way", "core.network"],
    ["keypair", "core.handle", "core.calls"],
    ["core.dispatch"],
    ["core.wire", "core.backend"],
    ["core.transport"],
    ["core.exchange"],
    [
        "transfers.multipart_encoder",
        "transfers.folders",
        "transfers.places",
        "transfers.access",
        "transfers.pointers",
        "transfers.connections",
    ],
    ["transfers.targets", "transfers.forms", "transfers.direct"],
    ["transfers.channels"],
    ["transfers.sources"],
    ["transfers.prefetch"],
    ["transfers.uploads", "transfers.downloads"],
    ["core.client_core"],
    ["core.base_client"],
    ["rest"],
    ["api.arguments", "api.types"],
    ["api.users", "api.keys", "api.file_transfers"],
    ["api.files"],
    ["api.buckets"],
    ["api.bound"],
    ["api", "client"],
    ["schedulers"],
    [""],  # the package itself
    ["bridge"],
    ["cli"],
    ["__main__"],
]

# Which modules know a library: a name, or a package with all that is in it. docs/architecture.md has the same table.
ONLY = {
    "httpx": {"core.transport"},
    "httpcore": {"core.transport", "core.backend"},
    "ecdsa": {"core.curve"},
    "coincurve": {"core.curve", "bridge.curve"},
    "websockets": {"transfers.channels"},
    "concurrent.futures": {"core.handle"},
    "click": {"cli"},
    "rich": {"cli"},
    "platformdirs": {"cli.profiles", "cli.hash_cache"},
    "tomlkit": {"cli.profiles"},
    "keyring": {"cli.private_keys"},
    "starlette": {"bridge"},
    "anyio": {"bridge"},
    "uvicorn": {"bridge.server", "bridge.protocols"},
    "psycopg": {"bridge.store.postgresql"},
    "sqlalchemy": {"bridge.store", "bridge.migrations"},
    "alembic": {"bridge.migrations"},
    "obstore": {"bridge.blobs", "bridge.objects"},
    "multipart": {"bridge.upload"},
    "prometheus_client": {"bridge.metrics"},
}

MAP = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    """Give a module's name below the package: "wire", "api", "api.users", "" for the package itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in ROOT.rglob("*.py")}
LIBRARY = sorted(name for name in FILES if name.split(".")[0] not in ("bridge", "cli"))


def part(name: str) -> str:
    """Give the part of the package that has a floor of its own: a module, or the whole bridge, or the whole command."""
    first = name.split(".")[0]
    return first if first in ("bridge", "cli") else name


def floor(name: str) -> int:
    return next(i for i, parts in enumerate(FLOORS) if part(name) in parts)


@functools.cache
def imports(name: str, *, late: bool = True) -> list[str]:
    """Give what a module imports, names of modules and of what is in them, in full: "pymdc.core.calls.path", "json".

    Late imports are those within functions, and those for type checkers alone.
    """
    return list(_imports(name, late))


def _imports(name: str, late: bool) -> Iterator[str]:
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if late else iter(tree.body)
    package = ["pymdc", *name.split(".")] if name else ["pymdc"]
    if FILES[name].name != "__init__.py":
        package = package[:-1]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def imported_modules(name: str, *, late: bool = True) -> set[str]:
    """Give the modules of the package that a module imports, by their names below the package."""
    found = set()
    for full in imports(name, late=late):
        parts = full.split(".")
        if parts[0] == "pymdc":
            inner = ".".join(parts[1:])
            found.add(inner if inner in FILES else ".".join(parts[1:-1]))
    return found


def test_every_module_has_its_floor() -> None:
    placed = {each for parts in FLOORS for each in parts}
    assert {part(name) for name in FILES} <= placed


@pytest.mark.parametrize("name", sorted(FILES))
def test_imports_run_one_way(name: str) -> None:
    for imported in imported_modules(name):
        within = part(name) == part(imported) and name != imported
        assert within or floor(imported) < floor(name), f"{name or 'pymdc'} imports {imported or 'pymdc'}"


def test_there_are_no_import_cycles() -> None:
    """Neither by an import within a function, nor by one for type checkers alone."""
    list(TopologicalSorter({name: imported_modules(name) - {name} for name in FILES}).static_order())


def folder(name: str) -> str:
    """Give the folder that a module is in: "core", "bridge", and so on; a module of no folder is named itself."""
    return name.split(".")[0]


def test_folders_import_one_way_too() -> None:
    """If one arrow leads from a folder to another one, none leads back: not by way of a third one either."""
    arrows: dict[str, set[str]] = {folder(name): set() for name in FILES}
    for name in FILES:
        arrows[folder(name)] |= {folder(imported) for imported in imported_modules(name)} - {folder(name)}
    list(TopologicalSorter(arrows).static_order())


def knows(name: str, library: str) -> bool:
    return any((full + ".").startswith(library + ".") for full in imports(name) if not is_value(full))


@pytest.mark.parametrize("library", ONLY)
def test_only_these_files_import_each_library(library: str) -> None:
    knowing = {name for name in FILES if knows(name, library)}
    found = {next((each for each in ONLY[library] if (name + ".").startswith(each + ".")), name) for name in knowing}
    assert found == ONLY[library]


def test_every_library_that_is_imported_is_in_the_table() -> None:
    ours = {"pymdc", *sys.stdlib_module_names}
    imported = {full.split(".")[0] for name in FILES for full in imports(name)} - ours
    assert imported - {"tomli"} <= ONLY.keys()  # tomli is the standard library's tomllib for Python 3.10


def test_the_map_has_the_same_table() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| (`\w+/.*`) \|$", MAP, re.M)
    told = {
        library: {path.removesuffix(".py").strip("/").replace("/", ".") for path in re.findall(r"`([^`]+)`", cell)}
        for library, cell in rows
    }
    assert told == ONLY


def test_a_library_that_a_docstring_claims_for_one_file_is_imported_there_only() -> None:
    claims = [
        (name, library)
        for name, path in FILES.items()
        for library in re.findall(
            r"only (?:file|module|one) (?:that|which) (?:knows|imports) ([\w.]+\w)",
            " ".join(path.read_text(encoding="utf-8").split()),
        )
    ]
    assert {("core.transport", "httpx"), ("transfers.channels", "websockets")} <= set(claims)
    for name, library in claims:
        assert ONLY[library] == {name}, f"{name} is not the only file that knows {library}"


def told_of(folder: str) -> str:
    """Return what the map says of the files of one folder: two files in different folders may have the same name."""
    folders = MAP[MAP.index("## The folders") : MAP.index("## Who may import what")]
    start, end = {
        "": ("### The client\n", "\nIn `"),
        "api": ("| `pymdc/api/` |", "\n"),
        "bridge": ("### The bridge\n", r"\Z"),
    }.get(folder, (f"In `pymdc/{folder}/`", r"\n(?:In `|###)"))
    (told,) = re.findall(rf"^{re.escape(start)}.*?(?={end})", folders, re.M | re.S)
    return str(told)


def test_the_map_names_every_file() -> None:
    """But in three folders that the map describes as a whole."""
    for name in FILES:
        path = FILES[name].relative_to(ROOT)
        as_a_whole = path.parts[:2] in (("bridge", "routes"), ("bridge", "store"), ("bridge", "migrations"))
        named = re.search(rf"[`/]{path.name}`", told_of("" if len(path.parts) == 1 else path.parts[0]))
        assert named or as_a_whole or path.name == "__init__.py", f"the map lacks {path}"


def place(path: str) -> Path:
    """Return the place of a path in the map. The package may be installed in another folder than its tests."""
    return (ROOT.parent if path.startswith("pymdc/") else Path(__file__).parents[1]) / path


def test_the_files_and_names_in_the_map_exist() -> None:
    for path in re.findall(r"`((?:pymdc|tests|docs)/[\w./-]*)`", MAP):
        assert place(path).exists(), path
    named = re.findall(r"`(\w+)`\sin\s`([\w/]+\.py)`", MAP)
    assert len(named) > 40
    for what, path in named:
        assert re.search(rf"^ *(async def|def|class) {what}\b|^{what}\b.* = ", place(path).read_text(), re.M), what


def is_value(full: str) -> bool:
    """Tell whether only an exception's class is imported: errors need no thread, and no socket."""
    return full in (
        "concurrent.futures.CancelledError",
        "concurrent.futures.TimeoutError",
        "http.client.HTTPException",
        "http.client.IncompleteRead",
    )


def test_nothing_but_the_command_line_reaches_the_bridge() -> None:
    for name in FILES:
        if part(name) not in ("bridge", "cli"):
            assert "bridge" not in {part(imported) for imported in imported_modules(name)}, name


def test_the_bridge_shares_with_the_library_only_what_both_must_agree_on() -> None:
    """Each checks the other: what they shared they could both get wrong."""
    shared = {imported for name in FILES if part(name) == "bridge" for imported in imported_modules(name)}
    assert {name for name in shared if part(name) != "bridge"} == {"core.hashes", "version"}


def test_only_the_command_itself_reaches_the_command_line() -> None:
    for name in FILES:
        if part(name) not in ("cli", "__main__"):
            assert "cli" not in {part(imported) for imported in imported_modules(name)}, name


@pytest.mark.parametrize("name", LIBRARY)
def test_the_library_needs_httpx_and_a_curve_and_nothing_else(name: str) -> None:
    known = {*sys.stdlib_module_names, "pymdc", "httpx", "httpcore", "ecdsa", "coincurve"}
    allowed = known | ({"websockets"} if name == "transfers.channels" else set())
    assert {full.split(".")[0] for full in imports(name)} <= allowed


@pytest.mark.parametrize("name", ["core.calls", "core.wire", "core.replies", "errors", "core.hashes", "core.key_pair"])
def test_modules_of_rules_do_no_input_and_no_output(name: str) -> None:
    doors = {"socket", "subprocess", "pathlib", "logging", "selectors", "http.client", "urllib.request", "os"}
    for full in imports(name):
        assert is_value(full) or not any(full == door or full.startswith(door + ".") for door in doors), full


def modules_after(statement: str) -> set[str]:
    script = f"import sys; {statement}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


EXTRAS = {"starlette", "uvicorn", "sqlalchemy", "obstore", "click", "rich", "websockets", "pymdc.bridge", "pymdc.cli"}


def test_importing_pymdc_imports_nothing_of_the_extras() -> None:
    assert not modules_after("import pymdc") & EXTRAS


def test_importing_pymdc_does_not_load_what_only_calls_need() -> None:
    loaded = modules_after("import pymdc; pymdc.Client(); dir(pymdc.schedulers); pymdc.api.Users")
    assert "pymdc.core.exchange" in loaded
    assert not loaded & {"httpx", "httpcore", "ecdsa", "coincurve", "urllib.request", "pymdc.core.transport"}


def test_importing_pymdc_loads_the_library_only_when_it_is_used() -> None:
    ours = {name for name in modules_after("import pymdc; dir(pymdc)") if name.split(".")[0] == "pymdc"}
    assert ours == {"pymdc", "pymdc.version"}


def test_importing_the_command_line_does_not_import_the_bridge() -> None:
    loaded = modules_after("import pymdc.cli.main")
    assert "click" in loaded
    assert not loaded & {"starlette", "uvicorn", "sqlalchemy", "obstore", "pymdc.bridge.server"}
