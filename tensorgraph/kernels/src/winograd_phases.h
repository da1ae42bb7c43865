// Channels that are phases of larger images: pixels whose rows, and whose columns, leave the same remainder when divided by
// a stride. They are read and written where the images are, a few rows of a block of channels at a time.
#pragma once

#include "lanes.h"
#include "winograd.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace winograd {

// The rows y .. y+rows-1 of one block of phases, of an image of channels.
struct PhaseRows {
    const Phases& phases;
    int64_t first, lanes;  // phases: those of a channel are neighbours
    int64_t y, rows, width;

    int64_t image_floats(int64_t all) const { return all / (phases.step_h * phases.step_w) * phases.h * phases.w; }

    // to[lane][row][pixel], zeros outside of the image.
    void read(const float* image, float* to) const {
        const int64_t next_block = LANES * phases.h * phases.w / (phases.step_h * phases.step_w);
        visit([&](int64_t at, int64_t row, int64_t column, int64_t begin, int64_t end) {
            float* const pixels = to + at * width;
            const float* const from = image + row * phases.w + column;
            for (int64_t x = 0; x < phases.w; x += 16) __builtin_prefetch(from + next_block + x);
            if (row < 0) begin = end = width;
            for (int64_t x = 0; x < begin; ++x) pixels[x] = 0;
            for (int64_t x = end; x < width; ++x) pixels[x] = 0;
            phases.step_w == 2 ? copy<2>(from, begin, end, pixels) : copy<0>(from, begin, end, pixels);
        });
    }

    // And back; what is outside of the image is dropped.
    void write(const float* from, float* image) const {
        visit([&](int64_t at, int64_t row, int64_t column, int64_t begin, int64_t end) {
            if (row < 0) return;
            float* const to = image + row * phases.w + column;
            for (int64_t x = begin; x < end; ++x) to[x * phases.step_w] = from[at * width + x];
        });
    }

  private:
    // Calls use(row of the block, row of the image's channels or -1, column of pixel 0, begin, end) for every row of every
    // phase; its pixels begin .. end-1 are inside of the image.
    template <class Use>
    void visit(Use use) const {
        const Phases& p = phases;
        for (int64_t lane = 0; lane < lanes; ++lane) {
            const int64_t phase = first + lane, i = phase / p.step_w % p.step_h, column = phase % p.step_w - p.left;
            const int64_t channel = phase / (p.step_w * p.step_h);
            const int64_t begin = column < 0 ? 1 : 0;
            const int64_t end = larger(begin, smaller(width, ceil_div(p.w - column, p.step_w)));
            for (int64_t r = 0; r < rows; ++r) {
                const int64_t row = (y + r) * p.step_h + i - p.top;
                use(lane * rows + r, row < 0 || row >= p.h ? -1 : channel * p.h + row, column, begin, end);
            }
        }
    }

    template <int STEP>
    void copy(const float* from, int64_t begin, int64_t end, float* to) const {
        const int64_t step = phases.step_w;
        with_lanes(end - begin, [&]<int L>() {
            cover<L>(begin, end, [&](int64_t x) { store_lanes<L>(to + x, load_strided<L, STEP>(from + x * step, step)); });
        });
    }
};

}  // namespace winograd
}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
