"""Finds the tensors of a network in a training checkpoint: selects the entry that holds them and removes prefixes.

Wrappers: BasicSR (params_ema, params), Lightning (state_dict), and the usual keys of training scripts. Prefixes:
torch.nn.DataParallel (module.), torch.compile (_orig_mod., also inside a name), and the attributes of training modules
(net_g., model.).
A network that was saved as a whole, as an object, is read from its parameters and buffers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.bad_image import printable
from ultrabm_jax.storage.pickle_objects import CorruptFile, Inert
from ultrabm_jax.storage.torch_records import TensorRecord

# Keys of the network, in order of preference. Like BasicSR, averaged parameters are preferred where `params_ema` holds
# them; below other keys the average is read only if there is nothing else.
WRAPPERS = (
    *("params_ema", "params", "state_dict", "model_state_dict", "model", "net", "net_g", "netG", "generator", "gen"),
    *("G", "network", "module", "state_dict_ema", "model_ema", "ema_state_dict", "ema", "shadow"),
)
# Prefixes that are removed, in any order, if all names have them.
PREFIXES = (
    *("module.", "_orig_mod.", "_fsdp_wrapped_module.", "net_g.", "netG.", "net.", "model.", "generator.", "gen."),
    *("network.", "G."),
)
# Modules that wrap another module, which may be a part of the network; removed anywhere in a name.
WRAPPING = re.compile(r"(?:(?<=\.)|^)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.(?=.)")
# Other parts of a training module, and counters: left out beside one network with a prefix.
AUXILIARY = re.compile(
    r"net_?d\w*|disc\w*|D|\w*loss\w*|\w*criterion\w*|\w*metric\w*|\w*perceptual\w*|vgg\w*|\w*lpips\w*|\w*psnr|\w*ssim|\w*_?ema(_\w*)?|n_averaged|"
    r"num_updates|decay|step|initted",
    re.IGNORECASE,
)
MAX_DEPTH = 4  # nested dictionaries
MAX_MODULE_ENTRIES = 200_000  # tensors and modules of a network saved as a whole
MAX_PREFIX = 500  # characters of the name of a module
MAX_REMOVED = 8  # prefixes of one name
MAX_HEAD = 60  # characters of the name of a part of a training module
MAX_LISTED = 12  # keys of a file in an error
MAX_KEY = 60  # characters of a key in an error

Node: TypeAlias = object  # nested dictionaries, lists, `Inert` and plain values of a pickle
T = TypeVar("T")
Records: TypeAlias = dict[str, TensorRecord]


@dataclass(frozen=True)
class Found:
    """The tensors of the network, and the key that holds them."""

    tensors: Records
    key: str  # "" at the top level, otherwise "state_dict", "checkpoint.model", ...
    others: tuple[str, ...] = ()  # other keys that hold named tensors


def find_state_dict(tree: Node, name: str, *, key: str | None = None) -> Found:
    """The network's tensors in a checkpoint.

    Args:
      tree: the object of a `TorchFile`.
      name: file name for error messages.
      key: read the tensors below this key instead of choosing one of `WRAPPERS`; "a.b" is the key b of the entry a.

    Raises:
      UserError: if there are no named tensors; the message lists the keys of the file.
    """
    entries, search = _entries(tree), _Search()
    if key is not None:
        if (found := search.find(_entry(tree, key))) is None:
            raise UserError(f"{name} holds no named tensors below {printable(key)!r}; {list_keys(tree)}")
        return Found(found.tensors, _join(key, found.key))
    several = search.candidates(entries)
    found = search.find(tree) or (several[0] if len(several) == 1 else None)
    if found is None:
        keys = " or ".join(_short(each.key) for each in several[:MAX_LISTED])
        hint = f"; choose one: --weights-key {keys}" if several else ""
        raise UserError(f"{name} holds no state dict (no named tensors); {list_keys(tree)}{hint}")
    taken = found.key.partition(".")[0]
    others = (str(k) for k, v in entries.items() if taken and k != taken and search.find(v) is not None)
    return Found(found.tensors, found.key, tuple(others))


def _entry(tree: Node, key: str) -> Node:
    """The entry of a key, which may have dots of its own; None if there is none."""
    entries = _entries(tree)
    if key in entries:
        return entries[key]
    head, dot, rest = key.partition(".")
    return _entry(entries[head], rest) if dot and head in entries else None


def list_keys(tree: Node) -> str:
    """The keys of a file with what they hold, for an error: `its keys: epoch (int), weights (a list of 3)`."""
    if isinstance(tree, dict) and tree:
        listed = [f"{_short(key)} ({_describe(value)})" for key, value in list(tree.items())[:MAX_LISTED]]
        more = [f"and {len(tree) - MAX_LISTED} more"] if len(tree) > MAX_LISTED else []
        return f"its keys: {', '.join(listed + more)}"
    return f"it is {_describe(tree)}"


def strip_prefixes(tensors: Mapping[str, T]) -> tuple[dict[str, T], tuple[str, ...]]:
    """Removes `WRAPPING`, `PREFIXES` that all names share, and parts of a training module beside the network.

    Returns:
      the tensors by their names in the network, and the parts that were left out, such as ("discriminator",).
    """
    left_out: list[str] = []
    network = {WRAPPING.sub("", name): value for name, value in tensors.items()}
    if len(network) < len(tensors):  # two names would become one
        network = dict(tensors)
    for _ in range(MAX_REMOVED):
        heads = {name.partition(".")[0] for name in network}
        networks = [head for head in heads if head + "." in PREFIXES]
        if len(networks) != 1 or not all(head in networks or _is_auxiliary(head) for head in heads):
            break
        prefix = networks[0] + "."
        stripped = {name[len(prefix) :]: value for name, value in network.items() if name.startswith(prefix)}
        if not stripped or "" in stripped:
            break
        left_out += sorted(heads - set(networks))
        network = stripped
    return network, tuple(left_out)


def _is_auxiliary(head: str) -> bool:
    return len(head) <= MAX_HEAD and AUXILIARY.fullmatch(head) is not None


class _Search:
    """A search that visits each node once, because a file can contain one dictionary in many places."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, int], Found | None] = {}
        self._tables: dict[int, Records] = {}
        self._work = 0

    def find(self, node: Node, depth: int = MAX_DEPTH) -> Found | None:
        """The first dictionary of named tensors; wrappers come first, because a step may be a tensor beside them."""
        key = id(node), depth
        if key not in self._found:
            self._found[key] = None  # ends the recursion if a dictionary contains itself
            self._found[key] = self._search(node, depth)
        return self._found[key]

    def candidates(self, entries: Mapping[object, Node]) -> list[Found]:
        """The tensors below each unknown key that holds named tensors."""
        tables = {key: self._tensors(value) for key, value in entries.items() if isinstance(key, str)}
        return [Found(tensors, key) for key, tensors in tables.items() if tensors and "optim" not in key.lower()]

    def _search(self, node: Node, depth: int) -> Found | None:
        if isinstance(node, Inert) and (tensors := self._module_tensors(node)):
            return Found(tensors, "")
        entries = _entries(node)
        if not entries or not depth:
            return None
        for key in WRAPPERS:
            if key in entries and (found := self.find(entries[key], depth - 1)) is not None:
                return Found(found.tensors, _join(key, found.key))
        tensors = self._tensors(node)
        return Found(tensors, "") if tensors else None

    def _tensors(self, node: Node) -> Records:
        if id(node) not in self._tables:
            self._tables[id(node)] = named_tensors(_entries(node))
        return self._tables[id(node)]

    def _module_tensors(self, node: Inert) -> Records:
        """Parameters and buffers of a torch.nn.Module that was pickled as a whole, by the names of its state dict."""
        tensors: Records = {}
        pending = [("", node)]
        while pending:
            prefix, module = pending.pop()
            state = module.state if isinstance(module.state, dict) else {}
            transient = state.get("_non_persistent_buffers_set")
            dropped = {item for item in transient if isinstance(item, str)} if isinstance(transient, list) else set()
            own = self._tensors(state.get("_parameters")) | self._tensors(state.get("_buffers"))
            children = _entries(state.get("_modules"))
            self._work += 1 + len(dropped) + len(own) + len(children)
            if self._work > MAX_MODULE_ENTRIES or len(prefix) > MAX_PREFIX:
                raise CorruptFile("the saved network has too many parts")
            tensors |= {prefix + name: tensor for name, tensor in own.items() if name not in dropped}
            inner = ((f"{prefix}{name}.", child) for name, child in children.items() if isinstance(child, Inert))
            pending += reversed(list(inner))
        return tensors


