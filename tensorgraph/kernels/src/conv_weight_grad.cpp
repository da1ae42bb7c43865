// The weight gradient of a convolution, and the bias gradient beside it.
//
//     out[f][c][r][s] = sum over n, y, x of g[n][f][y][x] * image[n][c][y*stride + r*dilation - top][x*stride + s*... - left]
//
// Lanes are filters: a chunk of g is transposed to pixels[pixel][lane], and taps are broadcast. The registers hold the sums
// of a few lines of taps, a line being the taps of one channel and filter row, so that their places are neighbours.
// The batch is cut into slices whose number depends on nothing but the shape, so the result does not depend on the threads.
#include <utility>

#include "buffers.h"
#include "conv.h"
#include "conv_direct.h"
#include "pool.h"
#include "transpose.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace {

constexpr int TAPS = REGISTERS == 32 ? 12 : 6;  // whose sums, of two vectors each, fit the registers
constexpr int64_t CHUNK_PIXELS = 192;           // that are summed in one go; short sums are exact ones
constexpr int64_t TASKS = 4;                    // slices times blocks are a multiple of it

// sums[line][tap][lane] += what the lines hold times pixels[pixel][lane], over `rows` rows of `width` pixels.
template <int LINES, int WIDTH, int VECTORS, int STEP>
void add_products(const float* const* lines, const float* pixels, int64_t rows, int64_t width, int64_t any_step,
                  float* sums) {
    const int64_t step = STEP > 0 ? STEP : any_step;
    Vec acc[LINES][WIDTH][VECTORS] = {};
    for (int64_t y = 0; y < rows; ++y, lines += LINES) {
        const float* line[LINES];
#pragma GCC unroll 12
        for (int i = 0; i < LINES; ++i) line[i] = lines[i];
        for (int64_t x = 0; x < width * step; x += step, pixels += VECTORS * LANES) {
            Vec g[VECTORS];
#pragma GCC unroll 2
            for (int v = 0; v < VECTORS; ++v) g[v] = load(pixels + v * LANES);
#pragma GCC unroll 12
            for (int i = 0; i < LINES; ++i) {
#pragma GCC unroll 12
                for (int s = 0; s < WIDTH; ++s) {
                    const Vec tap = broadcast(line[i][x + s]);
#pragma GCC unroll 2
                    for (int v = 0; v < VECTORS; ++v) acc[i][s][v] += tap * g[v];
                }
            }
        }
    }
#pragma GCC unroll 12
    for (int i = 0; i < LINES * WIDTH * VECTORS; ++i) {
        const Vec total = acc[i / (WIDTH * VECTORS)][i / VECTORS % WIDTH][i % VECTORS];
        store(sums + i * LANES, load(sums + i * LANES) + total);
    }
}

using AddProducts = void (*)(const float* const*, const float*, int64_t, int64_t, int64_t, float*);

template <int VECTORS, int STEP, int... I>
AddProducts with_width(int64_t width, std::integer_sequence<int, I...>) {
    static constexpr AddProducts functions[] = {add_products<TAPS / (I + 1), I + 1, VECTORS, STEP>...};
    return functions[width - 1];
}

AddProducts find_products(int64_t width, int64_t vectors, int64_t step) {
    constexpr auto widths = std::make_integer_sequence<int, TAPS>{};
    if (vectors == 1) return with_width<1, 0>(width, widths);
    return step == 1 ? with_width<2, 1>(width, widths) : with_width<2, 0>(width, widths);
}

// How the taps of a channel are cut into lines of `width` neighbours; the last line of a filter row may reach beyond it.
struct Lines {
    int64_t width, per_row, row_count, count;  // per_row lines in each of row_count = C * KH filter rows
    int64_t together;                          // lines that the registers hold
};

Lines cut_into_lines(int64_t channels, const Conv& v) {
    const int64_t longest = v.dilation_w == 1 ? TAPS : 1;
    const int64_t per_row = ceil_div(v.kw, longest), width = ceil_div(v.kw, per_row), rows = channels * v.kh;
    return {width, per_row, rows, rows * per_row, TAPS / width};
}

// g[lane][pixel] to pixels[pixel][VECTORS * LANES], zeros in the lanes beyond `filters`; totals[lane] += the sums.
void transpose_chunk(const float* g, int64_t plane, int64_t filters, int64_t count, int64_t vectors, float* pixels,
                     float* totals) {
    for (int64_t v = 0; v < vectors; ++v) {
        const int64_t lanes = smaller(LANES, filters - v * LANES);
        Vec total = load(totals + v * LANES);
        for (int64_t p = 0; p < count; p += LANES) {
            const int here = static_cast<int>(smaller(LANES, count - p));
            Vec rows[LANES] = {};
            for (int64_t i = 0; i < lanes; ++i) {
                const float* from = g + (v * LANES + i) * plane + p;
                rows[i] = here == LANES ? load(from) : load_part(from, here);
            }
            transpose(rows);
            for (int i = 0; i < here; ++i) {
                store(pixels + ((p + i) * vectors + v) * LANES, rows[i]);
                total += rows[i];
            }
        }
        store(totals + v * LANES, total);
    }
}

// One block of filters, over a slice of the batch.
struct Task {
    const Conv& conv;
    const Lines& lines;
    int64_t group, filter, filters, vectors;  // of the group
    int64_t left, right;                      // zeros that the rows need
    float *sums, *totals;                     // [line][tap][lane], [lane]
};

