"""Known targets: the table that comes with Onepath, the user's own file, and what the language makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsl.diagnostic import Diagnostic
from dsl.known_targets import TargetsFileProblem, known_settings, known_targets, user_table
from dsl.parser import parse
from dsl.resolve import resolve_settings
from dsl.settings import Settings
from dsl.source import Source

WANTED = [
    "x86_64_v2",
    "x86_64_v3",
    "x86_64_v4",
    "zen4",
    "skylake_avx512",
    "raspberry_pi_4",
    "raspberry_pi_5",
    "cortex_a55",
    "cortex_a72",
    "cortex_a76",
    "graviton2",
    "graviton3",
    "apple_m1_linux",
    "armv7",
    "riscv64",
    "riscv64_v",
    "cuda_sm_75",
    "cuda_sm_80",
    "cuda_sm_86",
    "cuda_sm_89",
    "cuda_sm_90",
    "c",
]


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of settings of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def resolved(text: str) -> tuple[Settings, list[Diagnostic]]:
    file, found = parse(Source("t.space", text))
    assert file is not None
    assert not found
    return resolve_settings(file)


def test_the_table_names_the_usual_devices() -> None:
    assert list(known_targets()) == WANTED
    assert all(each.title for each in known_targets().values())


def test_a_target_like_a_known_one_takes_what_it_does_not_say() -> None:
    settings, found = resolved('target mine { like = "raspberry_pi_5"  threads = 4 }')
    assert not found
    mine, known = settings.targets["mine"], known_settings("raspberry_pi_5")
    assert known is not None
    assert (mine.cpu, mine.triple, mine.clock_ghz) == (known.cpu, known.triple, known.clock_ghz)
    assert (mine.name, mine.threads, known.threads) == ("mine", 4, 1)


def test_an_unknown_likeness_is_reported_with_a_near_one() -> None:
    _, found = resolved('target mine { like = "zen5" }')
    assert [(each.code, each.hint) for each in found] == [("E0407", "did you mean `zen4`?")]


def test_the_users_targets_come_beside_and_before(config: Path) -> None:
    user_table().parent.mkdir(parents=True)
    user_table().write_text(
        '[board]\ntitle = "mine"\ncpu = "cortex-a53"\nclock_ghz = 1.4\n[zen4]\ncpu = "znver5"\n'
    )
    board, zen4 = known_targets()["board"], known_targets()["zen4"]
    assert (board.title, board.settings.cpu, board.settings.clock_ghz) == ("mine", "cortex-a53", 1.4)
    assert zen4.settings.cpu == "znver5"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[board", "cannot be read as TOML"),
        ("cpu = 'x'", "stands in no table"),
        ("[host]\ncpu = 'x'", "cannot be named `host`"),
        ("['a-b']\ncpu = 'x'", "cannot be named `a-b`"),
        ("[board]\ncpy = 'x'", "no setting `cpy`; did you mean `cpu`?"),
        ("[board]\nthreads = 'two'", "`threads` must be an integer"),
        ("[board]\nthreads = 0", "`threads` must be from 1"),
        ("[board]\ncpu = ['a']", "`cpu` must be a text"),
        ("[board]\nlike = 'zen4'", "`like` is for targets of a .space file"),
        ("[board]\ntitle = 3", "`title` must be a text"),
        ("[board]\nclock_ghz = nan", "`clock_ghz` must be a number"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(text: str, said: str) -> None:
    user_table().parent.mkdir(parents=True)
    user_table().write_text(text)
    with pytest.raises(TargetsFileProblem, match=said) as caught:
        known_targets()
    assert str(user_table()) in str(caught.value)


def test_bytes_that_are_no_text_are_refused() -> None:
    user_table().parent.mkdir(parents=True)
    user_table().write_bytes(b"\xff\xfe")
    with pytest.raises(TargetsFileProblem, match="not UTF-8"):
        known_targets()
