// Vectors of floats for the instruction set that a file is compiled for. Every kernel file is compiled once for each set,
// into a namespace of its own, and uses nothing from the standard library that would be compiled into a shared function:
// the linker keeps one copy of those, and it may be the one that an older processor cannot run.
#pragma once

#include <cstdint>

#ifndef TENSORGRAPH_ISA
#error "compile with -DTENSORGRAPH_ISA=baseline, avx2 or avx512"
#endif

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

#if defined(__AVX512F__)
constexpr int LANES = 16;
constexpr int REGISTERS = 32;
#elif defined(__AVX2__)
constexpr int LANES = 8;
constexpr int REGISTERS = 16;
#elif defined(__aarch64__)
constexpr int LANES = 4;
constexpr int REGISTERS = 32;
#else
constexpr int LANES = 4;
constexpr int REGISTERS = 16;
#endif

typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef int32_t Mask __attribute__((vector_size(LANES * 4)));  // what a comparison gives: all bits or none, lane by lane
typedef float LooseVec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));  // at any address

inline Vec load(const float* p) { return *reinterpret_cast<const LooseVec*>(p); }
inline void store(float* p, Vec v) { *reinterpret_cast<LooseVec*>(p) = v; }
inline Vec broadcast(float x) { return x - Vec{}; }  // x - 0 is x, for -0 too

// The same in a register. Compilers may read a vector that is used several times from memory each time, which keeps the
// units that load busy.
inline Vec in_register(Vec v) {
#if defined(__aarch64__)
    asm("" : "+w"(v));
#elif defined(__AVX512F__)
    asm("" : "+v"(v));
#elif defined(__x86_64__)
    asm("" : "+x"(v));
#endif
    return v;
}

// Asks for the line of memory at p, to be written to: it may be in another core's cache, which is far away.
inline void expect_write(float* p) {
#if defined(__x86_64__)
    asm volatile("prefetchw %0" : : "m"(*p));  // processors that do not know it do nothing
#else
    __builtin_prefetch(p, 1);
#endif
}

// The first `count` lanes, zeros behind them.
inline Vec load_part(const float* p, int count) {
    Vec v{};
    for (int i = 0; i < count; ++i) v[i] = p[i];
    return v;
}
inline void store_part(float* p, Vec v, int count) {
    for (int i = 0; i < count; ++i) p[i] = v[i];
}

inline float sum(Vec v) {
    float total = 0;
    for (int i = 0; i < LANES; ++i) total += v[i];
    return total;
}

// The comparison decides so that a NaN in x stays.
inline Vec relu(Vec x) { return Vec{} > x ? Vec{} : x; }

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