def _entries(node: Node) -> Mapping[object, Node]:
    """The items of a dictionary, of an object that is a dictionary, or the attributes of another object."""
    if isinstance(node, Inert):
        return node.items or (node.state if isinstance(node.state, dict) else {})
    return node if isinstance(node, dict) else {}


def named_tensors(entries: Mapping[object, Node]) -> Records:
    """The named tensors of a dictionary; empty if they are only counters beside other dictionaries."""
    found = {key: value for key, value in entries.items() if isinstance(key, str) and isinstance(value, TensorRecord)}
    counters = all(not value.size and value.storage is not None and "." not in key for key, value in found.items())
    nested = any(isinstance(value, dict | Inert) for value in entries.values())
    return {} if counters and nested else found


def _describe(node: Node) -> str:
    if isinstance(node, TensorRecord):
        return "a tensor"
    if isinstance(node, Inert):
        return f"an object {_short(node.name)}, not read"
    if isinstance(node, dict):
        count = len(named_tensors(node))
        return f"a dictionary of {count or len(node)} {'tensors' if count else 'entries'}"
    if isinstance(node, list | tuple):
        return f"a {type(node).__name__} of {len(node)}"
    return "None" if node is None else type(node).__name__


def _short(text: object) -> str:
    text = printable(text if isinstance(text, str) else type(text).__name__ if isinstance(text, bytes) else repr(text))
    return text if len(text) <= MAX_KEY else f"{text[:MAX_KEY]}..."


def _join(key: str, inner: str) -> str:
    return f"{key}.{inner}" if inner else key
