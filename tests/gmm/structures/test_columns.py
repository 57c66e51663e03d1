import torch

from gmm.structures import Columns


def test_packing_leaves_out_unused_slots_and_unpacking_fills_them():
    log_weights = torch.tensor([[[0.0, -torch.inf, -torch.inf], [-1.0, -1.0, -torch.inf]]])
    columns = Columns.of(log_weights)
    padded = torch.arange(6.0).reshape(1, 2, 3)
    assert columns.pack(padded).tolist() == [[0, 3, 4]]
    assert columns.unpack(columns.pack(padded), fill=-7).tolist() == [[[0, -7, -7], [3, 4, -7]]]


def test_a_slot_that_one_data_set_uses_is_kept_for_all():
    log_weights = torch.tensor([[[0.0, -torch.inf]], [[-1.0, -1.0]]])
    assert Columns.of(log_weights).used is None
