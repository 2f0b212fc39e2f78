"""A network on disk: what it is as JSON, its weights as safetensors, in a folder or a zip file. No pickle."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import fields
from math import isclose
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from wellposed.atomic import written_whole
from wellposed.backward import BackwardRule
from wellposed.control import Control
from wellposed.dynamics import Dynamics
from wellposed.errors import FileError, StructureError, UserError, check_kind
from wellposed.integrators import Integrator
from wellposed.network.network import Network
from wellposed.network.part import Part
from wellposed.network.stage import Stage
from wellposed.operators import Family

FORMAT = "wellposed network 1"
_CONFIG, _WEIGHTS = _NAMES = "network.json", "weights.safetensors"
_NOUNS = (Part, Dynamics, Integrator, BackwardRule, Family)


def save(net: Network, path: str | Path) -> Path:
    """Write a network: to a zip file when the name ends in .zip, else to a folder.

    The same network gives the same bytes. The file appears under its name when it is whole. It takes the
    place of an archive in the same form or of an empty folder; anything else of that name is left alone. A
    link is followed.

    Raises:    FileError when something else bears the name, or it cannot be written; StructureError for what
               is no network, and for a part that no archive can hold
    """
    from safetensors.torch import save as to_bytes

    check_kind("net", net, Network, "save Network(part) for a single part, or keep its state_dict yourself")
    path = Path(path)
    target = path.resolve()  # what a link leads to
    _check_free(target)
    config = json.dumps({"format": FORMAT, "network": _encode(net)}, indent=1).encode()
    weights = to_bytes({name: value.detach().contiguous() for name, value in _own(net).items()})
    with written_whole(target) as partial:
        if target.suffix == ".zip":
            with zipfile.ZipFile(partial, "w") as archive:
                for name, content in ((_CONFIG, config), (_WEIGHTS, weights)):
                    archive.writestr(zipfile.ZipInfo(name), content)  # no clock: equal bytes
        else:
            partial.mkdir()
            (partial / _CONFIG).write_bytes(config)
            (partial / _WEIGHTS).write_bytes(weights)
    return path


def load(path: str | Path, *, spacing: Mapping[str, float] | None = None) -> Network:
    """Read a network that `save` wrote, in training mode as all new modules; `spacing` is that of its data.

    Classes of your own (a dynamics, a part) must have been imported before.

    Raises:    FileError when it is not there, no archive, damaged, or of classes that are not known;
               StepError when a step lies beyond its bound; StructureError when it was made for another
               spacing
    """
    from safetensors.torch import load as from_bytes

    path = Path(path)
    config, weights = _read(path)
    try:
        said = json.loads(config)
        if said["format"] != FORMAT:
            raise ValueError(f"format {said['format']!r}")
        net = _decode(said["network"])
        if not isinstance(net, Network):
            raise ValueError(f"a {type(net).__name__} and no network")
        net.load_state_dict(from_bytes(weights), assign=True)
    except UserError:
        raise
    except Exception as e:  # whatever a damaged file does to its readers
        raise _no_archive(path, f"{type(e).__name__}: {e}".splitlines()[0]) from e
    for stage in net.stages():
        if stage.bound == "refuse":
            stage.check_bound()
    _check_spacing(net, spacing)
    return net


def _check_free(target: Path) -> None:
    """Raise FileError unless an archive may take this place: nothing but another archive is lost."""
    places = [target]
    if target.is_dir():
        places.append(target.with_name(f"{target.name}.old"))  # it stands there while another takes its place
    taken = [place for place in places if not _is_free(place)]
    if taken:
        raise FileError(
            "a network does not take the place of something else",
            given=f"{taken[0]}, which is no archive of a network in this form, or the folder that you are in",
            expected="a new name, an empty folder, or an archive to be replaced",
            way_out="choose another name, or clear the place yourself",
        )


def _is_free(target: Path) -> bool:
    """Whether nothing stands here, or an empty folder, or an archive in the form that the name asks for."""
    try:
        if target.suffix == ".zip" and zipfile.is_zipfile(target):
            with zipfile.ZipFile(target) as archive:
                return set(archive.namelist()) == set(_NAMES)
        if target.suffix != ".zip" and target.is_dir():
            return target != Path.cwd() and {entry.name for entry in target.iterdir()} in (set(), set(_NAMES))
        return not target.exists()
    except (OSError, zipfile.BadZipFile):
        return False


def _own(net: Network) -> dict[str, torch.Tensor]:
    """Return the weights by their names, each weight once."""
    state, names = net.state_dict(), dict[int, str]()
    for name, value in state.items():
        twin = names.setdefault(value.data_ptr(), name)
        if twin != name and value.numel():
            raise StructureError(
                "an archive keeps each weight once",
                given=f"{name}, which is {twin} too",
                expected="parts with weights of their own",
                way_out="build the network from copies (copy.deepcopy), or keep its state_dict yourself",
            )
    return state


def _read(path: Path) -> tuple[bytes, bytes]:
    if not path.exists():
        raise FileError(
            f"{path.name} is not there",
            given=str(path),
            expected="a network that `save` wrote",
            way_out="look for it in another folder, or save the network again",
        )
    try:
        if path.is_dir():
            return (path / _CONFIG).read_bytes(), (path / _WEIGHTS).read_bytes()
        with zipfile.ZipFile(path) as archive:
            return archive.read(_CONFIG), archive.read(_WEIGHTS)
    except (OSError, KeyError, zipfile.BadZipFile) as e:
        raise _no_archive(path, str(e)) from e


def _encode(value: Any) -> Any:
    """Return what can be written as JSON: a thing as its kind and its arguments."""
    if isinstance(value, Control):
        shapes = {name: list(weight.shape) for name, weight in value.params.items()}
        return {"kind": "Control", "shapes": shapes, "nodes": value.nodes.tolist(), "basis": value.basis}
    if isinstance(value, Part):
        return {"kind": type(value).__name__, **{k: _encode(v) for k, v in value.arguments().items()}}
    if isinstance(value, list | tuple):
        return [_encode(part) for part in value]
    if not isinstance(value, _NOUNS):
        return value
    if not hasattr(value, "__dataclass_fields__"):
        raise StructureError(
            "an archive cannot hold this",
            given=f"{type(value).__name__}, whose fields are not known",
            expected="a dataclass, or a Part with `arguments`",
            way_out="make it a frozen dataclass",
        )
    arguments = {field.name: _encode(getattr(value, field.name)) for field in fields(cast("Any", value))}
    return {"kind": type(value).__name__, **arguments}


def _decode(value: Any) -> Any:
    """Return what `_encode` was given, with weights that are still to be loaded."""
    if isinstance(value, list):
        return [_decode(part) for part in value]
    if not isinstance(value, dict) or "kind" not in value:
        return value
    arguments = {name: _decode(part) for name, part in value.items() if name != "kind"}
    if value["kind"] == "Control":
        weights = {name: torch.zeros(shape) for name, shape in arguments["shapes"].items()}
        return Control(weights, arguments["nodes"], arguments["basis"])
    kind = _kind(value["kind"])
    if kind is Network:
        return Network(*arguments["parts"], spacing=arguments["spacing"])
    if kind is Stage:  # its bound is asked for when the weights are there
        stage = Stage(**{**arguments, "bound": "report"})
        stage.bound = arguments["bound"]
        return stage
    return kind(**arguments)


def _kind(name: str) -> Any:
    """Return the class that an archive names; one of this package before others of the same name."""
    found = [kind for noun in _NOUNS for kind in _below(noun) if kind.__name__ == name]
    if not found:
        raise FileError(
            f"the network is made of a class that is not known here, {name}",
            given=f"no {' or '.join(noun.__name__ for noun in _NOUNS)} of this name",
            expected="a class of wellposed, or of a module that has been imported",
            way_out=f"import the module that defines {name} before loading, or mend the name",
        )
    return sorted(found, key=lambda kind: kind.__module__.startswith("wellposed."))[-1]


def _below(kind: Any) -> Iterator[Any]:
    for sub in kind.__subclasses__():
        yield sub
        yield from _below(sub)


def _check_spacing(net: nn.Module, spacing: Mapping[str, float] | None) -> None:
    said = getattr(net, "spacing", {})
    if spacing is not None and not (
        said.keys() == spacing.keys() and all(isclose(said[k], spacing[k], rel_tol=0.01) for k in said)
    ):
        raise StructureError(
            "this network was made for another spacing of the samples",
            given=f"data with {dict(spacing)}",
            expected=f"{said}",
            way_out="resample the data, or train a network for them",
        )


def _no_archive(path: Path, given: str) -> FileError:
    return FileError(
        f"{path.name} is no network, or a damaged one",
        given=given or str(path),
        expected=f"a folder or a zip file with {_CONFIG} and {_WEIGHTS}",
        way_out="name another file, or save the network again",
    )
