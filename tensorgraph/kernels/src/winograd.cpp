// Forward, and the input gradient, which is the forward of rotated filters with channels and filters swapped:
//
//     filters to points; for every group of tiles: images to points, a product for every point, points to outputs
#include "winograd.h"

#include "activate.h"
#include "buffers.h"
#include "pool.h"
#include "winograd_filters.h"
#include "winograd_tiles.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace winograd {

constexpr int MOST_TILES = (REGISTERS - 4) / 2;  // of one product: their sums, a vector of filters and one input
constexpr int64_t CHAIN = 128;                   // channels that are added one after the other: bounds the rounding

// sums[tile][output] = or += the sum over channels of points[channel block][tile][lane] * filters[channel][output]
template <int TILES, int VECTORS>
void product(int64_t channels, const float* points, int64_t block_stride, const float* filters, float* sums, bool add) {
    Vec total[TILES][VECTORS] = {};
    for (int64_t c = 0; c < channels; c += LANES, points += block_stride) {
        if (c + LANES < channels) {
            for (int i = 0; i < TILES; ++i) __builtin_prefetch(points + block_stride + i * LANES);
        }
        const float* const end = points + smaller(LANES, channels - c);
        for (const float* at = points; at < end; ++at, filters += VECTORS * LANES) {  // so the compiler adds no indices
            Vec weights[VECTORS];
            for (int j = 0; j < VECTORS; ++j) weights[j] = load(filters + j * LANES);
#pragma GCC unroll 16
            for (int i = 0; i < TILES; ++i) {
                const Vec x = broadcast(at[i * LANES]);
                for (int j = 0; j < VECTORS; ++j) total[i][j] += x * weights[j];
            }
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < TILES; ++i) {
        for (int j = 0; j < VECTORS; ++j) {
            float* at = sums + (i * VECTORS + j) * LANES;
            store(at, add ? load(at) + total[i][j] : total[i][j]);
        }
    }
}

template <int VECTORS, int TILES = MOST_TILES>
void product_of(int64_t tiles, int64_t channels, const float* points, int64_t block_stride, const float* filters,
                float* sums, bool add) {
    if constexpr (TILES > 1) {
        if (tiles < TILES) {
            return product_of<VECTORS, TILES - 1>(tiles, channels, points, block_stride, filters, sums, add);
        }
    }
    product<TILES, VECTORS>(channels, points, block_stride, filters, sums, add);
}

// A convolution, as the tiles see it.
struct Job {
    Images in;
    Tiles tiles;
    Filters filters;
    int64_t oh, ow;
    const float* bias;
    Activation act;
    float* out;
    const Phases* phases;  // of the outputs

    int64_t f() const { return filters.outputs(); }
};

// Arrays with a part for every point, `stride` floats apart.
struct Points {
    float* at;
    int64_t stride;
};

// sums[point][tile][output] = or += the channels c0 .. c1-1 of one block of filters[point][channel][output].
template <class S, int VECTORS>
void multiply(int64_t tiles, int64_t c0, int64_t c1, Points in, int64_t block_stride, Points filters, Points sums) {
    const int64_t parts = ceil_div(tiles, MOST_TILES);
    for (int64_t point = 0; point < S::T * S::T; ++point) {
        const float* from = in.at + point * in.stride + c0 / LANES * block_stride;
        float* to = sums.at + point * sums.stride;
        for (int64_t part = 0; part < parts; ++part) {
            const int64_t first = tiles * part / parts, last = tiles * (part + 1) / parts;
            product_of<VECTORS>(last - first, c1 - c0, from + first * LANES, block_stride,
                                filters.at + point * filters.stride, to + first * VECTORS * LANES, c0 > 0);
        }
    }
}

// The outputs of the rows begin .. end-1 of tiles, whose sums are there from the row `begin` on.
template <class S, int VECTORS>
void finish(const Job& job, int64_t block, int64_t begin, int64_t end, Points sums, float* plane) {
    const int64_t pitch = job.tiles.columns * S::M;
    for (int v = 0; v < VECTORS; ++v) {
        const int64_t f0 = block * BLOCK + v * LANES, lanes = smaller(LANES, job.f() - f0);
        const Vec bias = job.bias == nullptr ? Vec{} : load_part(job.bias + f0, static_cast<int>(lanes));
        const float* from = sums.at + v * LANES;
        job.tiles.visit(begin, end, [&](int64_t image, int64_t first, int64_t last) {
            for (int64_t tile = 0; tile < (last - first) * job.tiles.columns; ++tile, from += VECTORS * LANES) {
                float* to = plane + (tile / job.tiles.columns * pitch + tile % job.tiles.columns) * S::M * LANES;
                const auto activated = [&](auto activate) {
                    transform<typename S::Output>(
                        [&](int i, int j) { return load(from + (i * S::T + j) * sums.stride); },
                        [&](int i, int j, Vec y) { store(to + (i * pitch + j) * LANES, activate(y + bias)); });
                };
                if (job.act == RELU) {
                    activated([](Vec y) { return relu(y); });
                } else {
                    activated([](Vec y) { return y; });
                }
            }
            const int64_t y0 = first * S::M, y1 = smaller(job.oh, last * S::M);
            const int64_t pixels = (y1 - y0) * job.ow;
            if (job.phases != nullptr) {
                float* const room = plane + (last - first) * S::M * pitch * LANES;
                const PhaseRows phase_rows{*job.phases, f0, lanes, y0, y1 - y0, job.ow};
                collect({plane, job.ow, pitch}, pixels, room, pixels, lanes);
                phase_rows.write(room, job.out + image * phase_rows.image_floats(job.f()));
                return;
            }
            float* const out = job.out + ((image * job.f() + f0) * job.oh + y0) * job.ow;
            collect({plane, job.ow, pitch}, pixels, out, job.oh * job.ow, lanes);
        });
    }
}

constexpr int64_t OWN_FLOATS = 160 << 10;      // points of a group of tiles that one thread computes
constexpr int64_t SHARED_FLOATS = 2 << 20;     // points of a group that all threads compute
constexpr int64_t FILTER_FLOATS = 1280 << 10;  // points of filters that every thread can read for every group

// The tiles are cut into groups, and the threads share
//   - the groups, if the filters are small: each thread does all for its group, in its own cache;
//   - if not, the blocks of outputs, for one large group after the other whose points they computed together. If one
//     group is all there is, each block of filters is used once, right after its transformation.
template <class S>
struct Convolution {
    static constexpr int64_t POINTS = S::T * S::T;
    const Job& job;
    const int64_t threads = num_threads(), columns = job.tiles.columns, all = job.tiles.all_rows();
    const int64_t blocks = job.in.blocks(), f_blocks = job.filters.blocks(), channels = job.in.c;
    const int64_t tile_floats = POINTS * larger(1, blocks) * LANES;
    const int64_t rows = group_rows(job.tiles, smaller(112, larger(28, OWN_FLOATS / tile_floats)), threads);
    const int64_t groups = ceil_div(all, rows);
    const int64_t filter_floats = POINTS * padded(job.f()) * channels;
    const bool shared = groups < threads || filter_floats > FILTER_FLOATS;
    const int64_t wanted = larger(1, SHARED_FLOATS / (tile_floats * columns * rows)) * rows;
    const int64_t held = shared ? smaller(all, wanted) : rows;  // rows of tiles whose points are in memory
    const bool once = shared && held == all && f_blocks >= threads;       // each block of filters is used once

    // Of points[point][channel block][tile][lane] and sums[point][tile][output].
    const int64_t block_stride = held * columns * LANES, stride = point_stride(block_stride * blocks);
    const int64_t sum_stride = point_stride((once ? held : rows) * columns * BLOCK);
    // Of filters[point][block][channel][output], or of one block and some channels.
    const int64_t filter_stride = point_stride(once ? CHAIN * BLOCK : padded(job.f()) * channels);
    const int64_t plane_rows = smaller(rows, job.tiles.rows);
    const int64_t plane_floats = larger(Plane::of(job.in, plane_rows, columns, S::M, S::T).floats(),
                                        plane_rows * columns * S::M * S::M * LANES) *
                                 (job.in.phases != nullptr || job.phases != nullptr ? 2 : 1);
    const int64_t own_floats = point_stride(POINTS * sum_stride + plane_floats);
    const Scratch own{threads * own_floats};
    const Scratch points{(shared ? 1 : threads) * POINTS * stride};
    const Scratch filters{(once ? threads : 1) * POINTS * filter_stride};

    Points sums(int thread) const { return {own.floats() + thread * own_floats, sum_stride}; }
    float* plane(int thread) const { return sums(thread).at + POINTS * sum_stride; }
    int64_t width(int64_t block) const { return block_width(job.f(), block); }
    Points filters_of(int64_t block, int64_t c) const {
        return {filters.floats() + block * BLOCK * channels + c * width(block), filter_stride};
    }

    void build(int64_t block, int64_t begin, int64_t end, int64_t origin, float* to, int thread) const {
        to_points<typename S::Input, S::M>(job.in, job.tiles, begin, end, block, plane(thread),
                                           to + block * block_stride + (begin - origin) * columns * LANES, stride);
    }

    // Calls use(first channel, last + 1) for the channels that are added in one chain; at least once.
    template <class Use>
    void chains(Use use) const {
        for (int64_t c = 0; c == 0 || c < channels; c += CHAIN) use(c, smaller(channels, c + CHAIN));
    }

    void multiply_block(int64_t block, int64_t count, int64_t c0, int64_t c1, float* from, Points by,
                        int thread) const {
        const auto run = width(block) == BLOCK ? multiply<S, 2> : multiply<S, 1>;
        run(count * columns, c0, c1, {from, stride}, block_stride, by, sums(thread));
    }

    void finish_block(int64_t block, int64_t begin, int64_t end, Points from, int thread) const {
        const auto run = width(block) == BLOCK ? finish<S, 2> : finish<S, 1>;
        run(job, block, begin, end, from, plane(thread));
    }

    void compute(int64_t block, int64_t begin, int64_t end, int64_t origin, float* from, int thread) const {
        from += (begin - origin) * columns * LANES;
        chains([&](int64_t c0, int64_t c1) {
            multiply_block(block, end - begin, c0, c1, from, filters_of(block, c0), thread);
        });
        finish_block(block, begin, end, sums(thread), thread);
    }

    void compute_once(int64_t block, int thread) const {
        const Points mine{filters.floats() + thread * POINTS * filter_stride, filter_stride};
        chains([&](int64_t c0, int64_t c1) {
            filters_to_points<S>(job.filters, block, c0, c1, mine.at, filter_stride);
            multiply_block(block, all, c0, c1, points.floats(), mine, thread);
        });
        for (int64_t begin = 0; begin < all; begin += rows) {
            const Points from{sums(thread).at + begin * columns * width(block), sum_stride};
            finish_block(block, begin, smaller(all, begin + rows), from, thread);
        }
    }

    void run() const {
        const int64_t chunks = ceil_div(channels, 32);
        if (!once) {
            share(f_blocks * chunks, threads, [&](int64_t item, int) {
                const int64_t block = item / chunks, c = item % chunks * 32;
                const Points to = filters_of(block, c);
                filters_to_points<S>(job.filters, block, c, smaller(channels, c + 32), to.at, to.stride);
            });
        }
        if (!shared) {
            share(groups, threads, [&](int64_t group, int thread) {
                const int64_t begin = group * rows, end = smaller(all, begin + rows);
                float* const mine = points.floats() + thread * POINTS * stride;
                for (int64_t block = 0; block < blocks; ++block) build(block, begin, end, begin, mine, thread);
                for (int64_t block = 0; block < f_blocks; ++block) compute(block, begin, end, begin, mine, thread);
            });
            return;
        }
        for (int64_t origin = 0; origin < all; origin += held) {
            const int64_t end = smaller(all, origin + held), pieces = ceil_div(end - origin, rows);
            const auto piece = [&](int64_t i) { return smaller(end, origin + i * rows); };
            share(pieces * blocks, threads, [&](int64_t item, int thread) {
                const int64_t i = item % pieces;
                build(item / pieces, piece(i), piece(i + 1), origin, points.floats(), thread);
            });
            if (once) {
                share(f_blocks, threads, [&](int64_t block, int thread) { compute_once(block, thread); });
                continue;
            }
            share(pieces * f_blocks, threads, [&](int64_t item, int thread) {
                const int64_t i = item % pieces;
                compute(item / pieces, piece(i), piece(i + 1), origin, points.floats(), thread);
            });
        }
    }
};

template <class S>
void convolve_by(const Conv& conv, const float* x, const Filters& filters, const float* b, float* out, Activation act,
                 const Phases* in_phases, const Phases* out_phases) {
    if (conv.n == 0 || conv.f == 0 || conv.oh == 0 || conv.ow == 0) return;
    const Job job{{x, conv.c, conv.h, conv.w, conv.top, conv.left, in_phases}, Tiles::of<S>(conv.n, conv.oh, conv.ow),
                  filters, conv.oh, conv.ow, b, act, out, out_phases};
    Convolution<S>{job}.run();
}

void convolve(const Conv& conv, int64_t tile, const float* x, const Filters& filters, const float* b, float* out,
              Activation act, const Phases* in_phases = nullptr, const Phases* out_phases = nullptr) {
    const auto by = conv.kh == 5 ? convolve_by<SixPoints<2>>
                    : tile == 4  ? convolve_by<SixPoints<4>>
                                 : convolve_by<FourPoints>;
    by(conv, x, filters, b, out, act, in_phases, out_phases);
}

}  // namespace winograd

