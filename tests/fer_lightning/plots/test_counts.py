import torch

from fer_lightning.plots.counts import count_table


def test_tables_say_counts_and_shares_of_the_row(saved, texts):
    counts = torch.tensor([[3, 1], [0, 0]])
    figure = saved(count_table("T", counts, ["a", "b"], ["x", "y"], ("row", "column")))
    assert texts(figure) == ["3 (75%)", "1 (25%)", "0 (0%)", "0 (0%)"]
