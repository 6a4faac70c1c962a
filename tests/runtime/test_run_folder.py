"""A stage is current only from the same inputs and with its files as it wrote them."""

from __future__ import annotations

from pathlib import Path

from runtime.run_folder import RunFolder, digest


def test_a_finished_stage_is_current(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    (tmp_path / "out.txt").write_text("one")
    inputs = digest("settings", {"a": 1})
    assert not folder.is_current("work", inputs)
    folder.finish("work", inputs, ["out.txt"], 1.5)
    assert folder.is_current("work", inputs)
    assert folder.seconds() == {"work": 1.5}
    assert not folder.is_current("work", digest("settings", {"a": 2}))


def test_a_changed_or_missing_file_makes_it_stale(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    (tmp_path / "out.txt").write_text("one")
    folder.finish("work", "inputs", ["out.txt"], 1.0)
    (tmp_path / "out.txt").write_text("two")
    assert not folder.is_current("work", "inputs")
    (tmp_path / "out.txt").unlink()
    assert not folder.is_current("work", "inputs")


def test_a_damaged_state_is_no_state(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.finish("work", "inputs", [], 1.0)
    state = tmp_path / "stages/work.json"
    state.write_text(state.read_text().replace("inputs", "outputs", 1))
    assert folder.record("work") is None


def test_a_stage_that_goes_on_keeps_the_account_of_its_budget(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert not folder.begin("work", "inputs")
    account = folder.account("work", "host")
    account.write_text("3.0")
    assert folder.begin("work", "inputs")
    assert folder.account("work", "host") == account
    assert account.exists()
    assert not folder.account("work", "host", resume=False).exists()
    for end in (
        lambda: folder.begin("work", "other inputs"),
        lambda: folder.finish("work", "inputs", [], 1.0),
    ):
        account.write_text("3.0")
        end()
        assert not account.exists()


def test_a_stage_that_is_forgotten_is_to_be_done_from_its_beginning(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.begin("work", "inputs")
    kept, checkpoint = (
        tmp_path / "work/out.txt",
        tmp_path / "work/teacher/train_checkpoints/checkpoint-000000001.safetensors",
    )
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    folder.forget("work")
    assert not folder.begin("work", "inputs")
    assert not checkpoint.exists()
    kept.write_text("one")
    folder.finish("work", "inputs", ["work/out.txt"], 1.0)
    before = folder.record("work")
    folder.forget("work")
    after = folder.record("work")
    assert not folder.is_current("work", "inputs")
    assert kept.exists()
    assert before is not None
    assert after is not None
    assert after.outputs == before.outputs, "whether it was edited can still be told"
