// Direct convolution and its input gradient: both are passes of conv_rows.h, with lanes = the channels of the result, or
// its pixels.
//
// The input gradient of a convolution with stride S falls into S x S passes without stride: rows of x that leave the same
// remainder see the same taps.
#include "buffers.h"
#include "conv_direct.h"
#include "conv_plan.h"
#include "pool.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace {

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
    run_plan(plan, x, w, b, act, out);
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
    run_plan(plan, g, w, nullptr, NONE, out);
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
