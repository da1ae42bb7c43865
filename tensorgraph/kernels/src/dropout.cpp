// Dropout with random bits that are a function of the place and of two keys: the gradient makes the same mask again.
#include "kernels.h"
#include "map.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

namespace {

typedef uint32_t Bits __attribute__((vector_size(LANES * 4)));

// A bijection of 32 bits in which every bit of the result depends on all (the finalizer of MurmurHash3, A. Appleby).
inline Bits mix(Bits h) {
    h = (h ^ (h >> 16)) * 0x85ebca6bu;
    h = (h ^ (h >> 13)) * 0xc2b2ae35u;
    return h ^ (h >> 16);
}

}  // namespace

void dropout(int64_t n, const float* x, uint32_t key, uint32_t second_key, uint32_t threshold, float scale,
             float* out) {
    Bits lane{};
    for (int i = 0; i < LANES; ++i) lane[i] = static_cast<uint32_t>(i);
    pieces(n, HEAVY, [=](int64_t i, int count) {
        const uint32_t low = static_cast<uint32_t>(i), high = static_cast<uint32_t>(i >> 32);
        const Bits bits = mix(mix(lane + (low + key)) ^ (second_key + high * 0x9e3779b9u));
        const Vec factor = bits >= threshold ? Vec{} + scale : Vec{};  // a NaN times 0 is a NaN, as in the twin
        if (count == LANES) {
            store(out + i, load(x + i) * factor);
        } else {
            store_part(out + i, load_part(x + i, count) * factor, count);
        }
    });
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
