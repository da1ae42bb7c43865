// A function of vectors applied to whole arrays, element by element.
#pragma once

#include "pool.h"
#include "simd.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

// Elements that are worth a second thread: of what memory limits, and of functions that compute more.
constexpr int64_t LIGHT = 16384;
constexpr int64_t HEAVY = 4096;

// Calls piece(i, count) for all elements: count is LANES but for the last piece, whichever thread gets it.
template <class F>
inline void pieces(int64_t n, int64_t grain, F&& piece) {
    constexpr int64_t CUT = 64;  // threads meet at multiples of it
    parallel_ranges(ceil_div(n, CUT), grain / CUT, [&](int64_t begin, int64_t end) {
        int64_t i = begin * CUT;
        const int64_t stop = smaller(n, end * CUT);
        for (; i + LANES <= stop; i += LANES) piece(i, LANES);
        if (i < stop) piece(i, static_cast<int>(stop - i));
    });
}

// out = f(x...), where f takes and returns vectors.
template <class F, class... Arrays>
inline void map(int64_t n, int64_t grain, float* out, F f, const Arrays*... x) {
    pieces(n, grain, [=](int64_t i, int count) {
        if (count == LANES) {
            store(out + i, f(load(x + i)...));
        } else {
            store_part(out + i, f(load_part(x + i, count)...), count);
        }
    });
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
