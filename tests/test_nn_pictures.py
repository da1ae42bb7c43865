"""Pictures of trainings and networks show the numbers that they are given."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import nn
import tensorgraph as tg

pytest.importorskip("matplotlib", reason="needs matplotlib")
pictures = nn.pictures


def drawn(figure):
    """The figure as it is written to a file: what cannot be drawn fails here."""
    figure.canvas.draw()
    return figure


def image_of(axes):
    (image,) = axes.get_images()
    return np.asarray(image.get_array())


def meaning(figure):
    """What the bar at the bottom says about the colours, from the left."""
    return [label.get_text() for label in figure.axes[-1].get_xticklabels()]


def test_curves_show_each_figure_in_training_and_validation():
    history = {"lr": [0.1, 0.01], "loss": [2.0, 1.0], "val_loss": [1.5, 1.25], "accuracy": [0.25, 0.5]}
    loss, accuracy, lr = drawn(pictures.curves(history)).axes
    assert [axes.get_title() for axes in (loss, accuracy, lr)] == ["loss", "accuracy", "learning rate"]
    lines = {line.get_label(): line.get_ydata().tolist() for line in loss.lines}
    assert lines == {"training": [2.0, 1.0], "validation": [1.5, 1.25]}
    assert loss.lines[0].get_xdata().tolist() == [1, 2]
    assert lr.get_position().width < 0.6 * loss.get_position().width  # it says least
    assert [line.get_ydata().tolist() for line in accuracy.lines] == [[0.25, 0.5]]
    assert "50 %" in [label.get_text() for label in accuracy.get_yticklabels()]


def test_curves_with_nan_and_with_a_wide_range_are_drawn():
    loss, *_ = drawn(pictures.curves({"loss": [100.0, float("nan"), 0.01]})).axes
    assert loss.get_yscale() == "log"
    assert {"0.01", "0.1", "1", "10", "100"} <= {label.get_text() for label in loss.get_yticklabels()}


def test_curves_of_nothing():
    with pytest.raises(ValueError, match="curves: the history has no epoch yet; train first"):
        pictures.curves({})
    with pytest.raises(ValueError, match="no epoch yet"):
        pictures.curves(nn.training.History())


def test_confusion_matrix_shows_counts_and_shares():
    counts = np.array([[3, 1], [0, 0]])
    (axes,) = drawn(pictures.confusion_matrix(counts, ["cat", "dog"])).axes
    np.testing.assert_array_equal(image_of(axes), [[0.75, 0.25], [0.0, 0.0]])  # no example of a class: no share
    assert [text.get_text() for text in axes.texts] == ["3", "1", "", ""]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("right class", "taken for")
    assert axes.get_title() == "75.0 % of 4 right"


def test_confusion_matrix_shows_rare_mistakes():
    (axes,) = drawn(pictures.confusion_matrix([[97, 3, 0], [0, 100, 0], [0, 0, 100]])).axes
    (image,) = axes.get_images()
    right, rare, none = (np.array(image.cmap(image.norm(share))[:3]) for share in (0.97, 0.03, 0.0))
    assert np.abs(none - rare).max() > 0.1
    assert np.abs(right - rare).max() > 0.5


def test_confusion_matrix_refuses_what_does_not_fit():
    with pytest.raises(tg.ShapeError, match=r"confusion_matrix: expected counts \(C, C\), got shape \(2, 3\)"):
        pictures.confusion_matrix(np.zeros((2, 3)))
    with pytest.raises(tg.ShapeError, match="confusion_matrix: classes has 1 names for 2 classes"):
        pictures.confusion_matrix(np.zeros((2, 2)), ["cat"])


def test_heat_map_frames_the_best():
    grid = [[0.1, 0.2, 0.3], [0.4, 0.9, 0.6]]
    figure = drawn(
        pictures.heat_map(
            {"training": grid, "validation": np.array(grid) / 2},
            rows=[1, 2],
            columns=["a", "b", "c"],
            row_label="L2",
            column_label="rate",
            title="study",
        )
    )
    training, validation = figure.axes
    np.testing.assert_array_equal(image_of(training), grid)
    assert [text.get_text() for text in validation.texts] == ["5.0", "10.0", "15.0", "20.0", "45.0", "30.0"]
    (frame,) = training.patches
    assert frame.get_xy() == (0.5, 0.5)  # row 1, column 1
    assert figure.get_suptitle() == "study"
    with pytest.raises(tg.ShapeError, match=r"heat_map: training has shape \(2, 3\), expected \(3, 3\)"):
        pictures.heat_map({"training": grid}, rows=[1, 2, 3], columns=[1, 2, 3])


def test_mistakes_are_shown_the_surest_first():
    images = np.arange(4 * 4, dtype=np.float32).reshape(4, 1, 2, 2)
    probabilities = tg.tensor([[0.6, 0.4], [0.1, 0.9], [0.3, 0.7], [0.8, 0.2]])
    figure = drawn(pictures.mistakes(images, [1, 1, 0, 1], probabilities))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["1 taken for 0\n80 % sure", "0 taken for 1\n70 % sure", "1 taken for 0\n60 % sure"]
    np.testing.assert_allclose(image_of(figure.axes[0]), [[0, 1 / 3], [2 / 3, 1]], rtol=1e-6)
    assert figure.get_suptitle() == "3 of 4 wrong, the surest first"
    (place,) = pictures.mistakes(images, [0, 1, 1, 0], tg.tensor([[0.004, 0.996]] + [[0.5, 0.5]] * 3), most=1).axes
    assert place.get_title() == "0 taken for 1\nover 99 % sure"
    assert len(pictures.mistakes(images, [1, 1, 0, 1], probabilities, most=1).axes) == 1
    assert pictures.mistakes(images, [0, 1, 1, 0], probabilities).get_suptitle() == "0 of 4 wrong"


def test_mistakes_refuse_what_does_not_fit():
    with pytest.raises(tg.ShapeError, match=r"mistakes: expected images .* got shapes \(2, 4\), \(2,\) and \(2, 3\)"):
        pictures.mistakes(np.zeros((2, 4)), [0, 1], np.zeros((2, 3)))


def test_filters_of_one_channel_and_of_three():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    figure = drawn(pictures.filters(model))
    np.testing.assert_array_equal(image_of(figure.axes[1]), model[0].weight.detach().data[1, 0])
    assert figure.get_suptitle() == "layer 0 (Conv2d): 2 filters of 3x3"
    assert meaning(figure) == ["weight below 0", "0", "above 0"]
    assert figure.axes[0].get_images()[0].get_clim()[1] == np.abs(model[0].weight.detach().data).max()
    colour = nn.Conv2d(3, 2, 3)
    weight = colour.weight.detach().data[0].transpose(1, 2, 0)
    figure = drawn(pictures.filters(colour))
    expected = (weight - weight.min()) / (weight.max() - weight.min())
    np.testing.assert_allclose(image_of(figure.axes[0]), expected, rtol=1e-6)
    assert figure.get_suptitle() == "layer Conv2d: 2 filters of 3x3"
    assert len(figure.axes) == 2  # what the colours mean needs no words


@pytest.mark.parametrize("show", [pictures.filters, lambda model: pictures.feature_maps(model, np.zeros((1, 28, 28)))])
def test_a_network_without_convolutions_has_no_filters(show):
    with pytest.raises(ValueError, match="Conv2d"):
        show(nn.models.perceptron())


def test_feature_maps_are_those_of_the_convolutions_alone():
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=rng), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 3, 2, rng=rng))
    model.requires_grad_(False)
    image = rng.standard_normal((1, 8, 8), np.float32)
    figure = drawn(pictures.feature_maps(model, image, most=2))
    first = model[0](image[None]).data[0]
    second = model[3](model[2](model[1](model[0](image[None])))).data[0]
    shown = [image_of(axes) for axes in figure.axes if axes.get_images()]
    for found, expected in zip(shown[1:], [*first, *second[:2]], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert model.training
    assert meaning(figure) == ["map below 0", "0", "above 0"]


def test_saliency_is_the_gradient_of_the_score():
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(2 * 2 * 3, 4, rng=rng), nn.Dropout(0.5))
    image = rng.standard_normal((3, 2, 2), np.float32)
    figure = drawn(pictures.saliency(model, image, label=1))
    weight = model[1].weight.detach().data[1].reshape(3, 2, 2)  # a linear score: its weights are the gradient
    np.testing.assert_allclose(image_of(figure.axes[1]), weight.sum(axis=0), rtol=1e-6)
    assert meaning(figure) == ["a brighter pixel\nlowers the score", "0", "a brighter pixel\nraises it"]
    colour = figure.axes[1].get_images()[0].cmap
    assert colour(1.0)[0] > 0.6 > 0.1 > colour(0.0)[0]  # orange and blue
    best = int(model.eval()(image[None]).data.argmax())
    assert pictures.saliency(model, image).axes[1].get_title() == f"d score of {best} / d image"
    assert model[1].weight.grad is None


def test_saliency_refuses_what_does_not_fit():
    model = nn.models.perceptron()
    with pytest.raises(ValueError, match="saliency: label must be one of the 10 classes, 0 to 9, got 10"):
        pictures.saliency(model, np.zeros((1, 28, 28)), label=10)
    with pytest.raises(tg.ShapeError, match=r"saliency: expected one image \(C, H, W\) of 1 or 3 channels, got shape"):
        pictures.saliency(model, np.zeros((2, 1, 28, 28)))


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"nn\.pictures draws with matplotlib, which is not installed: pip install"):
        pictures.curves({"loss": [1.0]})
