// Sums over rows and channels, and the sum of two arrays.
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

namespace {

// Sums down the columns of n rows, for at most LANES columns; long columns in parts.
inline Vec column_sums(const float* x, int64_t n, int64_t pitch, int count) {
    Vec total{};
    for (int64_t start = 0; start < n; start += 256) {
        Vec part{};
        for (int64_t i = start; i < smaller(n, start + 256); ++i) {
            part += count == LANES ? load(x + i * pitch) : load_part(x + i * pitch, count);
        }
        total += part;
    }
    return total;
}

}  // namespace

void channel_sums(int64_t n, int64_t c, int64_t size, const float* x, float* out) {
    if (size == 1) {
        parallel_ranges(ceil_div(c, LANES), larger(1, LIGHT / LANES / larger(1, n)), [=](int64_t begin, int64_t end) {
            for (int64_t k = begin * LANES; k < smaller(c, end * LANES); k += LANES) {
                const int count = static_cast<int>(smaller(LANES, c - k));
                store_part(out + k, column_sums(x + k, n, c, count), count);
            }
        });
        return;
    }
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
