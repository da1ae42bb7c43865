// Blocks of both matrices are copied into panels that the innermost loop reads in one go: b in panels of WIDTH columns,
// a in panels of up to ROWS rows. A tile of ROWS x WIDTH sums stays in registers for a whole chunk of the inner size.
//
// Every sum starts at zero in each chunk and adds its products in order, wherever the tiles begin, so the result does
// not depend on the number of threads; and its rounding errors stay those of a chunk.
#include "gemm.h"

#include "buffers.h"
#include "pool.h"
#include "rearrange.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace {

constexpr int ROWS = REGISTERS == 32 ? 14 : 6;
constexpr int WIDTH = 2 * LANES;
constexpr int64_t DEPTH = 384;           // of a chunk: a panel of b is small enough for the first cache
constexpr int64_t BLOCK_M = 8 * ROWS;    // of panels of a, for the second cache
constexpr int64_t BLOCK_N = 16 * WIDTH;  // of panels of b
constexpr int64_t REUSES = 3;            // a dense panel that is read no more often may be read where it is
constexpr int64_t NEAR = 128;            // and if it is not so deep that its rows displace each other from the cache

struct Tile {
    int64_t depth;
    const float* a;
    int64_t a_step;
    const float* b;
    int64_t b_step;
    float* out;
    int64_t stride;
    const float* bias;
    bool add;  // to what is there from the chunks before
    Activation act;
};

template <int R, int V>
void run(const Tile& t) {
    Vec sums[R][V] = {};
    const float *a = t.a, *b = t.b;
    for (int64_t k = 0; k < t.depth; ++k, a += t.a_step, b += t.b_step) {
        Vec v[V];
        for (int j = 0; j < V; ++j) v[j] = load(b + j * LANES);
        for (int i = 0; i < R; ++i) {
            const Vec x = broadcast(a[i]);
            for (int j = 0; j < V; ++j) sums[i][j] += x * v[j];
        }
    }
    for (int i = 0; i < R; ++i) {
        for (int j = 0; j < V; ++j) {
            float* out = t.out + i * t.stride + j * LANES;
            Vec sum = sums[i][j];
            if (t.bias != nullptr) sum += load(t.bias + j * LANES);
            if (t.add) sum += load(out);
            store(out, activated(sum, t.act));
        }
    }
}

typedef void (*Run)(const Tile&);

template <int R, int V>
constexpr void fill(Run* runs) {
    runs[R] = run<R, V>;
    if constexpr (R > 1) fill<R - 1, V>(runs);
}

struct Runs {
    Run of[2][ROWS + 1] = {};  // by vectors, less 1, and rows
    constexpr Runs() {
        fill<ROWS, 1>(of[0]);
        fill<ROWS, 2>(of[1]);
    }
};
constexpr Runs runs;

// A tile at the right edge: in memory of its own, of which only the first columns count.
void run_edge(Run run_tile, Tile t, int64_t rows, int64_t columns) {
    float tile[ROWS * WIDTH] = {}, bias[WIDTH] = {};
    float* out = t.out;
    for (int64_t i = 0; t.add && i < rows; ++i) {
        for (int64_t j = 0; j < columns; ++j) tile[i * WIDTH + j] = out[i * t.stride + j];
    }
    for (int64_t j = 0; t.bias != nullptr && j < columns; ++j) bias[j] = t.bias[j];
    const int64_t stride = t.stride;
    t.out = tile;
    t.stride = WIDTH;
    if (t.bias != nullptr) t.bias = bias;
    run_tile(t);
    for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < columns; ++j) out[i * stride + j] = tile[i * WIDTH + j];
    }
}

// to[k * rows + i] = a[i, k] for rows up to ROWS, from a[i0, k0] on; up to LANES floats behind the last change, too.
void pack_a(const Product& p, int64_t i0, int64_t k0, int64_t rows, int64_t depth, float* to) {
    const Matrix& a = p.a;
    const float* const end = a.data + (p.m - 1) * a.row + (p.k - 1) * a.column + 1;
    for (int64_t i = (rows - 1) / LANES * LANES; i >= 0; i -= LANES) {  // the last rows first: they write too much
        const float* from = a.data + (i0 + i) * a.row + k0 * a.column;
        const int count = static_cast<int>(smaller(LANES, rows - i));
        if (a.row != 1) {
            transpose_rows(from, a.row, count, depth, to + i, rows);
            continue;
        }
        for (int64_t k = 0; k < depth; ++k, from += a.column) {
            store(to + k * rows + i, end - from >= LANES ? load(from) : load_part(from, count));
        }
    }
}

