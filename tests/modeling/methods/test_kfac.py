"""The Kronecker factors against explicit loops and dense matrices, where they are exact."""

import numpy as np
import pytest
import torch

from activelora.modeling.methods.kfac import (
    Factor,
    LayerCurvature,
    Spectrum,
    log_evidence,
    softmax_hessian_root,
)

CPU = torch.device("cpu")


def dense(spectrum):
    return spectrum.vectors_DQ @ torch.diag(spectrum.values_Q) @ spectrum.vectors_DQ.T


def test_the_root_of_the_softmax_hessian():
    logits = torch.tensor([[1.0, -0.5, 2.0], [0.0, 0.0, -torch.inf]])
    root = softmax_hessian_root(torch.softmax(logits, dim=1))
    for index in range(2):
        finite = logits[index].nan_to_num(neginf=-1e4)
        hessian = torch.autograd.functional.hessian(lambda f: -torch.log_softmax(f, dim=0)[0], finite)
        torch.testing.assert_close(root[index] @ root[index].T, hessian, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("rank", [3, 6, 20])
def test_a_factor_is_the_sum_of_outer_products(rank):
    """Exact where the vectors are short or span no more than the rank; else the best approximation in that rank."""
    torch.manual_seed(0)
    vectors = torch.randn(50, 3) @ torch.randn(3, 6)
    factor = Factor(6, rank, CPU)
    for part in vectors.split(7):
        factor.add(part)
    expected = sum(torch.outer(vector, vector) for vector in vectors)
    torch.testing.assert_close(dense(factor.spectrum()), expected, atol=1e-3, rtol=1e-3)


def test_a_wide_factor_keeps_the_leading_directions():
    torch.manual_seed(0)
    basis = torch.linalg.qr(torch.randn(60, 60)).Q
    vectors = torch.randn(400, 60) * torch.tensor([10.0] * 4 + [0.01] * 56) @ basis
    factor = Factor(60, 4, CPU)
    for part in vectors.split(100):
        factor.add(part)
    spectrum = factor.spectrum()
    assert spectrum.vectors_DQ.shape == (60, 4)
    torch.testing.assert_close(spectrum.vectors_DQ.T @ spectrum.vectors_DQ, torch.eye(4), atol=1e-5, rtol=0)
    expected = vectors.T @ vectors
    assert (dense(spectrum) - expected).norm() < 1e-3 * expected.norm()


def one_layer(num_classes=3, num_inputs=4):
    """A linear softmax classifier and one input: the Gauss-Newton matrix of W (C × I) is one Kronecker product."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(num_inputs, generator=generator)
    logits = torch.randn(num_classes, num_inputs, generator=generator) @ x
    probs = torch.softmax(logits, dim=0)
    inputs, outputs = Factor(num_inputs, 9, CPU), Factor(num_classes, 9, CPU)
    inputs.add(x[None])
    outputs.add(softmax_hessian_root(probs[None])[0].T)
    jacobian = torch.stack([torch.outer(row, x).flatten() for row in torch.eye(num_classes)])
    hessian = torch.diag(probs) - torch.outer(probs, probs)
    return LayerCurvature(inputs.spectrum(), outputs.spectrum()), jacobian, jacobian.T @ hessian @ jacobian


def covariance(layer, shape, precision):
    """The covariance of the draws, from one draw for every unit of noise."""
    units = torch.eye(shape[0] * shape[1]).reshape(-1, *shape)
    root = layer.draw(units, precision).reshape(len(units), -1)
    return root.T @ root


def test_factors_and_predictive_variance_are_exact_for_one_layer_and_one_token():
    layer, jacobian, gauss_newton = one_layer()
    kronecker = torch.kron(dense(layer.outputs), dense(layer.inputs))
    torch.testing.assert_close(kronecker, gauss_newton, atol=1e-5, rtol=1e-4)
    for precision in (0.3, 5.0):
        posterior = torch.linalg.inv(gauss_newton + precision * torch.eye(len(gauss_newton)))
        found = covariance(layer, (3, 4), precision)
        torch.testing.assert_close(found, posterior, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(
            jacobian @ found @ jacobian.T, jacobian @ posterior @ jacobian.T, atol=1e-5, rtol=1e-4
        )


def test_directions_that_were_left_out_keep_the_prior():
    nothing = Spectrum(torch.zeros(0), torch.zeros(5, 0))
    layer = LayerCurvature(nothing, Spectrum(torch.zeros(0), torch.zeros(2, 0)))
    torch.testing.assert_close(covariance(layer, (2, 5), 4.0), torch.eye(10) / 4.0)


def test_the_evidence_is_the_dense_formula():
    layer, _, gauss_newton = one_layer()
    identity = torch.eye(len(gauss_newton), dtype=torch.float64)
    for precision in (0.1, 2.0):
        log_det = torch.logdet(gauss_newton.double() + precision * identity) - len(identity) * np.log(precision)
        expected = -3.0 - 0.5 * (precision * 7.0 + float(log_det))
        assert log_evidence(-3.0, 7.0, [layer.eigenvalues()], precision) == pytest.approx(expected, abs=1e-4)
