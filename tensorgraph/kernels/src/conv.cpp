// Direct convolution and its input gradient: both are passes of conv_rows.h, with lanes = the channels of the result.
//
// The input gradient of a convolution with stride S falls into S x S passes without stride: rows of x that leave the same
// remainder see the same taps.
#include "buffers.h"
#include "conv_direct.h"
#include "conv_pixels.h"
#include "pool.h"
#include "transpose.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

void max_pool2d(const Pool& pool, const float* x, float* out, uint8_t* winners);  // in maxpool.cpp

namespace {

constexpr int64_t GROUP_PIXELS = 128;  // at least so many share the weights while they are in the nearest cache

// What the outputs first, first + pitch, ... of one axis see: output number q sees at[t] + q * step through tap[t].
struct Axis {
    int64_t first, pitch, count, step;
    int64_t taps;
    int64_t *tap, *at;
};

Axis forward_axis(int64_t count, int64_t taps, int64_t stride, int64_t before, int64_t dilation, int64_t* room) {
    for (int64_t t = 0; t < taps; ++t) {
        room[t] = t;
        room[taps + t] = t * dilation - before;
    }
    return {0, 1, count, stride, taps, room, room + taps};
}

// Input y + before = output * stride + tap * dilation, so tap t sees (y + before - t * dilation) / stride if that is whole.
Axis gradient_axis(int64_t first, int64_t size, int64_t taps, int64_t stride, int64_t before, int64_t dilation,
                   int64_t* room) {
    Axis axis{first, stride, ceil_div(size - first, stride), 1, 0, room, room + taps};
    for (int64_t t = 0; t < taps; ++t) {
        const int64_t distance = first + before - t * dilation;
        if (distance % stride != 0) continue;
        axis.tap[axis.taps] = t;
        axis.at[axis.taps++] = distance / stride;
    }
    return axis;
}

// A convolution or its input gradient: which channels become which, and the passes.
struct Plan {
    int64_t images, groups;
    int64_t in, in_h, in_w;     // channels of a group, and their planes
    int64_t out, out_h, out_w;
    int64_t in_stride, out_stride;  // from channel to channel in the filters
    int64_t kw, group_stride;
    Pass* passes;
    const Axis* rows;  // of each pass
    const Axis* columns;
    int64_t pass_count, taps;  // of all passes, times channels
    int64_t left, right, wide;  // zeros that the planes need, and floats of a row with them
    int64_t block, blocks;     // channels that are computed together, and how many times
    bool by_pixels;            // lanes are pixels of images side by side (conv_pixels.h), not channels
    Beside beside;
    const Pool* pool;          // the maps are pooled while they are in the cache, and not kept; nullptr: they are the result
    uint8_t* winners;
    int64_t lanes(int64_t block_number) const {  // for which the weights of a block are packed
        const int64_t count = smaller(block, out - block_number * block);
        return by_pixels ? count : count <= LANES ? LANES : BLOCK;
    }
};

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

// sums[pixel][VECTORS * LANES] to out[channel][pixel], with bias and activation.
template <int VECTORS>
void store_block(const float* sums, int64_t pixels, int64_t count, const float* bias, Activation act, float* out) {
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
                float* to = out + (v * LANES + i) * pixels + p;
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
    const Scratch room(copied ? images * in_size * plan.wide : 1);
    const Scratch sums((images * plane + LANES) * BLOCK);
    const Scratch maps(plan.pool != nullptr ? BLOCK * plane : 1);
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
        const float* packed = weights + first * plan.taps;
        const bool narrow = count <= LANES;
        const int64_t lanes = narrow ? LANES : BLOCK;
        for (int64_t i = 0; i < plan.pass_count; ++i) {
            const Pass& p = plan.passes[i];
            const int64_t taps = p.row_taps * p.channels * p.column_taps;
            float* corner = sums.floats() + (plan.rows[i].first * plan.out_w + plan.columns[i].first) * lanes;
            for (int64_t k = 0; k == 0 || k < taps; k += CHUNK) {
                for (int64_t n = 0; n < images; ++n) {
                    (narrow ? run_chunk<1> : run_chunk<2>)(p, planes + n * image_stride, packed,
                                                           corner + n * plane * lanes, k, smaller(k + CHUNK, taps));
                }
            }
            packed += taps * lanes;
        }
        for (int64_t n = 0; n < images; ++n) {
            finish(plan, part.first + n, 1, channel, count, maps.floats(), out, [&](float* to, int64_t) {
                (narrow ? store_block<1> : store_block<2>)(sums.floats() + n * plane * lanes, plane, count,
                                                           bias == nullptr ? bias : bias + channel, act, to);
            });
        }
    }
}

