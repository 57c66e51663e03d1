from html.parser import HTMLParser

import pytest

from fer_lightning.report.collection import collect
from fer_lightning.report.comparison_section import same_faces_section


class Rows(HTMLParser):
    """The texts of the cells of all rows."""

    def __init__(self):
        super().__init__()
        self.rows, self.inside = [], False

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        self.inside = tag == "td"

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.rows[-1].append(data)


@pytest.fixture
def rows(tmp_path):
    def read():
        parser = Rows()
        parser.feed(same_faces_section(collect([tmp_path])).content)
        return [row for row in parser.rows if row]

    return read


def test_networks_and_mixtures_of_one_fingerprint_share_a_table(
    write_run, write_classification, rows
):
    write_run("mlp", (0.3, 0.5, 0.4))
    write_classification("mixtures")
    network, mixture = rows()
    # the test figures of a written run are 5 points and 0.1 nats worse than those of validation
    assert network[0] == "mlp 16-32"
    assert network[2:5] == ["45.0", "1.600", "50.0"]
    assert mixture[:2] == ["mixture per class, diag, pixels", "K = 7"]
    assert mixture[2:7] == ["50.0", "12.500", "60.0", "70.0", "99"]


def test_settings_are_chosen_by_validation_and_averaged_over_seeds(write_run, rows):
    def settings(**own):
        return {"model": "mlp", "model.hidden": [16, 32], **own}

    write_run("a", (0.6, 0.5, 0.4), settings=settings(**{"optim.lr": 0.1, "seed": 0}))
    write_run("b", (0.4, 0.3, 0.2), settings=settings(**{"optim.lr": 0.1, "seed": 1}))
    write_run("c", (0.1, 0.2, 0.55), settings=settings(**{"optim.lr": 0.2, "seed": 0}))
    ((_, chosen, test_acc, *_, n),) = rows()
    assert (chosen, test_acc, n) == ("lr 0.2", "50.0", "1")  # 0.55 is more than 0.5 on average
    write_run(
        "d", (0.55, 0.3, 0.2), settings=settings(**{"optim.lr": 0.1, "seed": 2, "threads": 1})
    )
    write_run("e", (0.95, 0.3, 0.2), settings=settings(**{"optim.lr": 0.1, "seed": 3}))
    ((_, chosen, test_acc, *_, n),) = rows()
    # validation 0.6, 0.4, 0.55 and 0.95, so 0.575 on test on average; 0.233 apart
    assert (chosen, test_acc, n) == ("lr 0.1", "57.5 ± 23.3", "4")


def test_other_faces_folds_and_some_classes_only_are_kept_apart(
    write_run, write_classification, rows
):
    data = {"name": "fer2013", "fingerprint": "e" * 64}
    write_run("a", (0.3, 0.5, 0.4))
    write_run("b", (0.3, 0.7, 0.4), data=data)
    write_run("c", (0.3, 0.9, 0.4), settings={"model": "mlp", "data.cv_folds": 5})
    write_classification("d", n_test=9)
    assert [row[2] for row in rows()] == ["45.0", "65.0"]
