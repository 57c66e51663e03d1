import pytest

from fer_lightning.report.markup import Cell, figure, percent, setting, spread, table
from fer_lightning.report.sweeps import Spread


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (percent(0.7654), "76.5%"),
        (figure(None, ".3f"), "-"),
        (figure(1.23456, ".3f"), "1.235"),
        (figure(523931104.0, ".3f"), "5.24e+08"),
        (figure(4357911.2, ",.0f"), "4,357,911"),
        (spread(Spread(0.5, None, 1), ".1f", 100), "50.0"),
        (spread(Spread(0.5, 0.025, 2), ".1f", 100), "50.0 ± 2.5"),
        (spread(None, ".1f"), "-"),
        (setting([16, 32]), "16-32"),
        (setting(0.001), "0.001"),
        (setting(True), "True"),
        (setting(None), "-"),
    ],
)
def test_figures_are_short(cell, text):
    assert cell.text == text


def test_cells_hold_what_they_are_sorted_by():
    html = table(["name", "acc"], [["a<b", Cell("76.5%", 0.765)]])
    assert '<td class="n" data-v="0.765">76.5%</td>' in html
    assert "<td>a&lt;b</td>" in html


def test_a_table_without_rows_has_its_heads():
    assert table(["name"], []).count("<th ") == 1
