// A convolution and the pooling of its maps in squares of 2x2, lanes = squares: the four outputs of a square are four sums
// of a lane, so nothing but their maximum leaves the registers.
//
// Output i, j of square y, x sees, through tap r, s of the filter, pixel 2 y + i + r, 2 x + j + s of the padded image. So
// images are cut into quarters, the pixels whose rows and columns are even or odd: there, neighbouring squares see
// neighbours, a tap is nothing but a distance, and squares run over all rows as over one long vector.
#include <utility>

#include "best.h"
#include "buffers.h"
#include "conv_planes.h"
#include "conv_rows.h"
#include "conv_squares.h"
#include "pool.h"
#include "window.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace {

constexpr int FILTERS = REGISTERS == 32 ? 6 : 2;  // whose sums the registers hold, four of each

struct Quarters {
    int64_t top, left, height, width;  // height and width are a quarter's
    int64_t squares;                   // to compute: with those that begin behind the end of a row
    int64_t size;                      // floats of all channels

    Quarters(const Conv& v, const Pool& p)
        : top(v.top), left(v.left), height(p.oh + (1 + (v.kh - 1) * v.dilation_h) / 2),
          width(p.ow + (1 + (v.kw - 1) * v.dilation_w) / 2), squares((p.oh - 1) * width + p.ow),
          size(v.c / v.groups * 4 * height * width + LANES) {}

    // Of pixel y, x of the padded image.
    int64_t place(int64_t channel, int64_t y, int64_t x) const {
        return ((channel * 4 + y % 2 * 2 + x % 2) * height + y / 2) * width + x / 2;
    }
};

// An image, its zeros being there. Pixels that no square sees are left out.
void put_image(const Quarters& q, const float* x, int64_t channels, int64_t h, int64_t w, float* to) {
    const int64_t pairs = larger(0, smaller(w / 2, q.width - (q.left + 1) / 2));
    for (int64_t c = 0; c < channels; ++c, x += h * w) {
        for (int64_t y = 0; y < smaller(h, 2 * q.height - q.top); ++y) {
            const float* row = x + y * w;
            float *first = to + q.place(c, y + q.top, q.left), *second = to + q.place(c, y + q.top, q.left + 1);
            with_lanes(pairs, [&]<int L>() {
                cover<L>(0, pairs, [=](int64_t i) {
                    const Floats<L> a = load_lanes<L>(row + 2 * i), b = load_lanes<L>(row + 2 * i + L);
                    store_lanes<L>(first + i, evens<L>(a, b));
                    store_lanes<L>(second + i, odds<L>(a, b));
                });
            });
            for (int64_t i = 2 * pairs; i < smaller(w, 2 * q.width - q.left); ++i) (i % 2 == 0 ? first : second)[i / 2] = row[i];
        }
    }
}

// The filters of a block.
struct Block {
    const int64_t* offset;  // [tap][output of a square]
    const float* weights;   // [tap][filter]
    const float* bias;      // nullptr: none
    int64_t taps;
    float slope;
};

// LANES squares of COUNT filters, `step` apart in `out` and `winners`.
template <int COUNT>
void square_tile(const Block& block, const float* source, float* out, uint8_t* winners, int64_t step) {
    Vec acc[COUNT][4];
#pragma GCC unroll 6
    for (int f = 0; f < COUNT; ++f) {
        const Vec bias = broadcast(block.bias == nullptr ? 0.0f : block.bias[f]);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) acc[f][i] = bias;
    }
    const int64_t *offset = block.offset, *const end = offset + 4 * block.taps;
    for (const float* weights = block.weights; offset < end; offset += 4, weights += COUNT) {
        Vec x[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) x[i] = in_register(load(source + offset[i]));
#pragma GCC unroll 6
        for (int f = 0; f < COUNT; ++f) {
            const Vec weight = in_register(broadcast(weights[f]));
#pragma GCC unroll 4
            for (int i = 0; i < 4; ++i) acc[f][i] += weight * x[i];
        }
    }
#pragma GCC unroll 6
    for (int f = 0; f < COUNT; ++f) {
        Best<LANES> best{acc[f][0], {}};
#pragma GCC unroll 3
        for (int i = 1; i < 4; ++i) best.meet(acc[f][i], i);
        best.leak(block.slope, 4);
        store(out + f * step, best.value);
        store_bytes<LANES>(winners + f * step, best.tap);
    }
}

