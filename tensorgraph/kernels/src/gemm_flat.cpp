// Products that hardly do more than read or write one large matrix: a few examples through a wide linear layer, on the
// way back. Memory bounds them, so that matrix is visited once and where it is, in long pieces of its rows, which the
// processor fetches ahead; it cannot for the tiles of other products, which take a few columns of every row.
#include "gemm.h"
#include "pool.h"
#include "sums.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace {

constexpr int FEW = 8;
constexpr int64_t LARGE = 1 << 19;  // elements of a large matrix
constexpr int64_t CHUNK = 512;      // rows of b that are summed from zero: bounds the rounding
constexpr int64_t PIECE = 1024;     // columns at a time: those of FEW rows stay in the nearest cache

// Calls f(column, count) for the columns begin .. end-1, a vector at a time.
template <class F>
inline void along_columns(int64_t begin, int64_t end, F&& f) {
    int64_t j = begin;
    for (; j + LANES <= end; j += LANES) f(j, LANES);
    if (j < end) f(j, static_cast<int>(end - j));
}

// Calls f.operator()<N>() for 1 <= n = N <= FEW.
template <int N = FEW, class F>
void with_number(int64_t n, F&& f) {
    if constexpr (N > 1) {
        if (n < N) return with_number<N - 1>(n, f);
    }
    f.template operator()<N>();
}

template <int M>
using Sums = Vec[M][PIECE / LANES + 1];  // one more: rows of 4 KiB would displace each other from the cache

// sums[i][column] += the sum of a[i, k] b[k, column] over K rows of b.
template <int M, int K>
void add_rows(const Product& p, int64_t k0, int64_t begin, int64_t end, Sums<M>& sums) {
    const float* const b = p.b.data + k0 * p.b.row;
    float by[M][K];
    for (int i = 0; i < M; ++i) {
        for (int k = 0; k < K; ++k) by[i][k] = p.a.data[i * p.a.row + (k0 + k) * p.a.column];
    }
    along_columns(begin, end, [&](int64_t j, int count) {
        Vec part[M] = {};
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) {
            const Vec v = load_with(b + k * p.b.row + j, count, Vec{});
#pragma GCC unroll 8
            for (int i = 0; i < M; ++i) part[i] += by[i][k] * v;
        }
        for (int i = 0; i < M; ++i) sums[i][(j - begin) / LANES] += part[i];
    });
}

template <int M>
void multiply_rows(const Product& p, int64_t begin, int64_t end) {
    Sums<M> sums;
    for (int64_t j0 = begin; j0 < end; j0 += PIECE) {
        const int64_t j1 = smaller(end, j0 + PIECE);
        for (int64_t k0 = 0; k0 < p.k; k0 += CHUNK) {
            const int64_t k1 = smaller(p.k, k0 + CHUNK);
            int64_t k = k0;
            __builtin_memset(sums, 0, sizeof sums);
            for (; k + FEW <= k1; k += FEW) add_rows<M, FEW>(p, k, j0, j1, sums);
            for (; k < k1; ++k) add_rows<M, 1>(p, k, j0, j1, sums);
            for (int i = 0; i < M; ++i) {
                along_columns(j0, j1, [&](int64_t j, int count) {
                    float* const out = p.out + i * p.n + j;
                    const Vec sum = sums[i][(j - j0) / LANES];
                    save(out, k0 > 0 ? load_with(out, count, Vec{}) + sum : sum, count);
                });
            }
        }
    }
}

template <int K>
void multiply_columns(const Product& p, int64_t begin, int64_t end) {
    for (int64_t j0 = begin; j0 < end; j0 += PIECE) {
        for (int64_t i = 0; i < p.m; ++i) {
            Vec by[K];
            for (int k = 0; k < K; ++k) by[k] = broadcast(p.a.data[i * p.a.row + k * p.a.column]);
            along_columns(j0, smaller(end, j0 + PIECE), [&](int64_t j, int count) {
                Vec sum{};
#pragma GCC unroll 8
                for (int k = 0; k < K; ++k) sum += by[k] * load_with(p.b.data + k * p.b.row + j, count, Vec{});
                save(p.out + i * p.n + j, sum, count);
            });
        }
    }
}

}  // namespace

bool is_flat(const Product& p) {
    const bool rows = p.m <= FEW && p.k * p.n >= LARGE, columns = p.k <= FEW && p.m * p.n >= LARGE;
    return p.b.column == 1 && p.n >= PIECE / 2 && p.m > 0 && p.k > 0 && (rows || columns) && p.bias == nullptr &&
           p.act == NONE;
}

void multiply_flat(const Product& p) {
    constexpr int64_t CUT = 64;  // threads meet at multiples of it
    parallel_ranges(ceil_div(p.n, CUT), 1, [&](int64_t first, int64_t last) {
        const int64_t begin = first * CUT, end = smaller(p.n, last * CUT);
        if (p.k <= FEW) {
            with_number(p.k, [&]<int K>() { multiply_columns<K>(p, begin, end); });
        } else {
            with_number(p.m, [&]<int M>() { multiply_rows<M>(p, begin, end); });
        }
    });
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
