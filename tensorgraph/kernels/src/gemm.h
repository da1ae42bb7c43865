// The product of two matrices, with a bias and an activation on the way to memory.
#pragma once

#include "activate.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

struct Matrix {
    const float* data;
    int64_t row, column;  // from one row or column to the next, in floats; one of the two is 1
};

// out[i, j] = act(bias[j] + sum over k of a[i, k] b[k, j]), out dense.
struct Product {
    int64_t m, n, k;
    Matrix a, b;
    float* out;
    const float* bias = nullptr;
    Activation act = NONE;
};

void multiply(const Product& p);

// The same for a few rows or columns whose inner index is dense: dot products, nothing is rearranged.
bool is_thin(const Product& p);
void multiply_thin(const Product& p);

// The same for a large matrix and few rows, or a small inner size; b's columns are dense, no bias and no activation.
bool is_flat(const Product& p);
void multiply_flat(const Product& p);

// How many threads are worth waking for so many multiplications.
int threads_for(int64_t m, int64_t n, int64_t k);

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
