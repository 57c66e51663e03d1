"""Labels as they come, and what they mean."""

import shlex

import pytest
from omegaconf import OmegaConf

from fer_lightning.data.class_names import CLASSES, ClassNames, typed
from fer_lightning.errors import InputError, SettingError


def means(names, *found):
    """The classes of labels, by name, None where a face is left out."""
    labels = names.labels(found, "set.zip", [f"the class folder of '{f}/1.png'" for f in found])
    return [CLASSES[label] if label >= 0 else None for label in labels]


def refused(*found, **settings):
    with pytest.raises(InputError) as caught:
        means(ClassNames(**settings), *found)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_classes_and_their_synonyms_are_known_in_any_case():
    found = ("anger", "Disgusted", "FEARFUL", "happiness", " sad ", "Surprised", "normal", "anger")
    assert means(ClassNames(), *found) == [*CLASSES, "anger"]


@pytest.mark.parametrize("name", ["0_angry", "00-anger", "6_Anger", "12_ANGRY"])
def test_a_number_before_a_known_word_is_left_aside(name):
    assert means(ClassNames(), name) == ["anger"]


@pytest.mark.parametrize(
    "name", ["_angry", "0angry", "0_", "0_joy", "a_angry", "angry_0", "1_2_sad"]
)
def test_other_words_around_a_class_are_not(name):
    assert f"got {name!r}" in refused(name)


@pytest.mark.parametrize("keys", [(1, 2, 3), ("1", "2", "3")])
def test_keys_are_compared_as_text(keys):
    names = ClassNames(dict(zip(keys, ("surprise", "Sadness", None), strict=True)))
    assert means(names, "1", "3", "2", "happy") == ["surprise", None, "sad", "happy"]


def test_keys_are_known_in_any_case_and_behind_a_number():
    names = ClassNames({"FROH": "happy", "wut": "ANGER"})
    assert means(names, "froh", "Froh", "3_froh", "WUT") == ["happy", "happy", "happy", "anger"]


@pytest.mark.parametrize("target", [None, "leave_out", "Leave_Out"])
def test_a_class_can_be_left_out(target):
    assert means(ClassNames({"contempt": target}), "contempt", "sad") == [None, "sad"]


def test_a_map_may_be_text_with_any_names():
    names = ClassNames("{Ärger: anger, it's: sad, 7: leave_out}")
    assert means(names, "ärger", "it's", "7") == ["anger", "sad", None]


def test_what_the_user_says_goes_before_what_is_known_of_the_set():
    names = ClassNames({1: "fear"}, codes={1: "surprise", 2: "sad", 9: "happy"}, leave_out=["x", 5])
    assert means(names, "1", "2", "x", "5") == ["fear", "sad", None, None]


def test_an_unknown_class_is_told_with_the_map_to_type():
    told = refused("1", "sad", "contempt", "8", classes={1: "fear"})
    assert told.startswith("set.zip: the class folder of '8/1.png' must be one of anger, disgust, ")
    assert "got '8', 'contempt'; type " in told
    assert "'data.classes={1:fear,8:CLASS,contempt:leave_out}' with one of these or" in told


def test_the_map_to_type_works_as_it_stands_where_a_class_is_known_to_be_none():
    told = refused("sad", "contempt")
    assert told.endswith("type 'data.classes={contempt:leave_out}'")


def test_numbers_that_are_known_are_told_in_short():
    assert "must be one of 0..6, anger, " in refused("7", codes=dict(enumerate(CLASSES)))


NAMES = ["1", "a b", "x,y", "e:f", "g(h)", "i[j]", "k{l}", "m=n", "o\\p", "q.r-s", "0_x", "Ärger"]
NAMES += ["it's", 'say "so"', "a&b", "#1", "null", "true", "1.5", "~x", "${x", "k\\"]


@pytest.mark.parametrize("name", NAMES)
def test_what_a_message_says_to_type_is_what_hydra_and_the_shell_understand(name, composed):
    (word,) = shlex.split(typed({name: "sad", "x": "leave_out"}))
    config = composed("train", "data=folder", word)
    given = OmegaConf.to_container(config.data, resolve=True)["classes"]
    assert means(ClassNames(given), name, "x") == ["sad", None]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"classes": {1: "joy"}}, "classes must map each name to one of anger, .*{'1': 'joy'}"),
        ({"classes": {1: 3}}, "classes must map each name to one of anger, .*{'1': 3}"),
        ({"classes": {"A": "sad", "a": "sad"}}, "classes must have each name once, .* got 'a'"),
        ({"classes": {1: "sad", "1": "sad"}}, "classes must have each name once, .* got '1'"),
        (
            {"classes": ["sad"]},
            r"classes must be a map such as {1:happy,2:leave_out}, got \['sad'\]",
        ),
        ({"classes": "sad"}, "classes must be a map such as .*, got 'sad'"),
        ({"classes": "a: ["}, "classes must be a map such as .*, got 'a: ['"),
        ({"classes": 3}, "classes must be a map such as .*, got 3"),
        ({"codes": {1: "joy"}}, "codes must map each name"),
        (
            {"leave_out": "contempt"},
            r"leave_out must be a list such as \[contempt\], got 'contempt'",
        ),
        ({"leave_out": ["A"], "classes": {"a": "sad"}}, "leave_out must have no name that classes"),
    ],
)
def test_a_mistake_in_a_map_is_one_line(settings, line):
    with pytest.raises(SettingError, match=line.replace("a: ['", r"a: \['")):
        ClassNames(**settings)


def test_a_name_that_nothing_has_is_told():
    told = refused("sad", "1", classes={1: "fear", 9: "sad"})
    assert told == "classes must have only names that are found ('1', 'sad'), got '9'"


def test_one_long_name_takes_no_room_of_the_others():
    # an array of strings would take 200 GB
    found, places = ["x" * 50_000, *["sad"] * 10**6], [""] * (10**6 + 1)
    labels = ClassNames({"x" * 50_000: "anger"}).labels(found, "x.csv", places)
    assert labels.tolist() == [0, *[4] * 10**6]


def test_accents_may_be_composed_or_not():
    names = ClassNames({"\u00c4rger": "anger"})
    assert names.labels(["A\u0308rger", "\u00e4rger"], "faces", ["", ""]).tolist() == [0, 0]


def test_a_name_that_comes_twice_in_a_text_is_told():
    with pytest.raises(InputError, match=r"classes must be a map .*got '\{1: happy, 1: sad\}'"):
        ClassNames("{1: happy, 1: sad}")