using SquareTile = void (*)(const Block&, const float*, float*, uint8_t*, int64_t);

template <int... I>
SquareTile find_tile(int64_t count, std::integer_sequence<int, I...>) {
    static constexpr SquareTile tiles[] = {square_tile<I + 1>...};
    return tiles[count - 1];
}

}  // namespace

bool squares_fit(const Conv& v, const Pool& p) {
    const int64_t taps = v.c / v.groups * v.kh * v.kw, filters = v.f / v.groups;
    if (v.stride_h * v.stride_w != 1 || !in_squares(p) || !planes_fit(v) || taps > CHUNK) return false;
    const int64_t squares = ceil_div(Quarters(v, p).squares, LANES) * LANES;  // in products of a lane, as measured
    const int64_t filters_in_lanes = ceil_div(filters, LANES) * LANES * (taps + 12) * p.oh * p.ow;
    return filters * squares * (taps + 5) < filters_in_lanes + 10 * filters * p.oh * p.ow;
}

void forward_in_squares(const Conv& v, const Pool& p, const float* x, const float* w, const float* b, float* out,
                        uint8_t* winners, float slope) {
    const Quarters q(v, p);
    const int64_t channels = v.c / v.groups, filters = v.f / v.groups, taps = channels * v.kh * v.kw;
    const int64_t blocks = ceil_div(filters, FILTERS), plane = p.oh * p.ow;
    const Scratch tables(8 * taps + 1), weights(v.f * taps + 1);
    auto* offset = reinterpret_cast<int64_t*>(tables.floats());
    for (int64_t k = 0; k < taps; ++k) {
        const int64_t c = k / (v.kh * v.kw), y = k / v.kw % v.kh * v.dilation_h, z = k % v.kw * v.dilation_w;
        for (int64_t i = 0; i < 4; ++i) offset[4 * k + i] = q.place(c, y + i / 2, z + i % 2);
    }
    const auto first_of = [=](int64_t block) { return block / blocks * filters + filters * (block % blocks) / blocks; };
    for (int64_t block = 0; block < v.groups * blocks; ++block) {
        const int64_t first = first_of(block), count = first_of(block + 1) - first;
        float* to = weights.floats() + first * taps;
        for (int64_t k = 0; k < taps; ++k) {
            for (int64_t f = 0; f < count; ++f) *to++ = w[(first + f) * taps + k];
        }
    }
    const int64_t parts = smaller(v.n, 8 * num_threads());
    parallel(static_cast<int>(parts), [&](int part) {
        const int64_t step = ceil_div(q.squares, LANES) * LANES + LANES;
        const Scratch quarters(q.size), values(FILTERS * step), taken(FILTERS * step / 4);
        auto* numbers = reinterpret_cast<uint8_t*>(taken.floats());
        __builtin_memset(quarters.floats(), 0, static_cast<size_t>(q.size) * sizeof(float));
        for (int64_t n = v.n * part / parts; n < v.n * (part + 1) / parts; ++n) {
            for (int64_t block = 0; block < v.groups * blocks; ++block) {
                const int64_t first = first_of(block), count = first_of(block + 1) - first;
                if (block % blocks == 0) {
                    const int64_t channel = n * v.c + block / blocks * channels;
                    put_image(q, x + channel * v.h * v.w, channels, v.h, v.w, quarters.floats());
                }
                const Block some{offset, weights.floats() + first * taps, b == nullptr ? b : b + first, taps, slope};
                const SquareTile tile = find_tile(count, std::make_integer_sequence<int, FILTERS>{});
                for (int64_t i = 0; i < q.squares; i += LANES) {
                    tile(some, quarters.floats() + i, values.floats() + i, numbers + i, step);
                }
                for (int64_t f = 0; f < count; ++f) {
                    const int64_t map = (n * v.f + first + f) * plane;
                    close_rows(values.floats() + f * step, p.oh, p.ow, q.width, out + map);
                    close_rows(numbers + f * step, p.oh, p.ow, q.width, winners + map);
                }
            }
        }
    });
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
