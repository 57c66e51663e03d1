"""Runs on a GPU, as a user starts them, against the same on the CPU."""

import json

import numpy as np
import pytest
import torch

from tests.gpu.device import DEVICE, RTOL

pytestmark = pytest.mark.gpu

ENGINES = {
    "lightning": ["engine=lightning"],
    "fused": ["engine=fused", "compile=false"],
    "graphs": ["engine=fused", "compile=auto"],
}


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_every_engine_trains_as_on_the_cpu(model, train_on, summary_of):
    _, expected = train_on("cpu", "cpu", f"model={model}", "engine=lightning")
    assert expected[-1, 0] < expected[0, 0]
    for name, overrides in ENGINES.items():
        folder, found = train_on(name, DEVICE, f"model={model}", *overrides)
        np.testing.assert_allclose(found[:, [0, 2]], expected[:, [0, 2]], rtol=RTOL[model])
        np.testing.assert_allclose(found[:, [1, 3]], expected[:, [1, 3]], atol=0.03)
        assert summary_of(folder)["device"].startswith(DEVICE)


@pytest.mark.parametrize("engine", ["lightning", "fused"])
def test_pictures_are_drawn_of_networks_on_a_gpu(engine, train_on):
    given = ("image_every_n_epochs=1", "trainer.max_epochs=2")
    folder, _ = train_on("run", DEVICE, "model=cnn", f"engine={engine}", *given)
    assert list(folder.glob("events*"))


def test_a_gpu_takes_the_fused_loop_by_itself(train_on, monkeypatch):
    from fer_lightning.fused import single_run

    chosen = []
    original = single_run.engine_and_reason
    monkeypatch.setattr(
        single_run, "engine_and_reason", lambda run: chosen.append(original(run)) or chosen[-1]
    )
    train_on("auto", DEVICE, "model=mlp", "trainer.max_epochs=1")
    assert [engine for engine, _ in chosen] == ["fused" if DEVICE == "cuda" else "lightning"]


@pytest.mark.parametrize("model", ["mlp", "cnn"])
@pytest.mark.parametrize("precision", ["16-mixed", "bf16-mixed"])
def test_low_precision_learns_the_same(model, precision, train_on):
    if DEVICE == "cpu" and precision == "16-mixed":
        pytest.skip("Lightning has it on a GPU alone")
    _, expected = train_on("float32", DEVICE, f"model={model}", "engine=lightning")
    _, found = train_on(precision, DEVICE, f"model={model}", f"+trainer.precision={precision}")
    np.testing.assert_allclose(found[:, [0, 2]], expected[:, [0, 2]], rtol=0.05)


def test_weights_in_bf16_learn_too(train_on):
    _, found = train_on("bf16", DEVICE, "+trainer.precision=bf16-true", "optim.lr=0.05")
    assert np.isfinite(found).all()
    assert found[-1, 0] < found[0, 0]


def test_tf32_learns_the_same(train_on):
    _, expected = train_on("float32", DEVICE, "model=cnn")
    _, found = train_on("tf32", DEVICE, "model=cnn", "float32_matmul_precision=high")
    np.testing.assert_allclose(found[:, [0, 2]], expected[:, [0, 2]], rtol=0.02)


def test_a_sweep_trained_together_is_each_run_alone(train_on, composed, tmp_path, faces_csv):
    from fer_lightning.fused.together import train_together
    from fer_lightning.training import Run
    from tests.gpu.conftest import curves_of

    rates, runs = (0.01, 0.02, 0.05), []
    for lr in rates:
        own = tmp_path / f"together{lr}"
        own.mkdir()
        given = ["data=fer2013", f"data.path={faces_csv}", "data.cache_dir=null", "threads=1"]
        given += [f"trainer.accelerator={'cpu' if DEVICE == 'cpu' else 'gpu'}", f"optim.lr={lr}"]
        given += ["trainer.max_epochs=4", "data.batch_size=20", "image_every_n_epochs=0"]
        run = Run(composed("train", *given), own, given)
        if runs:
            run.datamodule.share(runs[0].datamodule)
        run.begin()
        runs.append(run)
    for driver in train_together(runs):
        driver.run.finish(1.0)
    for lr in rates:
        _, alone = train_on(f"alone{lr}", DEVICE, f"optim.lr={lr}", "engine=fused")
        together = curves_of(tmp_path / f"together{lr}")
        np.testing.assert_allclose(together[:, [0, 2]], alone[:, [0, 2]], rtol=RTOL["mlp"])


def test_a_run_of_a_gpu_is_evaluated(train_on, composed, tmp_path, monkeypatch, summary_of):
    from fer_lightning.evaluation import output
    from fer_lightning.evaluation.job import evaluate

    monkeypatch.setattr(output, "evaluation_figures", lambda *_: {})
    folder, _ = train_on("run", DEVICE, "model=cnn")
    evaluate(composed("evaluate", f"runs=['{folder}']", f"output={tmp_path / 'output'}"))
    found = json.loads((folder / "evaluation" / "test" / "evaluation.json").read_text())
    best = summary_of(folder)["best"]["test"]
    assert found["ce"] == pytest.approx(best["ce"], rel=1e-3)
    assert found["acc"] == pytest.approx(best["acc"], abs=0.05)


def test_weights_of_a_gpu_are_read_on_the_cpu(train_on):
    from fer_lightning.training import ExpressionClassifier

    folder, _ = train_on("run", DEVICE, "model=mlp")
    network = ExpressionClassifier.load_from_checkpoint(folder / "checkpoints" / "best.ckpt")
    assert next(network.parameters()).device == torch.device("cpu")
