"""The closed form at the answer head against autograd of a head's weight."""

import numpy as np
import pytest
import torch

from activelora.uncertainty.gradient_length import expected_length, head_lengths


@pytest.mark.parametrize("seed", range(3))
def test_the_closed_form_is_autograds_of_the_head(seed):
    generator = torch.Generator().manual_seed(seed)
    hidden_ND = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    head_CD = torch.randn(4, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    probs_NC = torch.softmax(hidden_ND @ head_CD.T, dim=1).detach().numpy()
    lengths_NC = head_lengths(probs_NC, hidden_ND.norm(dim=1).numpy())
    for item in range(7):
        for label in range(4):
            loss = -torch.log_softmax(head_CD @ hidden_ND[item], dim=0)[label]
            (gradient,) = torch.autograd.grad(loss, head_CD)
            assert lengths_NC[item, label] == pytest.approx(float(gradient.norm()), rel=1e-9)


def test_the_expectation_is_over_all_labels():
    probs_NC, lengths_NC = np.array([[0.5, 0.3, 0.2]]), np.array([[1.0, 10.0, 100.0]])
    assert expected_length(probs_NC, lengths_NC) == pytest.approx([0.5 + 3 + 20])


def test_it_is_an_l2_norm():
    """small-text and ALToolbox sum absolute values, which ranks these two the other way round."""
    probs_NC = np.array([[0.5, 0.5, 0.0, 0.0], [0.65, 0.15, 0.1, 0.1]])
    scores_N = expected_length(probs_NC, head_lengths(probs_NC, np.ones(2)))
    expected = [sum(p[y] * np.linalg.norm(p - np.eye(4)[y]) for y in range(4)) for p in probs_NC]
    assert scores_N == pytest.approx(expected)
    l1 = [sum(p[y] * np.abs(p - np.eye(4)[y]).sum() for y in range(4)) for p in probs_NC]
    assert scores_N[0] > scores_N[1]
    assert l1[0] < l1[1]


def test_an_answer_that_an_item_does_not_have_adds_nothing():
    probs_NC = np.array([[0.6, 0.4]])
    padded_NC = np.array([[0.6, 0.4, 0.0]])
    one = expected_length(probs_NC, head_lengths(probs_NC, np.array([2.0])))
    assert expected_length(padded_NC, head_lengths(padded_NC, np.array([2.0]))) == pytest.approx(one)
    assert expected_length(padded_NC, np.array([[1.0, 1.0, np.inf]])) == pytest.approx([1.0])


def test_a_model_that_is_certain_has_nothing_to_learn():
    probs_NC = np.array([[1.0, 0.0], [0.5, 0.5]])
    scores_N = expected_length(probs_NC, head_lengths(probs_NC, np.ones(2)))
    assert scores_N[0] == 0
    assert scores_N[1] == pytest.approx(np.sqrt(0.5))