void conv2d_winograd(const Conv& conv, const Tiling& tiling, const float* x, const float* w, const float* b, float* out,
                     Activation act) {
    if (tiling.in_lanes) {
        flat::forward(conv, x, w, b, out, in_registers(act));
    } else {
        winograd::convolve(conv, tiling.size, x, {w, conv.f, conv.c, false}, b, out, in_registers(act));
    }
    activate(in_cache(act), conv.n * conv.f * conv.oh * conv.ow, out);
}

void conv2d_winograd_input_grad(const Conv& conv, const Tiling& tiling, const float* g, const float* w, float* out) {
    if (tiling.in_lanes) return flat::input_grad(conv, g, w, out);
    winograd::convolve(input_grad_of(conv), tiling.size, g, {w, conv.f, conv.c, true}, nullptr, out, NONE);
}

void winograd_forward(const Conv& conv, const float* x, const float* w, const float* b, float* out, Activation act,
                      const Phases* phases) {
    winograd::convolve(conv, winograd_tile(conv), x, {w, conv.f, conv.c, false}, b, out, act, phases, nullptr);
}

void winograd_input_grad(const Conv& conv, const float* g, const float* w, float* out, const Phases* phases) {
    const Conv back = input_grad_of(conv);
    winograd::convolve(back, winograd_tile(conv), g, {w, conv.f, conv.c, true}, nullptr, out, NONE, nullptr, phases);
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
