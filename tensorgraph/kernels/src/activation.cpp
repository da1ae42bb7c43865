// Activations and their gradients, element by element.
#include "activate.h"
#include "map.h"
#include "vecmath.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

// --- bound by memory -----------------------------------------------------------------------------------------------------

void relu(int64_t n, const float* x, float* out) {
    map(n, LIGHT, out, [](Vec v) { return relu(v); }, x);
}

void relu_grad(int64_t n, const float* g, const float* out, float* x_grad) {
    map(n, LIGHT, x_grad, [](Vec u, Vec v) { return v <= 0.0f ? Vec{} : u; }, g, out);  // a NaN lets the gradient pass
}

void leaky_relu(int64_t n, const float* x, float slope, float* out) {
    map(n, LIGHT, out, [=](Vec v) { return v > 0.0f ? v : v * slope; }, x);
}

void leaky_relu_grad(int64_t n, const float* g, const float* x, float slope, float* x_grad) {
    map(n, LIGHT, x_grad, [=](Vec u, Vec v) { return v > 0.0f ? u : u * slope; }, g, x);
}

// --- exponential ---------------------------------------------------------------------------------------------------------

void sigmoid(int64_t n, const float* x, float* out) {
    map(n, HEAVY, out, [](Vec v) { return sigmoid(v); }, x);
}

void sigmoid_grad(int64_t n, const float* g, const float* out, float* x_grad) {
    map(n, LIGHT, x_grad, [](Vec u, Vec v) { return u * v * (1.0f - v); }, g, out);
}

void tanh(int64_t n, const float* x, float* out) {
    map(n, HEAVY, out, [](Vec v) { return tanh(v); }, x);
}

void tanh_grad(int64_t n, const float* g, const float* out, float* x_grad) {
    map(n, LIGHT, x_grad, [](Vec u, Vec v) { return u * (1.0f - v * v); }, g, out);
}

void elu(int64_t n, const float* x, float alpha, float* out) {
    map(n, HEAVY, out, [=](Vec v) { return v > 0.0f ? v : alpha * expm1(v > 0.0f ? Vec{} : v); }, x);
}

void elu_grad(int64_t n, const float* g, const float* x, float alpha, float* x_grad) {
    map(n, HEAVY, x_grad, [=](Vec u, Vec v) { return v > 0.0f ? u : u * alpha * exp(v); }, g, x);
}

void softplus(int64_t n, const float* x, float* out) {
    map(n, HEAVY, out, [](Vec v) { return softplus(v); }, x);
}

void softplus_grad(int64_t n, const float* g, const float* x, float* x_grad) {
    map(n, HEAVY, x_grad, [](Vec u, Vec v) { return u * sigmoid(v); }, g, x);
}

// --- in place ------------------------------------------------------------------------------------------------------------

void activate(Activation act, int64_t n, float* x) {
    if (act == RELU) relu(n, x, x);
    if (act == TANH) tanh(n, x, x);
    if (act == SIGMOID) sigmoid(n, x, x);
}

void activate_grad(Activation act, int64_t n, const float* out, float* g) {
    if (act == RELU) relu_grad(n, g, out, g);
    if (act == TANH) tanh_grad(n, g, out, g);
    if (act == SIGMOID) sigmoid_grad(n, g, out, g);
}

// --- the normal distribution ---------------------------------------------------------------------------------------------

void normal_cdf(int64_t n, const float* x, float* out) {
    map(n, HEAVY, out, [](Vec v) { return normal(v).area; }, x);
}

void gelu(int64_t n, const float* x, float* out) {
    map(n, HEAVY, out, [](Vec v) { return v * normal(v).area; }, x);
}

void gelu_grad(int64_t n, const float* g, const float* x, float* x_grad) {
    const auto slope = [](Vec v) {
        const Normal at = normal(v);
        return at.area + v * at.bell;
    };
    map(n, HEAVY, x_grad, [=](Vec u, Vec v) { return u * slope(v); }, g, x);
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
