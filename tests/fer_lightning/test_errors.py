import pickle

from fer_lightning.errors import SettingError


def test_an_error_of_a_setting_comes_whole_from_another_process():
    error = pickle.loads(pickle.dumps(SettingError("optim.lr", "be a number", "x")))
    assert str(error) == "optim.lr must be a number, got 'x'"
    assert (error.name, error.rule, error.value) == ("optim.lr", "be a number", "x")
