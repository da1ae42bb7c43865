// Products with few rows or columns: ten classes in lanes of sixteen would waste a third of the work, and for eight
// rows rearranging the other matrix costs more than the product. So the lanes are the inner index here, both matrices
// are read where they are, and the lanes of each sum are added up at the end.
#include "gemm.h"
#include "pool.h"
#include "rearrange.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace {

constexpr int ROWS = REGISTERS == 32 ? 4 : 2;
constexpr int COLUMNS = 4;  // ROWS * COLUMNS sums are a multiple of LANES

// The tile at (i, j). At the edges its last row or column stands in for those that are missing.
void run(const Product& p, int64_t i, int64_t j) {
    const float *a[ROWS], *b[COLUMNS];
    for (int r = 0; r < ROWS; ++r) a[r] = p.a.data + smaller(i + r, p.m - 1) * p.a.row;
    for (int c = 0; c < COLUMNS; ++c) b[c] = p.b.data + smaller(j + c, p.n - 1) * p.b.column;
    Vec sums[ROWS * COLUMNS] = {};
    const auto add = [&](int64_t k, Mask keep) __attribute__((always_inline)) {
        Vec x[ROWS];
        for (int r = 0; r < ROWS; ++r) x[r] = reinterpret_cast<Vec>(reinterpret_cast<Mask>(load(a[r] + k)) & keep);
        for (int c = 0; c < COLUMNS; ++c) {
            const Vec y = reinterpret_cast<Vec>(reinterpret_cast<Mask>(load(b[c] + k)) & keep);
            for (int r = 0; r < ROWS; ++r) sums[r * COLUMNS + c] += x[r] * y;
        }
    };
    int64_t k = 0;
    for (; k + LANES <= p.k; k += LANES) add(k, ~Mask{});
    if (k < p.k) {  // the last LANES elements once more, without those that were added before
        const int done = static_cast<int>(k + LANES - p.k);
        add(p.k - LANES, lanes([](int lane) { return lane; }) >= done);
    }
    float all[ROWS * COLUMNS], bias[LANES] = {};
    for (int lane = 0; p.bias != nullptr && lane < LANES; ++lane) {
        bias[lane] = p.bias[smaller(j + lane % COLUMNS, p.n - 1)];
    }
    for (int group = 0; group < ROWS * COLUMNS; group += LANES) {
        Vec some[LANES];
        for (int lane = 0; lane < LANES; ++lane) some[lane] = sums[group + lane];
        store(all + group, activated(totals(some) + load(bias), p.act));
    }
    for (int r = 0; r < ROWS && i + r < p.m; ++r) {
        float* out = p.out + (i + r) * p.n + j;
        for (int c = 0; c < COLUMNS && j + c < p.n; ++c) out[c] = all[r * COLUMNS + c];
    }
}

}  // namespace

bool is_thin(const Product& p) {
    const bool dense = p.a.column == 1 && p.b.row == 1;
    return dense && (p.m <= 8 || p.n <= 20) && p.k >= 2 * LANES && p.k <= 12288;
}

void multiply_thin(const Product& p) {
    const int64_t tiles_m = ceil_div(p.m, ROWS), tiles_n = ceil_div(p.n, COLUMNS);
    const bool by_columns = tiles_n > tiles_m;  // the thin matrix is read again and again
    const int64_t tiles = by_columns ? tiles_n : tiles_m;
    const int parts = static_cast<int>(smaller(threads_for(p.m, p.n, p.k), larger(1, tiles)));
    parallel(parts, [&](int part) {
        for (int64_t tile = tiles * part / parts; tile < tiles * (part + 1) / parts; ++tile) {
            if (by_columns) {
                for (int64_t i = 0; i < p.m; i += ROWS) run(p, i, tile * COLUMNS);
            } else {
                for (int64_t j = 0; j < p.n; j += COLUMNS) run(p, tile * ROWS, j);
            }
        }
    });
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
