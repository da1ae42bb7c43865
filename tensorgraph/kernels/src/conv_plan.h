// What a direct convolution or its input gradient consists of.
#pragma once

#include "conv_pixels.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

// What the outputs first, first + pitch, ... of one axis see: output number q sees at[t] + q * step through tap[t].
struct Axis {
    int64_t first, pitch, count, step;
    int64_t taps;
    int64_t *tap, *at;
};

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

// Runs all passes; in conv_run.cpp. Plan's `passes`, `block` and `blocks` are filled in here.
void run_plan(Plan& plan, const float* source, const float* w, const float* bias, Activation act, float* out);

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
