// What each kernel takes from Python and gives back, as one table: the binding checks calls against it.
//
// Every axis of an array has a letter, and axes with the same letter have the same size. An integer argument whose name
// is one letter gives that letter its size.
#pragma once

#include <cstdint>
#include <string>

#include "kernels.h"

namespace tensorgraph {

constexpr int MAX_ARRAYS = 8;
constexpr int MAX_INTEGERS = 24;
constexpr int MAX_REALS = 8;
constexpr int MAX_OUTPUTS = 3;
constexpr int MAX_RANK = 4;
constexpr int64_t UNKNOWN = -1;
constexpr int64_t LARGEST = int64_t{1} << 40;  // of any integer argument: products of a few stay below 2^63

struct ArrayArgument {
    const char* name;
    char kind;          // f: float32, b: uint8, i: int64
    const char* sizes;  // a letter an axis, or "*" for any shape
    bool optional = false;
    const char* type() const { return kind == 'f' ? "float32" : kind == 'b' ? "uint8" : "int64"; }
};

struct Array {
    void* data = nullptr;  // nullptr where an optional argument is None
    float* floats() const { return static_cast<float*>(data); }
    uint8_t* bytes() const { return static_cast<uint8_t*>(data); }
    int64_t* integers() const { return static_cast<int64_t*>(data); }
};

struct Call {
    Array in[MAX_ARRAYS];
    Array out[MAX_OUTPUTS];
    int64_t integer[MAX_INTEGERS] = {};
    double real[MAX_REALS] = {};
    int64_t letters[128];
    int rank = 0;  // of the arrays of any shape, "*"
    const intptr_t* shape = nullptr;
    Call() {
        for (int64_t& letter : letters) letter = UNKNOWN;
    }
    int64_t operator[](char letter) const { return letters[static_cast<unsigned char>(letter)]; }
};

struct Signature {
    const char* name;
    ArrayArgument input[MAX_ARRAYS];
    const char* integer[MAX_INTEGERS];
    const char* real[MAX_REALS];
    ArrayArgument output[MAX_OUTPUTS];
    const char* (*check)(const Call&);  // what is wrong with the arguments, nullptr if nothing
    void (*run)(const Kernels&, Call&);
    int inputs = count(input), integers = count(integer), reals = count(real), outputs = count(output);

    constexpr int arguments() const { return inputs + integers + reals; }
    template <int N>
    static constexpr int count(const ArrayArgument (&list)[N]) {
        int n = 0;
        while (n < N && list[n].name != nullptr) ++n;
        return n;
    }
    template <int N>
    static constexpr int count(const char* const (&list)[N]) {
        int n = 0;
        while (n < N && list[n] != nullptr) ++n;
        return n;
    }
};

#define KERNEL(name, arguments) +1
constexpr int KERNEL_COUNT = 0 TENSORGRAPH_KERNELS(KERNEL);
#undef KERNEL

extern const Signature signatures[KERNEL_COUNT];

// What a kernel takes, in words: "linear(x: float32[NK], w: float32[FK], b: float32[F] | None, act: int)".
std::string describe(const Signature& signature);

}  // namespace tensorgraph
