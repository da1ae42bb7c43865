// Images cut into tiles, and their way to the points: planes[lane of a channel block][row][column] are zero-padded, put
// into lanes, and transformed tile by tile.
//
//     points[point][channel block][tile][lane]        the points are `stride` apart, the channel blocks tiles * LANES
#pragma once

#include "pool.h"
#include "winograd_lanes.h"
#include "winograd_phases.h"
#include "winograd_transforms.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace winograd {

struct Images {
    const float* data;
    int64_t c, h, w;
    int64_t top, left;  // the zeros before the first row and column
    const Phases* phases = nullptr;

    int64_t blocks() const { return ceil_div(c, LANES); }
};

// The tiles of a batch, row after row through all images. All that a kernel does, it does for some rows of tiles.
struct Tiles {
    int64_t images, rows, columns;  // rows and columns of tiles in an image

    template <class S>
    static Tiles of(int64_t images, int64_t oh, int64_t ow) {
        return {images, ceil_div(oh, S::M), ceil_div(ow, S::M)};
    }
    int64_t all_rows() const { return images * rows; }

    // Calls visit(image, first row, last row + 1) for the images that have some of the rows begin .. end-1.
    template <class Visit>
    void visit(int64_t begin, int64_t end, Visit visit) const {
        while (begin < end) {
            const int64_t image = begin / rows, first = begin % rows, last = smaller(rows, first + end - begin);
            visit(image, first, last);
            begin += last - first;
        }
    }
};

// Rows of tiles for one group: about so many tiles, and groups of nearly equal size.
inline int64_t group_rows(const Tiles& tiles, int64_t wanted, int64_t multiple) {
    const int64_t rows = larger(1, wanted / tiles.columns), all = tiles.all_rows();
    const int64_t groups = ceil_div(ceil_div(all, rows), multiple) * multiple;
    return ceil_div(all, smaller(groups, all));
}

// Calls work(item, thread) for all items 0 .. items-1; a thread takes the next one when it is ready.
template <class Work>
void share(int64_t items, int64_t threads, Work work) {
    int64_t next = 0;
    parallel(static_cast<int>(smaller(threads, items)), [&](int thread) {
        while (true) {
            const int64_t item = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
            if (item >= items) return;
            work(item, thread);
        }
    });
}

// Points as far apart that equal places of all points fall into different sets of a cache: an odd number of lines.
inline int64_t point_stride(int64_t floats) { return (ceil_div(floats, 16) | 1) * 16; }

// One channel block of some rows of tiles as a plane of lanes: tiles of `size`, each m pixels after the one before.
struct Plane {
    int64_t rows, pitch;
    int64_t floats() const { return rows * pitch * LANES; }
    float* room(float* plane) const { return plane + floats(); }  // as large: for phases on their way

    static Plane of(const Images& in, int64_t tile_rows, int64_t tile_columns, int64_t m, int64_t size) {
        return {(tile_rows - 1) * m + size, larger((tile_columns - 1) * m + size, in.left + in.w)};
    }

    // From the image's row `y`, which is outside of it where y < 0 or y >= h.
    void fill(const Images& in, int64_t image, int64_t block, int64_t y, float* plane) const {
        const int64_t begin = smaller(larger(-y, 0), rows), end = larger(smaller(in.h - y, rows), begin);  // inside
        const int64_t width = begin < end ? in.w : 0;
        clear(plane, begin * pitch);
        clear(plane + end * pitch * LANES, (rows - end) * pitch);
        for (int64_t r = begin; r < end; ++r) {
            clear(plane + r * pitch * LANES, in.left);
            clear(plane + (r * pitch + in.left + width) * LANES, pitch - in.left - width);
        }
        if (width == 0) return;
        const int64_t lanes = smaller(LANES, in.c - block * LANES);
        const float* from = in.data + ((image * in.c + block * LANES) * in.h + y + begin) * in.w;
        int64_t stride = in.h * in.w;
        if (in.phases != nullptr) {
            const PhaseRows phase_rows{*in.phases, block * LANES, lanes, y + begin, end - begin, width};
            phase_rows.read(in.data + image * phase_rows.image_floats(in.c), room(plane));
            from = room(plane);
            stride = (end - begin) * width;
        }
        spread(from, stride, lanes, (end - begin) * width,
               {plane + (begin * pitch + in.left) * LANES, width, pitch});
    }

    Vec sum(const float* plane, int64_t first_row, int64_t last_row) const {
        Vec even{}, odd{};
        const float* at = plane + first_row * pitch * LANES;
        const float* const end = plane + last_row * pitch * LANES;
        for (; end - at >= 2 * LANES; at += 2 * LANES) even += load(at), odd += load(at + LANES);
        return at < end ? even + odd + load(at) : even + odd;
    }

    static void clear(float* lanes, int64_t pixels) {
        for (int64_t i = 0; i < pixels; ++i) store(lanes + i * LANES, Vec{});
    }
};

// The tiles of rows begin .. end-1, of one channel block, at their points. `sums`, if not null, gets what the lanes of
// the images' pixels add up to: a vector for each row of tiles.
template <class Map, int M>
void to_points(const Images& in, const Tiles& tiles, int64_t begin, int64_t end, int64_t block, float* plane,
               float* points, int64_t stride, float* sums = nullptr) {
    tiles.visit(begin, end, [&](int64_t image, int64_t first, int64_t last) {
        const Plane shape = Plane::of(in, last - first, tiles.columns, M, Map::IN);
        shape.fill(in, image, block, first * M - in.top, plane);
        for (int64_t row = 0; row < last - first; ++row) {
            if (sums != nullptr) {
                store(sums, shape.sum(plane, row * M, (row + 1) * M));
                sums += LANES;
            }
            for (int64_t column = 0; column < tiles.columns; ++column, points += LANES) {
                const float* at = plane + (row * shape.pitch + column) * M * LANES;
                transform<Map>([&](int i, int j) { return load(at + (i * shape.pitch + j) * LANES); },
                               [&](int i, int j, Vec v) { store(points + (i * Map::OUT + j) * stride, v); });
            }
        }
    });
}

}  // namespace winograd
}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
