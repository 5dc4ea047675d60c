"""The command line says what it does, and fails in one sentence."""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import Any

import pytest

import fcinv_core
from fcinv_core.cli import build_parser, main, simulate
from fcinv_core.errors import InputError


def help_of(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_help_names_the_commands_in_the_order_of_work(capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(capsys=capsys)
    places = [text.index(f"fcinv {command} ") for command in ("simulate", "ensemble", "generate")]
    assert places == sorted(places)
    assert "POSCAR" in text
    assert "neutron" in text


@pytest.mark.parametrize("command", ["simulate", "ensemble", "generate"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(command, capsys=capsys)
    assert text.startswith(f"usage: fcinv {command} ")
    assert "STRUCTURE" in text
    assert "--out" in text


def test_help_fits_a_terminal_of_120_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "118")
    for command in ((), ("simulate",), ("ensemble",), ("generate",)):
        assert max(map(len, help_of(*command, capsys=capsys).splitlines())) <= 118


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"fcinv {fcinv_core.__version__}\n"


def test_nothing_asked_for_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "The usual order of work" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["dance"], ["simulate"], ["simulate", "POSCAR", "FC", "--points", "many"]])
def test_arguments_without_sense_end_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: fcinv")


def run_with(monkeypatch: pytest.MonkeyPatch, failure: BaseException) -> int:
    def run(_: argparse.Namespace) -> int:
        raise failure

    def add_parser(subparsers: Any) -> None:
        subparsers.add_parser("fail").set_defaults(run=run)

    monkeypatch.setattr(simulate, "add_parser", add_parser)
    return main(["fail"])


def test_unusable_input_is_one_sentence_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with(monkeypatch, InputError("POSCAR is empty", "it has no\nline", "write it again")) == 2
    assert capsys.readouterr().err == "fcinv: POSCAR is empty: it has no line; write it again.\n"


def test_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_with(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "fcinv: interrupted\n"


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        run_with(monkeypatch, ZeroDivisionError())


def test_command_line_is_kept_for_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(simulate, "run", lambda arguments: seen.append(arguments.command_line) or 0)
    assert main(["simulate", "my crystal", "FORCE_CONSTANTS", "--out", "d"]) == 0
    assert seen == ["fcinv simulate 'my crystal' FORCE_CONSTANTS --out d"]


def test_help_loads_no_heavy_package() -> None:
    code = (
        "import sys; from fcinv_core.cli import build_parser; build_parser();"
        "sys.exit(' '.join({'torch', 'numba', 'matplotlib', 'symfc'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_module_runs_like_the_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fcinv_core", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"fcinv {fcinv_core.__version__}\n"


def test_terminal_without_greek_gets_a_question_mark() -> None:
    code = "from fcinv_core.cli import main; main(['--help'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C", "PATH": ""},
    )
    assert b"eV/?" in done.stdout


def test_every_command_has_its_own_run() -> None:
    parsers = next(action for action in build_parser()._actions if isinstance(action.choices, dict)).choices
    assert len({parser.get_default("run") for parser in parsers.values()}) == len(parsers)
