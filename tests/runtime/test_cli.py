"""The command line as a user meets it: answers, exit codes, messages instead of tracebacks, quick starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from runtime.cli import app

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
QUICKSTART = str(EXAMPLES / "quickstart.space")
STAGES = ("profile", "search", "derive", "train", "export", "tune", "build", "bench")
COMMANDS = (
    "check",
    "fmt",
    "explain",
    "show",
    "count",
    "cost",
    "sample",
    "run",
    *STAGES,
    "tensorboard",
    "doctor",
)
GROUPS = (
    ("bundle", "run"),
    ("bundle", "verify"),
    ("bundle", "inspect"),
    ("records", "export"),
    ("records", "list"),
    ("table", "convert"),
    ("table", "show"),
)


def call(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=text)


@pytest.mark.parametrize("command", [*[(name,) for name in COMMANDS], *GROUPS, ("records", "import")])
def test_every_command_has_help_with_an_example(command: tuple[str, ...]) -> None:
    result = call(*command, "--help")
    assert result.exit_code == 0
    assert f"onepath {' '.join(command)}" in " ".join(result.output.split())


def test_counts_of_the_proxyless_space() -> None:
    answer = json.loads(call("count", str(EXAMPLES / "proxyless_mobile.space"), "--format", "json").stdout)
    assert answer["size"] == "221502229807900608"
    assert (answer["decisions"], answer["mixed_ops"]) == (57, 21)


def test_samples_are_architectures_that_cost_accepts(tmp_path: Path) -> None:
    lines = call("sample", QUICKSTART, "-n", "3", "--seed", "1").stdout.splitlines()
    assert len(lines) == 3
    (tmp_path / "a.json").write_text(lines[0])
    answer = json.loads(
        call("cost", QUICKSTART, "--arch", str(tmp_path / "a.json"), "--format", "json").stdout
    )
    assert {"params", "macs", "peak_memory_bytes"} <= answer.keys()


@pytest.mark.parametrize("form", ["text", "dot", "json"])
@pytest.mark.parametrize("flat", [(), ("--flat",)])
def test_graphs_are_shown(form: str, flat: tuple[str, ...]) -> None:
    result = call("show", QUICKSTART, "--format", form, *flat)
    assert result.exit_code == 0
    assert "stage.i1.layer" in result.stdout


def test_check_answers_with_a_list_of_diagnostics() -> None:
    text = "space s { input [3, 8, 8]\noutput [10]\nconv(4, 2) -> global_pol -> linear(10) }"
    result = call("check", "-", "--format", "json", text=text)
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert [(each["code"], each["line"], each["column"]) for each in found] == [
        ("E0320", 3, 1),
        ("E0101", 3, 15),
    ]
    assert all({"severity", "message", "file"} <= each.keys() for each in found)


def test_fmt_checks_writes_and_shows(tmp_path: Path) -> None:
    path = tmp_path / "a.space"
    path.write_text("space s{input [3,8,8]\noutput [3]\nglobal_pool} # end\n")
    assert call("fmt", "--check", str(path)).exit_code == 1
    assert "+space s {" in call("fmt", "--diff", str(path)).stdout
    assert call("fmt", str(path)).exit_code == 0
    assert call("fmt", "--check", str(path)).exit_code == 0
    assert "# end" in path.read_text()


BAD = {
    "no such file": (["count", "nowhere.space"], 2),
    "a folder": (["count", "."], 2),
    "no text": (["check", "BINARY"], 1),
    "an architecture that is no JSON": (["cost", QUICKSTART, "--arch", "BINARY"], 2),
    "no table": (["cost", QUICKSTART, "--arch", "ARCH", "--target", "elsewhere"], 2),
    "an unknown space": (["count", QUICKSTART, "--space", "other"], 1),
    "an unknown code": (["explain", "E9999"], 2),
    "an unknown target": (["profile", QUICKSTART, "--target", "other", "--out", "OUT"], 2),
    "a wrong override": (["run", QUICKSTART, "--dry-run", "--set", "epochs=many", "--out", "OUT"], 1),
    "no bundle": (["bundle", "run", "OUT", "x.npy"], 2),
    "no records": (["records", "import", "BINARY"], 2),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_a_message(name: str, tmp_path: Path) -> None:
    arguments, code = BAD[name]
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "arch.json").write_text(call("sample", QUICKSTART).stdout)
    places = {"BINARY": "binary", "OUT": "out", "ARCH": "arch.json"}
    result = call(*[str(tmp_path / places[word]) if word in places else word for word in arguments])
    assert result.exit_code == code, result.output
    assert result.output.strip()
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [["--help"], ["check", QUICKSTART], ["fmt", "--check", QUICKSTART]])
def test_quick_commands_import_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from runtime.cli import main\n"
        f"sys.argv = ['onepath', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code\n"
        "heavy = {'torch', 'tvm', 'networkx', 'numpy', 'onnx', 'scipy', 'tensorboard'} & set(sys.modules)\n"
        "sys.exit(f'{code}, imported {heavy}' if code or heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
