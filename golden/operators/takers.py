"""Who takes the result of a module of any network, as tracing the network shows."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import torch.fx
from torch import nn

from golden.operators.parts import detached_copy, hooks
from golden.operators.sliding import SlidingModule


@dataclass(frozen=True, kw_only=True)
class Taker:
    """A module or a function that takes a result.

    Attributes:
        name: of the module, as in ``network.named_modules()``; of the function; or ``output``, where what
            was traced hands the result out.
        module: the module, None for a function.
    """

    name: str
    module: nn.Module | None = None

    @property
    def is_norm(self) -> bool:
        """Whether it is a norm of any kind, by the name of its class."""
        return self.module is not None and is_norm(self.module)

    @property
    def is_relu(self) -> bool:
        """Whether it is a ReLU, as a module, a function or a method."""
        return type(self.module) is nn.ReLU if self.module is not None else self.name in ("relu", "relu_")


def is_norm(module: nn.Module) -> bool:
    """Whether ``module`` is a norm of any kind, by the name of its class, and not a block that holds one."""
    named = "norm" in type(module).__name__.lower()
    return named and not any(isinstance(part, (nn.Conv2d, SlidingModule)) for part in module.modules())


class Takers:
    """Who takes what in ``network``.

    `torch.fx` traces the whole network. Where that fails, as with a branch on values, it traces the
    largest part around a module that it can. Layers, norms and modules without parts of their own are
    taken whole. What is traced is a copy, so a network that notes something stays as it is.

    Args:
        network: any network.
        given: number of inputs that it will be called with. Others have their defaults.
    """

    def __init__(self, network: nn.Module, *, given: int = 1) -> None:
        self._network = network
        self._given = given
        self._graphs: dict[str, torch.fx.Graph | None] = {}

    def of(self, name: str) -> list[Taker] | None:
        """All that take the result of module ``name``, also through an Identity. None where this cannot be seen."""
        around, call = self._call(name)
        if call is None:
            return None
        return list(self._takers(around, call))

    def called_once(self, name: str) -> bool:
        """Whether module ``name`` is seen to be called once in a forward pass."""
        return self._call(name)[1] is not None

    def _call(self, name: str) -> tuple[str, torch.fx.Node | None]:
        """The largest part around module ``name`` that can be traced, and the one call of the module there.

        The call is None where nothing around the module can be traced, where the module is called
        several times or never, where others use its weights, and where it has several names.
        """
        module = self._network.get_submodule(name)
        if sum(part is module for _, part in self._network.named_modules(remove_duplicate=False)) > 1:
            return "", None
        for around in _around(name):
            graph = self._graph(around)
            if graph is None:
                continue
            inside = name.removeprefix(f"{around}.") if around else name
            calls = [node for node in graph.nodes if node.op == "call_module" and node.target == inside]
            used = any(node.op == "get_attr" and str(node.target).startswith(f"{inside}.") for node in graph.nodes)
            if calls:
                return around, calls[0] if len(calls) == 1 and not used else None
            # Nobody calls it, or it is inside a part that is taken whole.
        return "", None

    def norm_registered_next(self, name: str) -> str | None:
        """Name of the norm that is registered right after module ``name``, where most networks have the next."""
        around, _, own = name.rpartition(".")
        children = list(self._network.get_submodule(around).named_children())
        index = next((i for i, (key, _) in enumerate(children) if key == own), len(children))
        after = next(((key, child) for key, child in children[index + 1 :]), None)
        if after is None or not is_norm(after[1]):
            return None
        return f"{around}.{after[0]}" if around else after[0]

    def _graph(self, around: str) -> torch.fx.Graph | None:
        if around not in self._graphs:
            self._graphs[around] = _traced(self._network.get_submodule(around), self._given)
        return self._graphs[around]

    def _takers(self, around: str, call: torch.fx.Node) -> Iterator[Taker]:
        for node in call.users:
            taker = self._taker(around, node)
            if type(taker.module) is nn.Identity and not any(True for _ in hooks(taker.module)):
                yield from self._takers(around, node)
            else:
                yield taker

    def _taker(self, around: str, node: torch.fx.Node) -> Taker:
        if node.op != "call_module":
            return Taker(name=getattr(node.target, "__name__", str(node.target)))
        name = f"{around}.{node.target}" if around else str(node.target)
        return Taker(name=name, module=self._network.get_submodule(name))


class _Tracer(torch.fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        whole = isinstance(m, SlidingModule) or is_norm(m) or not any(m.children())
        return whole or super().is_leaf_module(m, module_qualified_name)


def _traced(module: nn.Module, given: int) -> torch.fx.Graph | None:
    """The calls of ``module`` when it is called with ``given`` inputs, None where they cannot be traced."""
    tracer = _Tracer()
    for part in module.modules():
        # A hook would be called with what stands for values, and might change them.
        if not tracer.is_leaf_module(part, "") and any(True for _ in hooks(part)):
            return None
    tensors = (*module.parameters(), *module.buffers())
    try:
        arguments = list(inspect.signature(module.forward).parameters.values())[given:]
        defaults = {a.name: a.default for a in arguments if a.default is not inspect.Parameter.empty}
        with warnings.catch_warnings():
            # That these inputs are checked to be the defaults in the traced code, which nobody runs.
            warnings.simplefilter("ignore")
            return tracer.trace(detached_copy(module, {id(t): t for t in tensors}), concrete_args=defaults)
    except Exception:  # code of somebody's own, called with what stands for values, raises what it likes
        return None


def _around(name: str) -> Iterator[str]:
    """Names of all modules around module ``name``, the network itself first."""
    parts = name.split(".")
    for count in range(len(parts)):
        yield ".".join(parts[:count])
