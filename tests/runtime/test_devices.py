"""Remote devices: all of a key are measured on, and what befalls one costs neither the run nor a measurement."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from tvm.rpc import base
from typer.testing import CliRunner

from compiler.codegen.schedules import candidates
from compiler.codegen.tvm_api import known_features
from compiler.target import Target
from runtime import device, profiler, tune, worker
from runtime.bench_contender import Contender
from runtime.cli import app
from runtime.console import Silent
from runtime.devices import dispatch, errands
from runtime.devices.facts import kind_of, unfit
from runtime.devices.pool import Devices
from runtime.devices.server import offered
from runtime.devices.tracker import Address, Connection, DeviceProblem, Listed, Offer, RemoteDevice
from runtime.devices.worker import DeviceWorker
from runtime.features import LINUX_FLAGS
from runtime.fit_latency import FEWEST_SAMPLES
from runtime.measure import compile_plan, random_weights
from runtime.profiler import profile
from runtime.records import Records, key_of
from runtime.workers import WorkerFailed
from tests.compiler.codegen.plans import mobile
from tests.runtime.device_servers import FACTOR, Lab, Process, free_port, lab

pytestmark = pytest.mark.tvm
KERNELS = dict(list(mobile(1).kernels.items())[:3])


@pytest.fixture(scope="module")
def target() -> Target:
    return device.host()


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Four devices of one kind; the tests at the end of this file use them up."""
    with lab(tmp_path_factory.mktemp("devices")) as made:
        made.start("good", "killed", "stopped", "slow", slow="slow")
        yield made


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short rests and deadlines; a factor of drift that a busy machine does not reach."""
    monkeypatch.setattr(errands, "REST_S", 0.01)
    monkeypatch.setattr(errands, "FREE_S", 3.0)
    monkeypatch.setattr(errands, "DRIFT", FACTOR / 20)


class After(Silent):
    """Does something once so many measurements are kept; remembers what is said."""

    def __init__(self, *events: tuple[int, Callable[[], object]]) -> None:
        self.events, self.notes = list(events), list[str]()

    def update(
        self, done: float, total: float, text: str = "", *, kind: str = "", at_most_s: float | None = None
    ) -> None:
        while self.events and done >= self.events[0][0]:
            self.events.pop(0)[1]()

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_the_devices_are_listed(four: Lab) -> None:
    said = CliRunner().invoke(app, ["device", "list", "--tracker", str(four.address), "--format", "json"])
    rows = json.loads(said.output)
    assert [(row["key"], row["name"], row["busy"]) for row in rows] == [
        ("box", name, False) for name in ("good", "killed", "slow", "stopped")
    ]
    text = CliRunner().invoke(app, ["device", "list", "--tracker", str(four.address)]).output
    assert "box" in text
    assert "free" in text


def test_an_unknown_key_names_those_there_are(four: Lab, target: Target) -> None:
    with pytest.raises(DeviceProblem, match=r"no device of key `bex`; did you mean `box`"):
        Devices(target, four.device("bex")).__enter__()


def test_devices_that_do_not_fit_are_refused(target: Target) -> None:
    facts = json.loads(offered.facts("other", [0]))
    own = kind_of(facts)
    assert (own, unfit(facts, target, own)) == (device.fingerprint(), "")
    arm = device.processor("cortex-a76", "aarch64-unknown-linux-gnu", name="pi")
    assert f"is {facts['machine']}, and the target `pi` is aarch64" in unfit(facts, arm, own)
    older = {**facts, "cpuinfo": ["model name\t: Old", "flags\t\t: fpu"]}
    assert unfit(older, target, kind_of(older)).startswith("lacks ")
    assert "is another processor" in unfit(facts, target, kind_of(older))
    flags, known = device.flags_of(facts["cpuinfo"]), known_features(target.triple)
    lacking = next(name for name, flag in LINUX_FLAGS.items() if flag not in flags and name in known)
    assert unfit(facts, replace(target, cpu="generic", features=(f"+{lacking}",)), own).startswith("lacks ")


def test_a_profile_is_measured_on_all_devices_told_apart_and_an_interrupt_leaves_nothing_behind(
    four: Lab, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, processes = mobile(1), list[int]()

    def interrupted(records: Records) -> None:
        with Devices(target, four.device(), most=2) as devices:
            monkeypatch.setattr(profiler, "workers_of", lambda *given: nullcontext(devices))
            table = profile(plan.kernels, target, records, sample_plans=[plan], trials=2)
            assert set(table.entries) == set(plan.kernels)
            assert len(table.model.samples) >= FEWEST_SAMPLES
            again = tune.tune(plan.kernels, target, records, trials=2, workers=devices)
            assert again.measured == 0
            processes.extend(each._process.pid for each in devices.all if each._process)
            with Connection(four.address) as connection:
                assert sum(each.busy for each in connection.devices()) == 2
            raise KeyboardInterrupt

    with Records(tmp_path / "r.sqlite") as records:
        with pytest.raises(KeyboardInterrupt):
            interrupted(records)
        kind = device.fingerprint()
        names = {row.key.processor.removeprefix(f"{kind} @") for row in records.rows()}
        assert names <= set(four.servers)
        assert len(names) >= 2
        assert records.rows(key=key_of(target)) == []
        every = key_of(target, f"{kind} @*")
        wanted = sum(min(2, len(candidates(kernel, target))) for kernel in plan.kernels.values())
        assert len(records.rows(key=every)) == wanted
        assert {row.signature for row in records.rows()} == set(records.signatures(every))
    assert len(processes) == 2
    assert not any(map(psutil.pid_exists, processes))
    four.until_free()


class Scripted(DeviceWorker):
    """A worker without a process, which answers at once or never."""

    def __init__(self, *, answers: bool) -> None:
        super().__init__(1)
        self.reader, writer = os.pipe()
        self.given_up = False
        if answers:
            os.write(writer, b"!")

    attached = True
    output = property(lambda self: self.reader)

    def launch(self) -> bool:
        return False

    def send(self, request: Mapping[str, object]) -> None:
        pass

    def receive(self, seconds: float = 1.0) -> dict[str, object]:
        return {"times": [[5]], "ns": 1.0}

    def stop(self) -> None:
        self.given_up = True


def test_a_device_that_hangs_does_not_hold_a_budget_that_is_over(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "OVERTIME_S", 0.02)
    monkeypatch.setattr(dispatch, "LOOK_S", 0.01)
    quick, hung = Scripted(answers=True), Scripted(answers=False)
    device = RemoteDevice("box", Address("127.0.0.1", 9))
    made = dispatch.Dispatch([quick, hung], target, device, Silent())
    done = list(made.perform([{}] * 4, 600.0, over=lambda: True))
    assert sorted(each.job.index for each in done) == [0, 1, 2, 3]
    assert [each.job.index for each in done if each.answer is not None] == [0]
    assert (quick.given_up, hung.given_up) == (False, True)


class Forwarder(threading.Thread):
    """Passes what arrives at one port on to another, both ways, as ssh does."""

    def __init__(self, target_port: int) -> None:
        super().__init__(daemon=True)
        self._listener, self._target = socket.create_server(("127.0.0.1", 0)), target_port
        self.port: int = self._listener.getsockname()[1]

    def run(self) -> None:
        while True:
            near = self._listener.accept()[0]
            far = socket.create_connection(("127.0.0.1", self._target))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)


class Compiler(worker.Worker):
    """Compiles in this process, which has imported TVM already."""

    def ask(self, request: Mapping[str, object], seconds: float = 60.0) -> dict[str, object]:
        return self.answer(request)


def session_of(offer: Offer) -> socket.socket:
    """A session on an offered device, whose client has nothing to say yet."""
    connection = socket.create_connection((offer.host, offer.port))
    key = f"client:{offer.match}".encode()
    connection.sendall(struct.pack("<ii", base.RPC_MAGIC, len(key)) + key)
    assert struct.unpack("<i", connection.recv(4, socket.MSG_WAITALL)) == (base.RPC_CODE_SUCCESS,)
    return connection


def test_a_bundle_is_timed_on_a_copied_server_behind_a_forwarded_port(
    four: Lab, target: Target, tmp_path: Path
) -> None:
    plan, own_port = mobile(1), free_port()
    schedules = {name: candidates(kernel, target)[0] for name, kernel in plan.kernels.items()}
    forwarder = Forwarder(own_port)
    forwarder.start()
    copied = tmp_path / "serve_device.pyz"
    CliRunner().invoke(app, ["device", "script", str(copied)])
    server = Process(
        *("--key", "two", "--name", "board", "--port", str(own_port), "--tracker", str(four.address)),
        *("--reach", f"127.0.0.1:{forwarder.port}"),
        program=(str(copied),),
    )
    four.servers["board"] = server
    library = tmp_path / "model.so"
    compile_plan(plan, random_weights(plan), schedules, target, library, Compiler())
    server.until("knows this device")
    with Connection(four.address) as connection:
        assert connection.of_key("two") == [Listed("two", "board", f"127.0.0.1:{forwarder.port}", False)]
    shape = (1, *plan.types[plan.inputs[0]])
    setup = {
        "kind": "device", **four.device("two").to_json(), "library": str(library), "shape": shape,
        "cpu": target.cpu, "machine": target.machine, "features": [], "threads": 1, "cores": [],
    }  # fmt: skip
    with Contender("device", setup) as contender:
        assert contender.device["device"] == "board"
        assert len(contender.run(20)) == 20
        assert contender.memory_mb() > 1
        np.save(tmp_path / "images.npy", np.ones((3, *shape[1:]), np.float32))
        outputs = contender.predict(tmp_path / "images.npy", tmp_path)
    assert outputs.shape[0] == 3
    assert np.isfinite(outputs).all()
    with Connection(four.address) as connection, session_of(connection.request("two", 30.0)):
        session = server.child()
        os.kill(server.pid, signal.SIGTERM)
        server.until("ended")
        assert server.wait() == 0
        assert not session.is_running()


def everyone(devices: Devices) -> None:
    """Wait until each device has its session."""
    while not all(worker.attached for worker in devices.live):
        devices.ask({"do": "ping"})


def test_a_device_that_hangs_before_it_begins_holds_up_nobody(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errands, "ATTACH_S", 600.0)
    said = After()
    with lab(tmp_path) as two:
        two.start("well", "hung")
        two.servers["hung"].signal(signal.SIGSTOP)
        with Devices(target, two.device(), said) as devices:
            assert [devices.ask({"do": "ping"})["ok"] for _ in range(3)] == [True] * 3
            assert [worker.name for worker in devices.live if worker.attached] == ["well"]
        assert said.notes == ["measuring on `well`, of key `box`"]


def until_left(devices: Devices, name: str) -> None:
    """Give all devices work until this one alone is still used."""
    while [worker.name for worker in devices.live] != [name]:
        for _ in devices.perform([{"do": "ping"}] * 8, tune.MEASURE_S):
            pass


def test_no_two_devices_of_a_key_share_a_name(four: Lab) -> None:
    place = ("--key", "box", "--name", "good", "--tracker", str(four.address))
    twin = Process("serve", *place)
    twin.until("a device of key `box` is named `good` already; choose another with --name")
    assert twin.wait() == 2


def test_what_befell_a_device_is_said_in_words() -> None:
    shut = "Check failed: (code == RPCCode::kReturn) is false: code=kShutdown (rpc_endpoint.cc:916)"
    busy = "no device of key `box` became free within 3 s"
    assert (
        errands.in_words(WorkerFailed(shut, kind="InternalError", at="rpc.py:9", died=True)) == "it hung up"
    )
    assert errands.in_words(WorkerFailed(busy, kind="NoneFree", at="tracker.py:189")) == busy
    assert errands.in_words(WorkerFailed("no answer within 30 s", died=True)) == "no answer within 30 s"


def test_whatever_befalls_devices_every_measurement_is_made(
    four: Lab, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune, "MEASURE_S", 6.0)
    monkeypatch.setattr(tune, "PATIENCE", 100)
    servers, said = four.servers, After()
    said.events = [
        (1, four.make_slow),
        (13, lambda: servers["killed"].signal(signal.SIGKILL)),
        (25, lambda: servers["stopped"].signal(signal.SIGSTOP)),
    ]
    wanted = sum(min(16, len(candidates(kernel, target))) for kernel in KERNELS.values())
    with Records(tmp_path / "r.sqlite") as records, Devices(target, four.device(), said) as devices:
        everyone(devices)
        assert len(devices.live) == 4
        found = tune.tune(KERNELS, target, records, trials=16, workers=devices, progress=said)
        until_left(devices, "good")
        rows = records.rows()
        assert (found.measured, found.failed, found.complete, len(rows)) == (wanted, 0, True, wanted)
        # What is hopeless is run once, and so as slow as whatever disturbed that.
        medians = [row.median_ns for row in rows if len(row.times_ns) > 2]
        assert max(medians) < FACTOR * min(medians) / 2
        assert any("`slow` runs" in note for note in said.notes)
        assert sum("is used no more" in note for note in said.notes) == 3
        said.events = [(1, lambda: servers["good"].signal(signal.SIGKILL))]
        more = dict(list(mobile(1).kernels.items())[3:4])
        none_left = r"no device of key `box` is left, with \d+ requests? not done"
        with pytest.raises(DeviceProblem, match=none_left):
            tune.tune(more, target, records, trials=16, workers=devices, progress=said)
        assert len(records.rows()) > wanted


def test_no_tracker_answers() -> None:
    where = f"127.0.0.1:{free_port()}"
    said = CliRunner().invoke(app, ["device", "list", "--tracker", where])
    assert said.exit_code == 2
    assert f"no tracker answers at {where}" in said.output
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = CliRunner().invoke(app, ["device", "tracker", "--port", str(port)])
        assert said.exit_code == 2
        assert "name another with --port" in said.output
    said = CliRunner().invoke(app, ["device", "tracker", "--host", "192.0.2.1", "--expose"])
    assert said.exit_code == 2
    assert "name another with --host" in said.output
    assert "write HOST:PORT" in CliRunner().invoke(app, ["device", "list", "--tracker", "here"]).output


def test_other_machines_are_let_in_on_demand_alone() -> None:
    said = CliRunner().invoke(app, ["device", "tracker", "--host", "0.0.0.0"])
    assert said.exit_code == 2
    assert "full control of this machine" in " ".join(said.output.split())
    server = Process("serve", "--key", "box", "--host", "0.0.0.0")
    server.until("full control of this machine's account")
    assert server.wait() == 2


def test_the_copied_server_holds_nothing_else_of_the_project(tmp_path: Path) -> None:
    copied = tmp_path / "serve_device.pyz"
    assert CliRunner().invoke(app, ["device", "script", str(copied)]).output.strip() == str(copied)
    before = copied.read_bytes()
    assert CliRunner().invoke(app, ["device", "script", str(copied)]).exit_code == 0
    assert copied.read_bytes() == before
    with zipfile.ZipFile(copied) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    imported = {
        line.split()[1]
        for text in texts.values()
        for line in text.splitlines()
        if line.startswith(("from runtime", "from compiler", "from dsl", "import runtime"))
    }
    assert {f"{name.replace('.', '/')}.py" for name in imported} <= set(texts)
    said = CliRunner().invoke(app, ["device", "script", str(tmp_path / "other.txt")])
    assert said.exit_code == 2
    assert "ends in .pyz" in said.output


def test_addresses_are_read() -> None:
    assert Address.parse("[::1]:9190") == Address("::1", 9190)
    assert str(Address.parse("pi.local:9191")) == "pi.local:9191"
    for text in ("9190", "host:", "host:0", "host:70000"):
        with pytest.raises(DeviceProblem, match="is no address"):
            Address.parse(text)
    assert Listed("a", "b", "c", True).busy
