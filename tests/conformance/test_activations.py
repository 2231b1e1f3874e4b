"""The built-in activations pass the kit."""

from alpha_core.expression import Expression
from alpha_model import activations
from alpha_testkit.activation import ActivationConformance


class TestGelu(ActivationConformance):
    def make_expression(self) -> Expression:
        return activations.gelu()


class TestSilu(ActivationConformance):
    def make_expression(self) -> Expression:
        return activations.silu()


class TestRelu(ActivationConformance):
    def make_expression(self) -> Expression:
        return activations.relu()


class TestRelu2(ActivationConformance):
    def make_expression(self) -> Expression:
        return activations.relu2()


class TestUniversal(ActivationConformance):
    def make_expression(self) -> Expression:
        return activations.universal()


class TestKan(ActivationConformance):
    def make_expression(self) -> Expression:
        return activations.kan()


class TestRational(ActivationConformance):
    def make_expression(self) -> Expression:
        return activations.rational()
