// output[t][n] = sum over k of x[t][k] * weight[n][k] (+ bias[n]): any types, any alignment, any K. The plain twin of gemv.cu:
// float32 models and shapes that its 16-byte pieces cannot take. Defines: T, W, OUT element types.
// One warp a weight row, up to 4 rows of x at a time (blockIdx.y counts them in fours).
#include "common.cuh"

#define WARPS 8
#define TOKENS 4

struct Arguments
{
    const T* x;
    const W* weight;
    const void* bias;
    OUT* output;
    i64 xStride;
    i64 weightStride;
    i64 outputStride;
    int tokens;
    int n;
    int k;
    int wide;
    int biasType;
};

template <int VEC> DEVICE void products(float (&sums)[TOKENS], const T* const (&rows)[TOKENS], const W* weight, int k)
{
    for (int i = (threadIdx.x & 31) * VEC; i < k; i += 32 * VEC)
    {
        float w[VEC];
        load_n<VEC, W>(weight + i, w);
#pragma unroll
        for (int t = 0; t < TOKENS; t++)
        {
            float x[VEC];
            load_n<VEC, T>(rows[t] + i, x);
#pragma unroll
            for (int v = 0; v < VEC; v++) { sums[t] = fmaf(x[v], w[v], sums[t]); }
        }
    }
}

extern "C" __global__ void __launch_bounds__(WARPS * 32) gemv_any(const Arguments args)
{
    pdl_launch();
    pdl_wait();
    const int row = blockIdx.x * WARPS + (threadIdx.x >> 5), first = blockIdx.y * TOKENS;
    if (row >= args.n) { return; }
    const T* rows[TOKENS];
#pragma unroll
    for (int t = 0; t < TOKENS; t++) { rows[t] = args.x + (i64)min(first + t, args.tokens - 1) * args.xStride; }
    float sums[TOKENS] = {};
    const W* weight = args.weight + (i64)row * args.weightStride;
    if (args.wide) { products<8>(sums, rows, weight, args.k); } else { products<1>(sums, rows, weight, args.k); }
#pragma unroll
    for (int t = 0; t < TOKENS; t++)
    {
        float sum = warp_sum(sums[t]);
        if ((threadIdx.x & 31) == 0 && first + t < args.tokens)
        {
            if (args.bias != nullptr) { sum += load_any(args.bias, args.biasType, row); }
            args.output[(first + t) * args.outputStride + row] = from_f32<OUT>(sum);
        }
    }
}
