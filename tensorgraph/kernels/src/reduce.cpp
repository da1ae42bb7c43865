// Sums over rows and channels, and the sum of two arrays.
#include "buffers.h"
#include "kernels.h"
#include "map.h"
#include "sums.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

namespace {

inline void add_row(LongSum& sum, const float* x, int64_t n) {
    along_in_parts(
        n, [&](int64_t i, int count, int chain) { sum.add(chain, load_with(x + i, count, Vec{})); },
        [&](int64_t vectors) { sum.settle(vectors); });
}

}  // namespace

void row_means(int64_t n, int64_t size, const float* x, float* out) {
    parallel_ranges(n, larger(1, LIGHT / larger(1, size)), [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            LongSum sum;
            add_row(sum, x + i * size, size);
            out[i] = static_cast<float>(sum.total() / static_cast<double>(size));
        }
    });
}

void row_means_grad(int64_t n, int64_t size, const float* g, float* x_grad) {
    parallel_ranges(n, larger(1, LIGHT / larger(1, size)), [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const float share = g[i] / static_cast<float>(size);
            for (int64_t k = 0; k < size; ++k) x_grad[i * size + k] = share;
        }
    });
}

// --- channels: n images of c channels of `size` elements -------------------------------------------------------------------

// Images of one element are rows, and channels their columns: rows are added up, and long columns in parts, which keeps the
// rounding errors small.
void column_sums(int64_t n, int64_t c, const float* x, float* out) {
    constexpr int64_t PART = 256;
    const Scratch scratch(c);
    float* part = scratch.floats();
    parallel_ranges(c, ceil_div(4 * LIGHT, larger(1, n)), [=](int64_t begin, int64_t end) {
        for (int64_t j = begin; j < end; ++j) out[j] = 0;
        for (int64_t start = 0; start < n; start += PART) {
            for (int64_t j = begin; j < end; ++j) part[j] = 0;
            for (int64_t row = start; row < smaller(n, start + PART); ++row) {
                for (int64_t j = begin; j < end; ++j) part[j] += x[row * c + j];
            }
            for (int64_t j = begin; j < end; ++j) out[j] += part[j];
        }
    });
}

void channel_sums(int64_t n, int64_t c, int64_t size, const float* x, float* out) {
    if (size == 1) return column_sums(n, c, x, out);
    parallel_ranges(c, larger(1, LIGHT / larger(1, n * size)), [=](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) {
            LongSum sum;
            for (int64_t i = 0; i < n; ++i) add_row(sum, x + (i * c + k) * size, size);
            out[k] = static_cast<float>(sum.total());
        }
    });
}

void add(int64_t n, const float* x, const float* y, float* out) {
    map(n, LIGHT, out, [](Vec a, Vec b) { return a + b; }, x, y);
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
