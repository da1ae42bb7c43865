// How a direct convolution runs: its weights are packed, the images shared among the threads, and what the passes sum up
// is brought to its place, with bias, activation and pooling.
#include "buffers.h"
#include "conv_plan.h"
#include "pool.h"
#include "transpose.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

void max_pool2d(const Pool& pool, const float* x, float* out, uint8_t* winners);  // in maxpool.cpp

namespace {

constexpr int64_t BAND = 7 * 16;       // pixels that are summed before they are stored: whole tiles and vectors
constexpr int64_t GROUP_PIXELS = 128;  // at least so many share the weights while they are in the nearest cache

// weights[k(t, c, s)][lane] of one pass, zeros where there is no channel.
void pack(const Plan& plan, int64_t pass, const float* w, int64_t channel, int64_t lanes, float* to) {
    const Axis &rows = plan.rows[pass], &columns = plan.columns[pass];
    const int64_t count = smaller(lanes, plan.out - channel);
    w += channel * plan.out_stride;
    for (int64_t t = 0; t < rows.taps; ++t) {
        for (int64_t c = 0; c < plan.in; ++c) {
            for (int64_t s = 0; s < columns.taps; ++s, to += lanes) {
                const float* from = w + c * plan.in_stride + rows.tap[t] * plan.kw + columns.tap[s];
                for (int64_t i = 0; i < count; ++i) to[i] = from[i * plan.out_stride];
                for (int64_t i = count; i < lanes; ++i) to[i] = 0;
            }
        }
    }
}

// sums[pixel][VECTORS * LANES] to out[channel][pixel], with bias and activation; channels are `plane` apart.
template <int VECTORS>
void store_block(const float* sums, int64_t pixels, int64_t count, const float* bias, Activation act, float* out,
                 int64_t plane) {
    for (int64_t p = 0; p < pixels; p += LANES) {
        const int here = static_cast<int>(smaller(LANES, pixels - p));
        for (int v = 0; v < VECTORS; ++v) {
            Vec rows[LANES];
            for (int i = 0; i < LANES; ++i) rows[i] = load(sums + ((p + i) * VECTORS + v) * LANES);
            transpose(rows);
            const int lanes = static_cast<int>(smaller(LANES, count - v * LANES));
            for (int i = 0; i < lanes; ++i) {
                Vec values = rows[i] + broadcast(bias == nullptr ? 0.0f : bias[v * LANES + i]);
                if (act == RELU) values = relu(values);
                float* to = out + (v * LANES + i) * plane + p;
                here == LANES ? store(to, values) : store_part(to, values, here);
            }
        }
    }
}

// Pools the maps of `count` channels of one image; `channel` is the number of the first, all images' counted.
void pool_maps(const Plan& plan, const float* maps, int64_t channel, int64_t count, float* out) {
    Pool p = *plan.pool;
    p.planes = count;
    max_pool2d(p, maps, out + channel * p.oh * p.ow, plan.winners + channel * p.oh * p.ow);
}

// The images first .. last-1 of one group, for the blocks of channels begin .. end-1.
struct Part {
    int64_t group, first, last, begin, end;
};

// Calls write(maps) for the maps of one block of channels, of `images` images from `image` on. maps is their place in the
// result, or `room` if they are pooled.
template <class Write>
void finish(const Plan& plan, int64_t image, int64_t images, int64_t channel, int64_t count, float* room, float* out,
            Write write) {
    const int64_t plane = plan.out_h * plan.out_w, all = plan.groups * plan.out;
    if (plan.pool == nullptr) return write(out + (image * all + channel) * plane, all * plane);
    write(room, count * plane);
    for (int64_t i = 0; i < images; ++i) {
        pool_maps(plan, room + i * count * plane, (image + i) * all + channel, count, out);
    }
}

void run_by_pixels(const Plan& plan, const float* source, const float* weights, const float* bias, Activation act,
                   float* out, const Part& part) {
    const int64_t images = part.last - part.first, rows = plan.in * plan.in_h, stride = plan.groups * rows * plan.in_w;
    const bool copied = !plan.beside.in_place || plan.wide > plan.in_w;
    const Scratch room(copied ? rows * plan.wide : 1), sums(plan.block * plan.wide);
    const Scratch maps(plan.pool != nullptr ? images * plan.block * plan.out_h * plan.out_w : 1);
    const float* planes = source + (part.first * plan.groups + part.group) * rows * plan.in_w;
    if (copied) {
        put_beside(plan.beside, planes, stride, images, rows, plan.in_w, room.floats());
        planes = room.floats() + plan.left;
    }
    for (int64_t block = part.begin; block < part.end; ++block) {
        const int64_t first = block * plan.block, count = smaller(plan.block, plan.out - first);
        const int64_t channel = part.group * plan.out + first;
        finish(plan, part.first, images, channel, count, maps.floats(), out, [&](float* to, int64_t to_stride) {
            run_pixels(plan.passes[0], plan.beside, images, planes, weights + first * plan.taps, count,
                       bias == nullptr ? bias : bias + channel, act, sums.floats(), to, to_stride);
        });
    }
}

void run_by_channels(const Plan& plan, const float* source, const float* weights, const float* bias, Activation act,
                     float* out, const Part& part) {
    const int64_t images = part.last - part.first, plane = plan.out_h * plan.out_w, in_size = plan.in * plan.in_h;
    const bool copied = plan.left + plan.right > 0;
    // A few rows at a time, or a part of a long one: their sums stay in the nearest cache.
    const bool whole = images > 1 || plan.pass_count > 1;
    const int64_t height = whole ? plan.out_h : smaller(plan.out_h, larger(1, BAND / plan.out_w));
    const int64_t width = whole ? plan.out_w : smaller(plan.out_w, BAND);
    const Scratch room(copied ? images * in_size * plan.wide : 1);
    const Scratch sums((images * height * width + LANES) * BLOCK);
    const Scratch maps(plan.pool != nullptr ? images * BLOCK * plane : 1);
    const float* planes = source + (part.first * plan.groups + part.group) * in_size * plan.in_w;
    int64_t image_stride = plan.groups * in_size * plan.in_w;
    if (copied) {
        for (int64_t n = 0; n < images; ++n) {
            padded(planes + n * image_stride, in_size, plan.in_w, plan.left, plan.right,
                   room.floats() + n * in_size * plan.wide);
        }
        planes = room.floats() + plan.left;
        image_stride = in_size * plan.wide;
    }
    for (int64_t block = part.begin; block < part.end; ++block) {
        const int64_t first = block * BLOCK, count = smaller(BLOCK, plan.out - first);
        const int64_t channel = part.group * plan.out + first;
        const bool narrow = count <= LANES;
        const auto compute = [&](const Area& area, float* to, int64_t to_stride) {
            const int64_t lanes = narrow ? LANES : BLOCK, pixels = (area.q1 - area.q0) * (area.j1 - area.j0);
            const float* packed = weights + first * plan.taps;
            for (int64_t i = 0; i < plan.pass_count; ++i) {
                const Pass& p = plan.passes[i];
                const int64_t taps = p.row_taps * p.channels * p.column_taps;
                const Area inside = whole ? Area{0, p.rows, 0, p.pixels} : area;
                float* corner = sums.floats() + (plan.rows[i].first * plan.out_w + plan.columns[i].first) * lanes;
                for (int64_t k = 0; k == 0 || k < taps; k += CHUNK) {
                    for (int64_t n = 0; n < images; ++n) {
                        (narrow ? run_chunk<1> : run_chunk<2>)(p, inside, planes + n * image_stride, packed,
                                                               corner + n * pixels * lanes, k, smaller(k + CHUNK, taps));
                    }
                }
                packed += taps * lanes;
            }
            for (int64_t n = 0; n < images; ++n) {
                (narrow ? store_block<1> : store_block<2>)(sums.floats() + n * pixels * lanes, pixels, count,
                                                           bias == nullptr ? bias : bias + channel, act,
                                                           to + n * to_stride + area.q0 * plan.out_w + area.j0, plane);
            }
        };
        finish(plan, part.first, images, channel, count, maps.floats(), out, [&](float* to, int64_t to_stride) {
            for (int64_t q = 0; q < plan.out_h; q += height) {
                for (int64_t j = 0; j < plan.out_w; j += width) {
                    compute({q, smaller(q + height, plan.out_h), j, smaller(j + width, plan.out_w)}, to, to_stride);
                }
            }
        });
    }
}

}  // namespace

