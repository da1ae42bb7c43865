"""Every worked example of the course, with its figures."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgraph as tg


def leaf(values):
    return tg.tensor(np.array(values, np.float64), requires_grad=True)


def same(actual, expected, places):
    """Equal to the digits that the course prints."""
    np.testing.assert_allclose(np.asarray(actual.data), expected, rtol=0, atol=0.51 * 10.0**-places)


def test_w1_sigmoid_neuron():
    x, w, b = leaf([-1, -2]), leaf([2, -3]), leaf(-3)
    z = (x * w).sum() + b
    assert z.item() == 1.0
    same(tg.sigmoid(z), 0.731059, 6)


def test_w2_perceptron_one_step_of_gradient_descent():
    inputs, targets = np.array([0.05, 0.10]), np.array([0.01, 0.99])
    w_hidden, w_out = leaf([[0.15, 0.20], [0.25, 0.30]]), leaf([[0.40, 0.45], [0.50, 0.55]])
    b1, b2 = leaf(0.35), leaf(0.60)
    h = tg.sigmoid(w_hidden @ inputs + b1)
    o = tg.sigmoid(w_out @ h + b2)
    error = 0.5 * ((targets - o) ** 2).sum()
    error.backward()
    same(h, [0.5932699921, 0.5968843783], 10)
    same(o, [0.7513650696, 0.7729284653], 10)
    same(error, 0.2983711088, 10)
    same(w_hidden.grad, [[0.000439, 0.000877], [0.000498, 0.000995]], 6)
    same(w_out.grad, [[0.082167, 0.082668], [-0.022603, -0.022740]], 6)
    same(b1.grad, 0.018726, 6)
    same(b2.grad, 0.100400, 6)
    same(w_hidden - 0.5 * w_hidden.grad, [[0.149781, 0.199561], [0.249751, 0.299502]], 6)
    same(w_out - 0.5 * w_out.grad, [[0.358916, 0.408666], [0.511301, 0.561370]], 6)


def test_w3_whole_cnn_forward_backward_update():
    image = leaf([[[[1, 0, 1], [0, 1, 0], [1, 0, 1]]]])
    kernel, bias = leaf([[[[0.9, 0.1], [0.1, 0.9]]]]), leaf([0.1])
    w_hidden, b_hidden = leaf([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]]), leaf([0.2, 0.2])
    w_out, b_out = leaf([[0.1, 0.2], [0.3, 0.4]]), leaf([0.3, 0.3])

    c = tg.conv2d(image, kernel, bias)
    h = tg.relu(tg.linear(tg.relu(c).reshape(1, 4), w_hidden, b_hidden))
    logits = tg.linear(h, w_out, b_out)
    loss = tg.softmax_cross_entropy(logits, np.array([0]))
    d_logits, d_h, d_c = tg.gradients(loss, [logits, h, c], retain_graph=True)
    loss.backward()

    same(c, [[[[1.9, 0.3], [0.3, 1.9]]]], 12)
    same(h, [[1.3, 3.06]], 12)
    same(logits, [[1.042, 1.914]], 12)
    same(tg.softmax(logits), [[0.294838, 0.705162]], 6)
    same(loss, 1.221328, 6)
    same(d_logits, [[-0.705162, 0.705162]], 6)
    same(w_out.grad, [[-0.916710, -2.157795], [0.916710, 2.157795]], 6)
    same(d_h, [[0.141032, 0.141032]], 6)
    same(w_hidden.grad, [[0.267961, 0.042310, 0.042310, 0.267961]] * 2, 6)
    same(d_c, [[[[0.084619, 0.112826], [0.141032, 0.169239]]]], 6)
    same(kernel.grad, np.full((1, 1, 2, 2), 0.253858), 6)
    same(bias.grad, [0.507716], 6)
    image_gradient = [[0.076157, 0.110005, 0.011283], [0.135391, 0.253858, 0.118467], [0.014103, 0.143853, 0.152315]]
    same(image.grad, [[image_gradient]], 6)

    same(kernel - 0.5 * kernel.grad, [[[[0.773071, -0.026929], [-0.026929, 0.773071]]]], 6)
    same(bias - 0.5 * bias.grad, [-0.153858], 6)
    updated_hidden = [[-0.033981, 0.178845, 0.278845, 0.266019], [0.366019, 0.578845, 0.678845, 0.666019]]
    same(w_hidden - 0.5 * w_hidden.grad, updated_hidden, 6)
    same(b_hidden - 0.5 * b_hidden.grad, [0.129484, 0.129484], 6)
    same(w_out - 0.5 * w_out.grad, [[0.558355, 1.278897], [-0.158355, -0.678897]], 6)
    same(b_out - 0.5 * b_out.grad, [0.652581, -0.052581], 6)


def test_w4_convolution_gradients_by_hand():
    x, f = leaf([[[[1, 0, -1], [1, 0, 1], [0, 1, 1]]]]), leaf([[[[-1, 2], [3, 1]]]])
    d_out = np.array([[[[-0.2, 0.2], [0.1, -0.1]]]])
    tg.conv2d(x, f).backward(d_out)
    same(f.grad, [[[[-0.1, -0.3], [-0.3, 0.2]]]], 12)
    same(x.grad, [[[[0.2, -0.6, 0.4], [-0.7, 0.7, 0], [0.3, -0.2, -0.1]]]], 12)
    # dF is the valid correlation of X with dO, dX the full convolution of dO with the filter rotated by 180 degrees
    same(tg.conv2d(x.detach(), d_out), f.grad.data, 12)
    same(tg.conv2d(tg.tensor(d_out), f.data[..., ::-1, ::-1].copy(), padding="full"), x.grad.data, 12)


def test_w5_feature_maps():
    x = tg.tensor(
        np.array([[[[2, 4, 9, 1, 4], [2, 1, 4, 4, 6], [1, 1, 2, 9, 2], [7, 3, 5, 1, 3], [2, 3, 4, 8, 5]]]], np.float64)
    )
    kernel = np.array([[[[1, 2, 3], [-4, 7, 4], [2, -5, 1]]]], np.float64)
    same(tg.conv2d(x, kernel), [[[[51, 66, 20], [31, 49, 101], [15, 53, -2]]]], 12)
    full = tg.conv2d(x, kernel, padding=1)
    assert full.shape == (1, 1, 5, 5)
    same(full, tg.conv2d(x, kernel, padding="same").data, 12)
    same(full[0, 0, 0], [21, 59, 37, -19, 2], 12)
    pooled = tg.max_pool2d(full, 2, stride=1)
    same(pooled, [[[[59, 66, 66, 43], [51, 66, 101, 101], [59, 53, 101, 101], [59, 64, 76, 76]]]], 12)
    same(tg.max_pool2d(tg.relu(full), 2, stride=1), tg.relu(pooled).data, 12)


def test_w6_toy_image_through_two_filters():
    image = [[0, 2, 0, 0, 2], [0, 0, 0, 2, 0], [2, 1, 2, 0, 0], [2, 2, 1, 1, 0], [1, 2, 2, 1, 0]]
    f1, f2 = [[-1, 0, -1], [1, 1, -1], [-1, 1, -1]], [[-1, -1, 0], [0, 1, 1], [-1, 0, 1]]
    x, filters, biases = leaf([[image]]), leaf([[f1], [f2]]), leaf([1, 0])
    z = tg.conv2d(x, filters, biases, padding=1, stride=2)
    same(z, [[[[-1, 1, 1], [2, 0, -2], [-2, 1, 1]], [[2, 2, 0], [5, 1, -3], [1, 0, -1]]]], 12)
    pooled = tg.max_pool2d(tg.relu(z), 3).reshape(2)
    same(pooled, [2, 5], 12)
    score = 0.3 + (pooled * np.array([-1, 0.2])).sum()
    same(score, -0.7, 12)
    likelihood = tg.sigmoid(score)
    same(likelihood, 0.331812, 6)
    tg.log(likelihood).backward()
    assert filters.grad[0, 0, 1, 1].item() == pytest.approx(-1.336376, abs=5e-7)


def test_w7_sizes_and_parameters_of_an_rgb_input():
    x = tg.rand(1, 3, 5, 5)
    filters, biases = tg.rand(2, 3, 3, 3), tg.rand(2)
    maps = tg.conv2d(x, filters, biases, padding=1, stride=2)
    assert maps.shape == (1, 2, 3, 3)
    pooled = tg.max_pool2d(maps, 2, stride=1)
    assert pooled.shape == (1, 2, 2, 2)
    dense = [tg.rand(8, 8), tg.rand(8), tg.rand(2, 8), tg.rand(2)]
    hidden = tg.linear(pooled.reshape(1, 8), dense[0], dense[1])
    assert tg.linear(hidden, dense[2], dense[3]).shape == (1, 2)
    assert sum(p.size for p in [filters, biases, *dense]) == 146


def test_w8_categorical_cross_entropy():
    logits = tg.tensor(np.array([3.2, 5.1, -1.7]))
    same(tg.exp(logits)[:2], [24.53, 164.02], 2)
    same(tg.exp(logits)[2], 0.183, 3)
    same(tg.softmax(logits), [0.13, 0.87, 0.00], 2)
