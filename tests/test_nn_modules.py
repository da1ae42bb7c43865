"""Modules: what they find in their attributes, their state, their mode, how they print, and where they say they are."""

import copy
import gc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nn
import tensorgraph as tg


class Block(nn.Module):
    def __init__(self, width=2):
        self.norm = nn.BatchNorm1d(width)
        self.branches = [nn.Linear(width, width), {"deep": (nn.Linear(width, 1, bias=False),)}]
        self.scale = nn.Parameter([1.0])
        self.note = "not found"
        self.constant = tg.ones(3)

    def forward(self, x):
        return self.branches[0](self.norm(x)) * self.scale


BLOCK = [
    "norm.weight",
    "norm.bias",
    "norm.running_mean",
    "norm.running_var",
    "norm.num_batches_tracked",
    "branches.0.weight",
    "branches.0.bias",
    "branches.1.deep.0.weight",
    "scale",
]


# --- what is found ---------------------------------------------------------------------------------------------------


def test_everything_is_found_in_the_order_of_definition():
    block = Block()
    assert list(block.state_dict()) == BLOCK
    assert [name for name, _ in block.named_parameters()] == [n for n in BLOCK if "running" not in n and "num" not in n]
    assert [id(p) for p in block.parameters()] == [id(p) for _, p in block.named_parameters()]
    assert [b.shape for b in block.buffers()] == [(2,), (2,), ()]
    assert [name for name, _ in block.named_buffers()] == [n for n in BLOCK if "running" in n or "num" in n]
    assert [name for name, _ in block.named_modules()] == ["", "norm", "branches.0", "branches.1.deep.0"]


def test_what_is_shared_is_found_once_at_its_first_place():
    shared = nn.Linear(2, 2)
    net = nn.Sequential(shared, nn.ReLU(), shared)
    tied = nn.Linear(2, 2)
    tied.weight = shared.weight
    net.append(tied)
    assert list(net.state_dict()) == ["0.weight", "0.bias", "3.bias"]
    assert [name for name, _ in net.named_modules()] == ["", "0", "1", "3"]


def test_modules_right_below_all_of_them_and_something_done_with_each():
    first, shared = nn.Sequential(nn.ReLU(), nn.Linear(2, 2)), nn.Linear(2, 2)
    net = nn.Sequential(first, shared, shared)
    assert list(net.children()) == [first, shared]
    assert list(net.modules()) == [net, first, *first, shared]
    seen = []
    assert net.apply(seen.append) is net
    assert seen == list(net.modules())


def test_modules_that_know_each_other_are_walked_once():
    parent, child = Block(), nn.ReLU()
    parent.child, child.parent = child, parent
    assert [name for name, _ in parent.named_modules()] == ["", "norm", "branches.0", "branches.1.deep.0", "child"]
    child.parent = None  # the cycle would outlive the test


def test_a_module_needs_no_call_of_the_base_class():
    class Plain(nn.Module):
        pass

    assert list(Plain().parameters()) == []
    assert Plain().training
    with pytest.raises(NotImplementedError, match=r"^Plain: define forward\(self, x\)$"):
        Plain()(1)


def test_parameters_are_copies_and_their_results_plain_tensors():
    data = np.ones(2, np.float32)
    p = nn.Parameter(data)
    data[:] = 5
    assert p.detach().tolist() == [1, 1]
    assert p.requires_grad
    assert p.is_leaf
    assert type(p + 1) is type(p.detach()) is type(p.sum()) is type(tg.exp(p)) is tg.Tensor
    assert nn.Parameter(p).detach().tolist() == [1, 1]
    assert not nn.Parameter([1.0], requires_grad=False).requires_grad
    with pytest.raises(TypeError, match="only floats can require gradients"):
        nn.Parameter([1, 2])


def test_buffers_are_state_and_do_not_learn():
    module = nn.Module()
    module.register_buffer("seen", tg.tensor(3))
    module.register_buffer("later", None)
    assert list(module.parameters()) == []
    assert [b.item() for b in module.buffers()] == [3]
    module.later = tg.ones(1)
    assert list(module.state_dict()) == ["seen", "later"]
    with pytest.raises(TypeError, match=r"^Module\.register_buffer: w must be a plain tensor, got Parameter$"):
        module.register_buffer("w", nn.Parameter([1.0]))
    with pytest.raises(TypeError, match="got ndarray"):
        module.register_buffer("w", np.ones(1))
    assert not hasattr(module, "w")


# --- the state -------------------------------------------------------------------------------------------------------


def filled(module, seed):
    rng = np.random.default_rng(seed)
    for name, value in module.state_dict().items():
        whole = value.dtype.kind == "i"
        yield name, rng.integers(9, size=value.shape) if whole else rng.standard_normal(value.shape).astype(np.float32)


