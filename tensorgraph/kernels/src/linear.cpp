// The linear layer, out = act(x w^T + b), and the products and sums of which its gradients are made.
#include <algorithm>

#include "buffers.h"
#include "gemm.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

void column_sums(int64_t n, int64_t c, const float* x, float* out);  // in reduce.cpp

void linear(int64_t n, int64_t f, int64_t k, const float* x, const float* w, const float* b, float* out,
            Activation act) {
    const Product p{n, f, k, {x, k, 1}, {w, 1, k}, out, b, in_registers(act)};
    is_thin(p) ? multiply_thin(p) : multiply(p);
    activate(in_cache(act), n * f, out);
}

void matmul(int64_t m, int64_t n, int64_t k, const float* x, const float* y, float* out) {
    const Product p{m, n, k, {x, k, 1}, {y, n, 1}, out};
    is_flat(p) ? multiply_flat(p) : multiply(p);
}

void matmul_tn(int64_t m, int64_t n, int64_t k, const float* x, const float* y, float* out) {
    const Product p{m, n, k, {x, 1, m}, {y, n, 1}, out};
    is_flat(p) ? multiply_flat(p) : multiply(p);
}

void linear_weight_grad(int64_t n, int64_t f, int64_t k, const float* g, const float* x, float* out, float* bias_grad) {
    matmul_tn(f, k, n, g, x, out);
    column_sums(n, f, g, bias_grad);
}

// The gradients of x, w and b from that of act(x w^T + b) = out; of x only where there is room for it.
void linear_grads(int64_t n, int64_t f, int64_t k, const float* g, const float* x, const float* w, const float* out,
                  float* x_grad, float* w_grad, float* bias_grad, Activation act) {
    const Scratch scratch(act == NONE ? 0 : n * f);
    if (act != NONE) {
        std::copy_n(g, n * f, scratch.floats());
        activate_grad(act, n * f, out, scratch.floats());
        g = scratch.floats();
    }
    if (x_grad != nullptr) matmul(n, k, f, g, w, x_grad);
    linear_weight_grad(n, f, k, g, x, w_grad, bias_grad);
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