// to[k * width + j] = b[k, j], zeros from `columns` on; width is LANES or WIDTH.
void pack_b(const Matrix& b, const float* from, int64_t columns, int64_t depth, float* to, int64_t width) {
    if (b.column == 1) {
        for (int64_t k = 0; k < depth; ++k, from += b.row, to += width) {
            if (columns == width) {
                for (int64_t j = 0; j < width; j += LANES) store(to + j, load(from + j));
            } else {
                for (int64_t j = 0; j < width; ++j) to[j] = j < columns ? from[j] : 0.0f;
            }
        }
        return;
    }
    for (int64_t j = 0; j < width; j += LANES) {
        const int64_t rows = larger(0, smaller(LANES, columns - j));
        transpose_rows(from + j * b.column, b.column, static_cast<int>(rows), depth, to + j, width);
    }
}

struct Range {
    int64_t begin, end;
    int64_t size() const { return end - begin; }
};

// The part of the product in the given rows and columns.
void multiply_part(const Product& p, Range m, Range n, float* packed_a, float* packed_b) {
    const int64_t chunks = larger(1, ceil_div(p.k, DEPTH));
    const int64_t rows = ceil_div(m.size(), larger(1, ceil_div(m.size(), ROWS)));  // nearly equal tiles
    const int64_t block_m = BLOCK_M / ROWS * rows;
    const int64_t in_place = p.k <= NEAR ? REUSES : 1;
    const bool use_a = p.a.row == 1 && n.size() <= in_place * WIDTH;
    const bool use_b = p.b.column == 1 && m.size() <= in_place * rows;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
        const int64_t k = p.k * chunk / chunks, depth = p.k * (chunk + 1) / chunks - k;
        Tile t{};
        t.depth = depth;
        t.stride = p.n;
        t.add = chunk > 0;
        t.act = chunk + 1 == chunks ? p.act : NONE;
        for (int64_t j0 = n.begin; j0 < n.end; j0 += BLOCK_N) {
            const int64_t j1 = smaller(n.end, j0 + BLOCK_N);
            for (int64_t i0 = m.begin; i0 < m.end; i0 += block_m) {
                const int64_t i1 = smaller(m.end, i0 + block_m);
                for (int64_t i = i0; !use_a && i < i1; i += rows) {
                    pack_a(p, i, k, smaller(rows, i1 - i), depth, packed_a + (i - i0) * depth);
                }
                for (int64_t j = j0; j < j1; j += WIDTH) {
                    const int64_t columns = smaller(WIDTH, j1 - j), width = columns <= LANES ? LANES : WIDTH;
                    const float* from = p.b.data + k * p.b.row + j * p.b.column;
                    float* panel = packed_b + (j - j0) * depth;
                    const bool packed = !use_b || columns < width;
                    if (packed && i0 == m.begin) pack_b(p.b, from, columns, depth, panel, width);
                    t.b = packed ? panel : from;
                    t.b_step = packed ? width : p.b.row;
                    t.bias = p.bias != nullptr && chunk == 0 ? p.bias + j : nullptr;
                    for (int64_t i = i0; i < i1; i += rows) {
                        const int64_t count = smaller(rows, i1 - i);
                        const Run run_tile = runs.of[width / LANES - 1][count];
                        t.a = use_a ? p.a.data + i + k * p.a.column : packed_a + (i - i0) * depth;
                        t.a_step = use_a ? p.a.column : count;
                        t.out = p.out + i * p.n + j;
                        columns == width ? run_tile(t) : run_edge(run_tile, t, count, columns);
                    }
                }
            }
        }
    }
}

}  // namespace

int threads_for(int64_t m, int64_t n, int64_t k) {
    const double work = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
    return work < 500000.0 ? 1 : num_threads();
}

void multiply(const Product& p) {
    if (p.m == 0 || p.n == 0) return;
    const bool by_columns = p.n > p.m;  // the other matrix, the smaller one, is packed by every thread
    const int64_t unit = by_columns ? LANES : 1, units = ceil_div(by_columns ? p.n : p.m, unit);
    const int parts = static_cast<int>(smaller(threads_for(p.m, p.n, p.k), larger(1, units / 2)));
    const int64_t depth = smaller(DEPTH, p.k);
    const int64_t size_a = (smaller(BLOCK_M, p.m) * depth + 2 * LANES) / LANES * LANES;
    const int64_t size_b = smaller(BLOCK_N, ceil_div(p.n, WIDTH) * WIDTH) * depth;
    const Scratch scratch(parts * (size_a + size_b));
    parallel(parts, [&](int part) {
        const Range range{smaller(units * part / parts * unit, larger(p.m, p.n)),
                          smaller(units * (part + 1) / parts * unit, larger(p.m, p.n))};
        float* panels = scratch.floats() + part * (size_a + size_b);
        multiply_part(p, by_columns ? Range{0, p.m} : range, by_columns ? range : Range{0, p.n}, panels + size_b,
                      panels);
    });
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