def values(module):
    return {name: value.tolist() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("form", [np.asarray, tg.tensor])
def test_a_state_goes_from_one_module_to_another(form):
    block, other = Block(), Block()
    state = dict(filled(block, 0))
    parameter = block.scale
    assert block.load_state_dict({name: form(value) for name, value in state.items()}) == ([], [])
    assert block.scale is parameter  # filled, not replaced: an optimizer still knows it
    assert values(block) == {name: value.tolist() for name, value in state.items()}
    other.load_state_dict(block.state_dict())
    assert values(other) == values(block)


def test_a_state_is_that_of_its_moment():
    layer = nn.Linear(2, 2)
    state = layer.state_dict()
    before = state["weight"].tolist()
    assert not state["weight"].requires_grad
    layer(tg.ones(1, 2)).sum().backward()
    nn.optim.SGD(layer.parameters(), lr=1.0).step()
    assert state["weight"].tolist() == before != layer.weight.tolist()
    layer.load_state_dict(state)
    assert layer.weight.tolist() == before


def test_a_state_does_not_follow_an_array_that_was_handed_out():
    layer = nn.Linear(2, 2)
    handle, view = layer.weight.data, layer.bias.data[:1]
    state = layer.state_dict()
    before = {name: value.tolist() for name, value in state.items()}
    handle += 1.0
    view[...] = 5.0
    assert {name: value.tolist() for name, value in state.items()} == before
    assert layer.weight.tolist() == handle.tolist()  # the parameter itself does
    state["weight"].data[...] = 7.0
    assert layer.weight.tolist() == handle.tolist()


def test_a_state_copies_nothing_while_nobody_can_write():
    layer = nn.Linear(2, 2)
    layer.weight.data += 1.0  # taken and dropped
    state = layer.state_dict()
    assert np.shares_memory(state["weight"]._array, layer.weight._array)


def test_floats_take_the_type_of_the_parameter():
    layer = nn.Linear(1, 1, bias=False)
    layer.load_state_dict({"weight": np.array([[0.1]], np.float64)})
    assert layer.weight.dtype == np.float32
    assert layer.weight.item() == np.float32(0.1)


def test_a_wrong_state_is_refused_whole_and_all_its_faults_are_listed():
    block = Block()
    before = values(block)
    state = dict(filled(block, 1))
    del state["norm.weight"]
    state["more"] = np.ones(1)
    state["branches.0.weight"] = np.ones((2, 3), np.float32)
    state["scale"] = np.ones(1, np.int64)
    with pytest.raises(ValueError, match="load_state_dict") as error:
        block.load_state_dict(state)
    assert str(error.value) == (
        "load_state_dict: Block was not changed:\n"
        "  missing: norm.weight\n"
        "  unexpected: more\n"
        "  branches.0.weight: expected shape (2, 2), got (2, 3)\n"
        "  scale: expected float32, got int64"
    )
    assert values(block) == before
    with pytest.raises(TypeError, match=r"^load_state_dict: expected a dict of arrays by name, got Block$"):
        block.load_state_dict(Block())


@given(st.sets(st.sampled_from(BLOCK)), st.booleans())
def test_not_strict_loads_what_fits_by_name(chosen, extra):
    block = Block()
    before = values(block)
    full = dict(filled(block, 2))
    state = {name: full[name] for name in BLOCK if name in chosen} | ({"other": np.ones(1)} if extra else {})
    keys = block.load_state_dict(state, strict=False)
    assert keys.missing_keys == [name for name in BLOCK if name not in chosen]
    assert keys.unexpected_keys == (["other"] if extra else [])
    assert values(block) == {name: full[name].tolist() if name in chosen else before[name] for name in BLOCK}


def test_a_wrong_shape_is_refused_even_if_not_strict():
    with pytest.raises(ValueError, match=r"bias: expected shape \(2,\), got \(1,\)"):
        nn.Linear(2, 2).load_state_dict({"bias": np.ones(1)}, strict=False)


def test_a_deep_copy_is_independent():
    block = Block()
    twin = copy.deepcopy(block)
    assert values(twin) == values(block)
    assert isinstance(twin.scale, nn.Parameter)
    twin.scale.data[...] = 9
    assert block.scale.item() == 1


# --- the mode and the gradients --------------------------------------------------------------------------------------


def test_the_mode_reaches_all_modules():
    block = Block()
    assert block.eval() is block
    assert [m.training for _, m in block.named_modules()] == [False] * 4
    assert block.train().norm.training
    assert nn.Module.training  # of the class: untouched


def test_gradients_are_forgotten_and_frozen():
    block = Block()
    block(tg.ones(4, 2) * tg.tensor([[1.0], [2.0], [3.0], [4.0]])).sum().backward()
    assert block.scale.grad is not None
    block.zero_grad()
    assert all(p.grad is None for p in block.parameters())
    assert block.requires_grad_(False) is block
    assert not block(tg.ones(4, 2)).requires_grad
    block.requires_grad_()
    assert all(p.requires_grad for p in block.parameters())


# --- containers ------------------------------------------------------------------------------------------------------


def test_a_sequence_indexes_iterates_and_grows():
    net = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    assert net.append(nn.Linear(2, 1)) is net
    assert len(net) == 3
    assert [type(m) for m in net] == [nn.Linear, nn.ReLU, nn.Linear]
    assert net[-1] is net[2] is getattr(net, "2")
    assert isinstance(net[1:], nn.Sequential)
    assert list(net[1:].state_dict()) == ["1.weight", "1.bias"]
    assert net(np.ones((5, 3), np.float32)).shape == (5, 1)
    net.train(False)  # an attribute more, not a module more
    assert len(net) == 3
    with pytest.raises(IndexError, match=r"^Sequential: no item 3, there are 3$"):
        net[3]


def test_a_sequence_with_names():
    net = nn.Sequential({"conv1": nn.Conv2d(1, 2, 3), "act": nn.ReLU()})
    assert list(net.state_dict()) == ["conv1.weight", "conv1.bias"]
    assert net.conv1 is net[0]
    assert net(np.ones((1, 1, 4, 4), np.float32)).shape == (1, 2, 2, 2)
    assert nn.Sequential()(3) == 3


def test_a_list_of_modules_holds_them():
    layers = nn.ModuleList(nn.Linear(1, 1) for _ in range(2))
    layers.append(nn.ReLU())
    assert [name for name, _ in layers.named_modules()] == ["", "0", "1", "2"]
    assert len(layers[:2]) == 2
    with pytest.raises(NotImplementedError):
        layers(1)


def test_what_is_no_module_is_refused():
    with pytest.raises(
        TypeError, match=r"^Sequential: item 1 must be a Module, got the class ReLU; write ReLU\(\.\.\.\)$"
    ):
        nn.Sequential(nn.Linear(1, 1), nn.ReLU)
    with pytest.raises(
        TypeError, match=r"item 0 must be a Module, got a list; put \* before it: Sequential\(\*layers\)$"
    ):
        nn.Sequential([nn.Linear(2, 2), nn.ReLU()])
    for function, layer in ((tg.relu, "ReLU"), (nn.functional.leaky_relu, "LeakyReLU"), (tg.tanh, "Tanh")):
        message = rf"item 1 must be a Module, got the function {function.__name__}; write nn\.{layer}\(\)$"
        with pytest.raises(TypeError, match=message):
            nn.Sequential(nn.Linear(2, 2), function)
    with pytest.raises(TypeError, match=r"^ModuleList: item 0 must be a Module, got 3$"):
        nn.ModuleList([3])
    with pytest.raises(ValueError, match=r"^Sequential: an item cannot be called 'forward'$"):
        nn.Sequential({"forward": nn.ReLU()})


def test_modules_print_their_settings_and_what_is_inside():
    net = nn.Sequential(nn.Conv2d(1, 8, 5, padding=2, bias=False), nn.Sequential(nn.BatchNorm2d(8), nn.LeakyReLU()))
    assert repr(net) == (
        "Sequential(\n"
        "  (0): Conv2d(1, 8, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2), bias=False)\n"
        "  (1): Sequential(\n"
        "    (0): BatchNorm2d(8, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)\n"
        "    (1): LeakyReLU(negative_slope=0.01)\n"
        "  )\n"
        ")"
    )
    assert repr(nn.ReLU()) == "ReLU()"
    assert "(branches.1.deep.0): Linear(" in repr(Block())
    assert repr(nn.AvgPool2d(2)) == "AvgPool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0))"
    assert repr(nn.AvgPool2d(2, 1, 1, ceil_mode=True, count_include_pad=False)) == (
        "AvgPool2d(kernel_size=(2, 2), stride=(1, 1), padding=(1, 1), ceil_mode=True, count_include_pad=False)"
    )


# --- where a module says it is ---------------------------------------------------------------------------------------


def places(run):
    """The scopes of everything recorded by run()."""
    nodes = []
    with tg.hooks.watch(forward=nodes.append):
        run()
    return [str(node.scope) for node in nodes]


def test_operations_carry_the_path_below_the_outermost_running_module():
    x = tg.ones(2, 2)
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), nn.Linear(2, 2)))
    assert places(lambda: net(x)) == ["0 (Linear)", "1.0 (ReLU)", "1.1 (Linear)"]
    assert places(lambda: net[1](net[0](x))) == ["Linear", "0 (ReLU)", "1 (Linear)"]
    assert places(lambda: Block()(x * tg.tensor([[1.0], [2.0]])))[-2:] == ["branches.0 (Linear)", "Block"]


def test_a_module_from_outside_the_tree_goes_by_its_class():
    inner = nn.Linear(2, 2)

    class Borrowing(nn.Module):
        def forward(self, x):
            return inner(x)

    assert places(lambda: Borrowing()(tg.ones(1, 2))) == ["Linear"]


def test_an_error_ends_the_scope():
    net = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(tg.ShapeError, match=r"^0 \(Linear\): "):
        net(tg.ones(1, 3))
    with pytest.raises(tg.ShapeError, match=r"^add: "):
        tg.ones(2) + tg.ones(3)
    assert places(lambda: nn.Linear(2, 2)(tg.ones(1, 2))) == ["Linear"]


def test_a_module_dies_with_its_graph_without_the_garbage_collector():
    gc.disable()
    try:
        net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        loss = net(tg.ones(1, 2)).sum()
        died = weakref.ref(net)
        del net
        assert died() is not None  # the graph can still say where it was recorded
        del loss
        assert died() is None
    finally:
        gc.enable()