void run_images(const Task& t, const float* g, const float* x, int64_t first, int64_t last) {
    const Conv& v = t.conv;
    const Lines& l = t.lines;
    const int64_t channels = v.c / v.groups, filters = v.f / v.groups, plane = v.oh * v.ow, lanes = t.vectors * LANES;
    const int64_t wide = t.left + v.w + t.right, batch = larger(1, CHUNK_PIXELS / v.ow);
    const Scratch planes(channels * v.h * wide);
    const Scratch zeros(wide + (v.ow - 1) * v.stride_w + l.per_row * l.width * v.dilation_w);
    const Scratch pixels((batch * v.ow + LANES) * lanes);
    const Scratch tables(2 * (batch * l.together + 2 * l.count));
    auto* lines = reinterpret_cast<const float**>(tables.floats());
    auto* offset = reinterpret_cast<int64_t*>(lines + batch * l.together);  // of a line, in the image
    int64_t* row = offset + l.count;                                        // what it sees in output row 0
    for (int64_t i = 0; i < l.count; ++i) {
        const int64_t c = i / l.per_row / v.kh, r = i / l.per_row % v.kh, s = i % l.per_row * l.width;
        row[i] = r * v.dilation_h - v.top;
        offset[i] = (c * v.h + row[i]) * wide + s * v.dilation_w - v.left;
    }
    __builtin_memset(zeros.floats(), 0, static_cast<size_t>(wide + (v.ow - 1) * v.stride_w +
                                                            l.per_row * l.width * v.dilation_w) * sizeof(float));
    const AddProducts add = find_products(l.width, t.vectors, v.stride_w);
    for (int64_t n = first; n < last; ++n) {
        const float* image = padded(x + (n * v.groups + t.group) * channels * v.h * v.w, channels * v.h, v.w, t.left,
                                    t.right, planes.floats());
        const float* gradient = g + ((n * v.groups + t.group) * filters + t.filter) * plane;
        for (int64_t y = 0; y < v.oh; y += batch) {
            const int64_t rows = smaller(batch, v.oh - y);
            transpose_chunk(gradient + y * v.ow, plane, t.filters, rows * v.ow, t.vectors, pixels.floats(), t.totals);
            for (int64_t first_line = 0; first_line < l.count; first_line += l.together) {
                for (int64_t i = 0; i < l.together; ++i) {
                    const int64_t line = first_line + i;
                    for (int64_t k = 0; k < rows; ++k) {
                        const int64_t from = (y + k) * v.stride_h;
                        const bool inside = line < l.count && from + row[line] >= 0 && from + row[line] < v.h;
                        lines[k * l.together + i] = inside ? image + offset[line] + from * wide : zeros.floats();
                    }
                }
                add(lines, pixels.floats(), rows, v.ow, v.stride_w, t.sums + first_line * l.width * lanes);
            }
        }
    }
}

// The sum of the slices, transposed: out[filter][tap].
void store_block(const Task& t, int64_t slices, int64_t slice_size, float* out) {
    const Lines& l = t.lines;
    const int64_t lanes = t.vectors * LANES, kw = t.conv.kw;
    for (int64_t row = 0; row < l.row_count; ++row) {
        for (int64_t s = 0; s < kw; ++s) {
            const float* from = t.sums + (row * l.per_row * l.width + s) * lanes;
            for (int64_t i = 0; i < t.filters; ++i) {
                float total = 0;
                for (int64_t k = 0; k < slices; ++k) total += from[k * slice_size + i];
                out[i * l.row_count * kw + row * kw + s] = total;
            }
        }
    }
}

}  // namespace

void direct_weight_grad(const Conv& v, const float* g, const float* x, float* out, float* bias_grad) {
    const int64_t channels = v.c / v.groups, filters = v.f / v.groups;
    if (v.f == 0) return;
    const Lines lines = cut_into_lines(channels, v);
    const int64_t blocks = v.groups * ceil_div(filters, BLOCK);
    const int64_t slices = larger(1, smaller(v.n, blocks % TASKS == 0 ? 1 : blocks % 2 == 0 ? TASKS / 2 : TASKS));
    const int64_t rounded = ceil_div(larger(1, lines.count), lines.together) * lines.together;
    const int64_t size = (rounded * lines.width + 1) * BLOCK;  // of the sums of one block: taps, and the bias
    const Scratch sums(slices * blocks * size);
    const int64_t left = v.left;
    const int64_t right = larger(0, (v.ow - 1) * v.stride_w + (lines.per_row * lines.width - 1) * v.dilation_w - v.left + 1 - v.w);
    const auto task = [&](int64_t block, int64_t slice) {
        const int64_t per_group = blocks / v.groups, filter = block % per_group * BLOCK;
        const int64_t count = smaller(BLOCK, filters - filter);
        float* totals = sums.floats() + (slice * blocks + block) * size;
        return Task{v, lines, block / per_group, filter, count, count <= LANES ? 1 : 2, left, right, totals + BLOCK, totals};
    };
    parallel(static_cast<int>(blocks * slices), [&](int part) {
        const int64_t slice = part % slices;
        const Task t = task(part / slices, slice);
        __builtin_memset(t.totals, 0, static_cast<size_t>(size) * sizeof(float));
        if (v.oh * v.ow > 0) run_images(t, g, x, v.n * slice / slices, v.n * (slice + 1) / slices);
    });
    parallel(static_cast<int>(blocks), [&](int block) {
        const Task t = task(block, 0);
        const int64_t filter = t.group * filters + t.filter, slice_size = blocks * size;
        store_block(t, slices, slice_size, out + filter * channels * v.kh * v.kw);
        for (int64_t i = 0; i < t.filters; ++i) {
            float total = 0;
            for (int64_t k = 0; k < slices; ++k) total += t.totals[k * slice_size + i];
            bias_grad[filter + i] = total;
        }
    });
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
