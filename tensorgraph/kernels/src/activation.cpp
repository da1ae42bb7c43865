// Activations, element by element: bound by memory, so each is one pass, cut between the threads.
#include "kernels.h"
#include "pool.h"
#include "simd.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

constexpr int64_t GRAIN = 16384;  // elements that are worth a second thread

void relu(int64_t n, const float* x, float* out) {
    parallel_ranges(n, GRAIN, [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) out[i] = 0.0f > x[i] ? 0.0f : x[i];  // keeps NaN
    });
}

void relu_grad(int64_t n, const float* g, const float* out, float* x_grad) {
    parallel_ranges(n, GRAIN, [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) x_grad[i] = out[i] <= 0.0f ? 0.0f : g[i];  // a NaN lets the gradient pass
    });
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
