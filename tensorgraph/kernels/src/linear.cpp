// The linear layer, out = act(x w^T + b), and the products and sums of which its gradients are made.
#include "buffers.h"
#include "gemm.h"
#include "pool.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace {

// In chunks of rows, which keeps the rounding errors small. The threads share the columns.
void column_sums(int64_t n, int64_t f, const float* x, float* out) {
    constexpr int64_t CHUNK = 256, GRAIN = 65536;
    const Scratch scratch(f);
    float* sums = scratch.floats();
    parallel_ranges(f, ceil_div(GRAIN, larger(1, n)), [=](int64_t begin, int64_t end) {
        for (int64_t j = begin; j < end; ++j) out[j] = 0;
        for (int64_t row = 0; row < n;) {
            const int64_t last = smaller(n, row + CHUNK);
            for (int64_t j = begin; j < end; ++j) sums[j] = 0;
            for (; row < last; ++row) {
                for (int64_t j = begin; j < end; ++j) sums[j] += x[row * f + j];
            }
            for (int64_t j = begin; j < end; ++j) out[j] += sums[j];
        }
    });
}

}  // namespace

void linear(int64_t n, int64_t f, int64_t k, const float* x, const float* w, const float* b, float* out,
            Activation act) {
    const Product p{n, f, k, {x, k, 1}, {w, 1, k}, out, b, act};
    is_thin(p) ? multiply_thin(p) : multiply(p);
}

void matmul(int64_t m, int64_t n, int64_t k, const float* x, const float* y, float* out) {
    multiply({m, n, k, {x, k, 1}, {y, n, 1}, out});
}

void matmul_tn(int64_t m, int64_t n, int64_t k, const float* x, const float* y, float* out) {
    multiply({m, n, k, {x, 1, m}, {y, n, 1}, out});
}

void linear_weight_grad(int64_t n, int64_t f, int64_t k, const float* g, const float* x, float* out, float* bias_grad) {
    matmul_tn(f, k, n, g, x, out);
    column_sums(n, f, g, bias_grad);
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