void run(Plan& plan, const float* source, const float* w, const float* bias, Activation act, float* out) {
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

// How to compute it, and the zeros that the passes then read beside the rows of the source.
void prepare(Plan& plan) {
    plan.left = plan.right = 0;
    int64_t reach = 0;
    for (int64_t i = 0; i < plan.pass_count; ++i) {
        const Axis& axis = plan.columns[i];
        for (int64_t s = 0; s < axis.taps; ++s) {
            plan.left = larger(plan.left, -axis.at[s]);
            plan.right = larger(plan.right, axis.at[s] + (axis.count - 1) * axis.step + 1 - plan.in_w);
            reach = larger(reach, axis.at[s]);
        }
    }
    const Axis& row = plan.columns[0];
    plan.by_pixels = plan.pass_count == 1 && row.step == 1 && row.count > 0;
    if (plan.by_pixels) {
        const int64_t most = larger(1, plan.images / (2 * num_threads()));
        plan.beside = find_beside(most, plan.in_w, row.count, plan.left, reach, plan.taps);
        const double lanes = static_cast<double>(ceil_div(plan.out, LANES) * LANES) / static_cast<double>(plan.out);
        plan.by_pixels = plan.beside.cost(plan.taps) < lanes * static_cast<double>(plan.taps + 12);
    }
    plan.wide = plan.by_pixels ? plan.beside.wide : plan.left + plan.in_w + plan.right;
}

}  // namespace

void direct_forward(const Conv& v, const Pool* pool, const float* x, const float* w, const float* b, float* out,
                    uint8_t* winners, Activation act) {
    const int64_t c = v.c / v.groups, f = v.f / v.groups, area = v.kh * v.kw;
    const Scratch room(4 * (v.kh + v.kw));
    auto* taps = reinterpret_cast<int64_t*>(room.floats());
    const Axis rows = forward_axis(v.oh, v.kh, v.stride_h, v.top, v.dilation_h, taps);
    const Axis columns = forward_axis(v.ow, v.kw, v.stride_w, v.left, v.dilation_w, taps + 2 * v.kh);
    Pass pass;
    Plan plan{v.n,  v.groups, c,        v.h, v.w, f, v.oh, v.ow, area, c * area, v.kw, f * c * area, &pass, &rows,
              &columns, 1, c * area, 0, 0, 0, 0, 0, false, {}, pool, winners};
    prepare(plan);
    run(plan, x, w, b, act, out);
}

void direct_input_grad(const Conv& v, const float* g, const float* w, float* out) {
    const int64_t c = v.c / v.groups, f = v.f / v.groups, area = v.kh * v.kw;
    const int64_t phases_h = smaller(v.stride_h, v.h), phases_w = smaller(v.stride_w, v.w);
    const int64_t passes = phases_h * phases_w;
    const Scratch room(4 * (phases_h * v.kh + phases_w * v.kw) + 1);
    const Scratch axes(static_cast<int64_t>(passes * (2 * sizeof(Axis) + sizeof(Pass)) / sizeof(float)) + 1);
    auto* rows = reinterpret_cast<Axis*>(axes.floats());
    Axis* columns = rows + passes;
    auto* taps = reinterpret_cast<int64_t*>(room.floats());
    for (int64_t i = 0; i < passes; ++i) {
        const int64_t y = i / phases_w, x = i % phases_w;
        rows[i] = gradient_axis(y, v.h, v.kh, v.stride_h, v.top, v.dilation_h, taps + 2 * y * v.kh);
        columns[i] = gradient_axis(x, v.w, v.kw, v.stride_w, v.left, v.dilation_w,
                                   taps + 2 * (phases_h * v.kh + x * v.kw));
    }
    Plan plan{v.n, v.groups, f, v.oh, v.ow, c, v.h, v.w, c * area, area, v.kw, f * c * area,
              reinterpret_cast<Pass*>(columns + passes), rows, columns, passes, f * area, 0, 0, 0, 0, 0,
              false, {}, nullptr, nullptr};
    prepare(plan);
    run(plan, g, w, nullptr, NONE, out);
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