void run_plan(Plan& plan, const float* source, const float* w, const float* bias, Activation act, float* out) {
    const int64_t plane = plan.out_h * plan.out_w;
    if (plan.images * plane * plan.out == 0) return;
    const int64_t wide = plan.wide;
    const Scratch tables(2 * plan.taps + 2);  // int64
    auto* offset = reinterpret_cast<int64_t*>(tables.floats());
    for (int64_t i = 0; i < plan.pass_count; ++i) {
        const Axis &rows = plan.rows[i], &columns = plan.columns[i];
        plan.passes[i] = {plan.in_h,  wide,         plan.in,         rows.taps,
                          columns.taps, rows.at,    offset,          rows.count,
                          rows.step,  rows.pitch * plan.out_w,       columns.count,
                          columns.step, columns.pitch};
        for (int64_t t = 0; t < rows.taps; ++t) {
            for (int64_t c = 0; c < plan.in; ++c) {
                for (int64_t s = 0; s < columns.taps; ++s) {
                    *offset++ = (rows.at[t] + c * plan.in_h) * wide + columns.at[s];
                }
            }
        }
    }
    plan.blocks = ceil_div(plan.out, plan.by_pixels ? TOGETHER : BLOCK);
    plan.block = plan.by_pixels ? ceil_div(plan.out, plan.blocks) : BLOCK;
    const int64_t blocks = plan.blocks;
    const Scratch weights(blocks * plan.block * plan.taps + 1);
    const int threads = num_threads();
    const int64_t group_size =
        plan.by_pixels ? plan.beside.images : larger(1, smaller(GROUP_PIXELS / plane, plan.images / (2 * threads)));
    const int64_t batches = ceil_div(plan.images, group_size);
    const int64_t cuts = larger(1, smaller(blocks, 2 * threads / batches));  // of the blocks, where images are few
    for (int64_t group = 0; group < plan.groups; ++group) {
        const float* filters = w + group * plan.group_stride;
        parallel(static_cast<int>(blocks), [&](int block) {
            const int64_t lanes = plan.lanes(block);
            float* to = weights.floats() + block * plan.block * plan.taps;
            for (int64_t i = 0; i < plan.pass_count; ++i) {
                pack(plan, i, filters, block * plan.block, lanes, to);
                to += plan.rows[i].taps * plan.in * plan.columns[i].taps * lanes;
            }
        });
        parallel(static_cast<int>(batches * cuts), [&](int part) {
            const int64_t batch = part / cuts, cut = part % cuts;
            const Part images{group, batch * group_size, smaller((batch + 1) * group_size, plan.images),
                              blocks * cut / cuts, blocks * (cut + 1) / cuts};
            (plan.by_pixels ? run_by_pixels : run_by_channels)(plan, source, weights.floats(), bias, act, out, images);
        });
    }
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
