from fer_lightning.plots.style import panel


def test_a_panel_has_names_and_no_box(tmp_path):
    figure, axes = panel("Title", "epoch", "accuracy", width=5, height=3)
    figure.savefig(tmp_path / "panel.png")
    named = (axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel())
    assert named == ("Title", "epoch", "accuracy")
    assert figure.get_size_inches().tolist() == [5, 3]
    assert [side for side, spine in axes.spines.items() if spine.get_visible()] == [
        "left",
        "bottom",
    ]
