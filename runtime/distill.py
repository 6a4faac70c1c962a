"""The teacher of a run's recipe: which network it is, and its training, a stage of its own within the student's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from compiler.architecture import Architecture, InvalidArchitecture, to_json, validate
from compiler.derive import derive
from compiler.largest import largest
from compiler.nets.network import build_network
from runtime.architecture_file import read_architecture
from runtime.experiment import Experiment
from runtime.files import sha256_file, write_atomic, write_json
from runtime.loss import Teacher
from runtime.options import train_options
from runtime.stages import TRAIN_SCHEMA, Run
from runtime.train import TrainProgress, read_weights, train

FOLDER = "train/teacher"


def teacher_architecture(experiment: Experiment) -> Architecture | None:
    """The architecture of the recipe's teacher; None where the recipe has none.

    Raises:
        OSError, InvalidArchitecture: its file cannot be read, or is none of the space.
    """
    wanted = experiment.train.distill if experiment.train else None
    if wanted is None:
        return None
    if wanted.path is not None:
        path = experiment.folder / Path(wanted.path).expanduser()
        return validate(experiment.space, read_architecture(path))
    try:
        return largest(experiment.space, experiment.flat)
    except ValueError as problem:
        way_out = "name the teacher's architecture: distill = architecture(FILE)"
        raise InvalidArchitecture(f"the largest network is not known ({problem}); {way_out}") from None


def trained_teacher(run: Run) -> Teacher | None:
    """The teacher, trained by the recipe for its own epochs, by all processes together; None where the recipe has none.

    It has a folder of its own in the run folder. A training that was interrupted goes on, and one that is finished
    serves every student after it, as long as what it was made from stays as it is.
    """
    architecture, recipe = teacher_architecture(run.experiment), run.experiment.train
    if architecture is None or recipe is None or recipe.distill is None:
        return None
    network = derive(run.experiment.flat, architecture.choices)
    options = train_options(replace(recipe, epochs=recipe.distill.epochs or recipe.epochs))

    def progress(now: TrainProgress) -> None:
        state = f"teacher: loss {now.loss:.3f}, accuracy {now.accuracy:.1%}"
        run.progress.update(now.step, now.steps, state)

    place, ranks = run.folder / FOLDER, run.ranks
    if ranks.first:
        write_atomic(place / "architecture.json", json.dumps(to_json(architecture), indent=2) + "\n")
    trained = train(network, run.data, options, place, None, not run.anew, progress, ranks=ranks)
    if ranks.first:
        write_json(place / "result.json", trained.describe(), TRAIN_SCHEMA)
    run.progress.note(f"the teacher's test accuracy is {trained.test.accuracy:.2%}")
    module = build_network(network)
    module.load_state_dict(read_weights(trained.parameters))
    identity = sha256_file(trained.parameters)
    return Teacher(
        module.eval().to(ranks.device), recipe.distill.weight, recipe.distill.temperature, identity
    )
