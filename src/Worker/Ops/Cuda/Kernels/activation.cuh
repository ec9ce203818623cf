// The activations of gated MLPs; `kind`: 0 SiLU, 1 GELU, 2 GELU by tanh. Defines: T.
#pragma once
#include "common.cuh"

// In f32, GELU's erf goes through double: far below zero 1 + erf would cancel, and erfc magnifies its argument's rounding.
// 0.5 * (1 + tanh(y)) is written as 1 / (1 + exp(-2y)) for the same reason.
DEVICE float activate(float x, int kind)
{
    if (kind == 0) { return x / (1.0f + expf(-x)); }
    if (kind == 1)
    {
        if constexpr (sizeof(T) == 4) { return (float)(0.5 * x * erfc(-0.70710678118654752440 * x)); }
        else { return 0.5f * x * erfcf(-0.70710678118654752f * x); }
    }
    return x / (1.0f + expf(-1.5957691216057308f * (x + 0.044715f * x * x * x)));
}
