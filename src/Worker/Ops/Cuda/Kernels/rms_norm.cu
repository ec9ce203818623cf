// rms_norm: output = x / sqrt(mean(x^2) + epsilon) * weight, one block a row, in f32.
// add_rms_norm: residual += delta first, rounded to T as it is stored, and the norm is that of the stored values.
// Defines: T activations, W weight. A row of up to 4 * 8 * 512 = 16,384 elements stays in registers between the two passes.
#include "common.cuh"

#define WARPS 16
#define THREADS (WARPS * 32)
#define KEPT 4

struct Arguments
{
    T* x;           // read; add_rms_norm also writes it (the residual)
    const T* delta; // add_rms_norm only
    const W* weight;
    T* output;
    i64 xStride;
    i64 deltaStride;
    i64 outputStride;
    int columns;
    int wide;
    float epsilon;
};

template <int VEC, bool ADD> DEVICE void load_row(const Arguments& args, i64 row, int i, float (&v)[VEC])
{
    T* x = args.x + row * args.xStride + i;
    load_n<VEC, T>(x, v);
    if (ADD)
    {
        float d[VEC];
        load_n<VEC, T>(args.delta + row * args.deltaStride + i, d);
#pragma unroll
        for (int e = 0; e < VEC; e++) { v[e] = to_f32(from_f32<T>(v[e] + d[e])); }
        store_n<VEC, T>(x, v);
    }
}

template <int VEC> DEVICE void store_row(const Arguments& args, i64 row, int i, const float (&v)[VEC], float factor)
{
    float w[VEC];
    load_n<VEC, W>(args.weight + i, w);
#pragma unroll
    for (int e = 0; e < VEC; e++) { w[e] *= v[e] * factor; }
    store_n<VEC, T>(args.output + row * args.outputStride + i, w);
}

template <int VEC, bool ADD> DEVICE void normalise(const Arguments& args)
{
    __shared__ float shared[WARPS];
    const i64 row = blockIdx.x;
    float kept[KEPT][VEC];
    float sum = 0;
#pragma unroll
    for (int j = 0; j < KEPT; j++)
    {
        const int i = (j * THREADS + threadIdx.x) * VEC;
        if (i < args.columns)
        {
            load_row<VEC, ADD>(args, row, i, kept[j]);
#pragma unroll
            for (int e = 0; e < VEC; e++) { sum = fmaf(kept[j][e], kept[j][e], sum); }
        }
    }
    for (int i = (KEPT * THREADS + threadIdx.x) * VEC; i < args.columns; i += THREADS * VEC)
    {
        float v[VEC];
        load_row<VEC, ADD>(args, row, i, v);
#pragma unroll
        for (int e = 0; e < VEC; e++) { sum = fmaf(v[e], v[e], sum); }
    }
    const float factor = 1.0f / sqrtf(block_sum<WARPS>(sum, shared) / args.columns + args.epsilon);
#pragma unroll
    for (int j = 0; j < KEPT; j++)
    {
        const int i = (j * THREADS + threadIdx.x) * VEC;
        if (i < args.columns) { store_row<VEC>(args, row, i, kept[j], factor); }
    }
    for (int i = (KEPT * THREADS + threadIdx.x) * VEC; i < args.columns; i += THREADS * VEC)
    {
        float v[VEC];
        load_n<VEC, T>(args.x + row * args.xStride + i, v); // this thread stored it itself when adding
        store_row<VEC>(args, row, i, v, factor);
    }
}

// Weights are read once a step, so they come from memory: on their way into the second-level cache while the predecessor ends.
DEVICE void prefetch_weight(const Arguments& args)
{
    for (i64 at = threadIdx.x * 128; at < args.columns * (i64)sizeof(W); at += THREADS * 128)
    {
        asm volatile("prefetch.global.L2 [%0];" :: "l"((const char*)args.weight + at));
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) rms_norm(const Arguments args)
{
    pdl_launch();
    prefetch_weight(args);
    pdl_wait();
    if (args.wide) { normalise<8, false>(args); } else { normalise<1, false>(args); }
}

extern "C" __global__ void __launch_bounds__(THREADS) add_rms_norm(const Arguments args)
{
    pdl_launch();
    prefetch_weight(args);
    pdl_wait();
    if (args.wide) { normalise<8, true>(args); } else { normalise<1, true>(args); }
}
