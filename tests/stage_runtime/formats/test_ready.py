"""Types are ready to be read by several threads."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from stage_runtime.wire.messages import Message

PROJECT = Path(__file__).parents[3]
# the packages whose programs have threads
PACKAGES = ("sweep", "stage_runtime")

_FIRST_READ_BY_FOUR = """
import sys, threading, types
import msgspec
from stage_runtime.formats.ready import make_ready

SOURCE = '''
from __future__ import annotations
import msgspec

class Inner(msgspec.Struct, frozen=True, kw_only=True):
    value: int
    names: tuple[str, ...] = ()

class Middle(msgspec.Struct, frozen=True, kw_only=True):
    one: Inner
    more: tuple[Inner, ...] = ()
    named: dict[str, Inner] | None = None

class Outer(msgspec.Struct, frozen=True, kw_only=True):
    middle: Middle
    other: Inner | None = None
'''
sys.setswitchinterval(1e-6)
for number in range(300):
    module = types.ModuleType(f"module{number}")
    sys.modules[module.__name__] = module
    exec(SOURCE, module.__dict__)
    make_ready(module.Outer)
    barrier = threading.Barrier(4)

    def read():
        barrier.wait()
        assert msgspec.json.decode(b'{"middle": {"one": {"value": 7}}}', type=module.Outer).middle.one.value == 7

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_what_is_ready_is_read_by_several_threads_at_once() -> None:
    """Without the line that makes them ready this crashes within a second."""
    done = subprocess.run([sys.executable, "-c", _FIRST_READ_BY_FOUR], cwd=PROJECT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def _structs(kind: type) -> Iterator[type]:
    """Give a Struct and all that it holds, by msgspec's own account of it."""
    left: list[object] = [msgspec.inspect.type_info(kind)]
    seen = set()
    while left:
        info = left.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in seen:
                continue
            seen.add(info.cls)
            yield info.cls
            left += [field.type for field in info.fields]
        left += [getattr(info, name) for name in ("item_type", "key_type", "value_type") if hasattr(info, name)]
        for name in ("item_types", "types"):
            left += getattr(info, name, ())


def _named(path: Path, *functions: str) -> Iterator[type]:
    """Give the Structs that a module names where it calls these functions."""
    names = {
        each.id
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) in functions
        for told in (*call.args, *(word.value for word in call.keywords))
        for each in ast.walk(told)
        if isinstance(each, ast.Name)
    }
    if not names:
        return
    module = importlib.import_module(".".join(path.relative_to(PROJECT).with_suffix("").parts))
    for value in (getattr(module, name, None) for name in names):
        if isinstance(value, type) and issubclass(value, msgspec.Struct):
            yield value


@pytest.mark.parametrize("package", PACKAGES)
def test_every_type_that_is_read_is_ready(package: str) -> None:
    modules = [path for name in PACKAGES for path in sorted((PROJECT / name).rglob("*.py"))]
    ready = {each for path in modules for kind in _named(path, "make_ready") for each in _structs(kind)}
    own = sorted((PROJECT / package).rglob("*.py"))
    read = {kind for path in own for kind in _named(path, "msgspec.json.decode", "msgspec.convert")}
    if package == "stage_runtime":
        read |= set(Message.__constraints__)
    assert len(read) > 3
    assert {kind.__qualname__ for kind in read - ready} == set()
