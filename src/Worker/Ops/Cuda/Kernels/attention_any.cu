// Attention without tensor cores, for any element type, alignment and mixture of rows: the plain twin of attention_decode.cu
// and attention_prefill.cu, and what float32 models use. Grid: (rows, query heads). Each warp takes every fourth token with a
// softmax of its own; the lanes share the head's elements (element e of lane l is d = 32 e + l); the warps join at the end.
#include "attention.cuh"

#define WARPS 4
#define ELEMENTS ((HEAD_DIM + 31) / 32)

extern "C" __global__ void __launch_bounds__(WARPS * 32) attention_any(const Arguments args)
{
    __shared__ float maxima[WARPS], sums[WARPS], outputs[WARPS][HEAD_DIM];
    pdl_launch();
    pdl_wait();
    const i64 row = blockIdx.x;
    const int head = blockIdx.y, kvHead = (args.queryStart + head) / args.groupSize - args.kvStart;
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    const int position = args.positions[row];
    if (position < 0)
    {
        clear_heads(args.output + row * args.outputStride, head, 1);
        return;
    }
    const int* table = args.blockTables + args.rowSequences[row] * args.tableStride;
    const T* query = args.query + row * args.queryStride + head * HEAD_DIM;

    float q[ELEMENTS], output[ELEMENTS] = {};
#pragma unroll
    for (int e = 0; e < ELEMENTS; e++) { q[e] = e * 32 + lane < HEAD_DIM ? to_f32(query[e * 32 + lane]) : 0; }
    float maximum = NEGATIVE_INFINITY, sum = 0;
    const int begin = args.window > 0 ? max(position - args.window + 1, 0) : 0;
    for (int token = begin + warp; token <= position; token += WARPS)
    {
        const i64 offset = cache_row(args, table, kvHead, token);
        float score = 0;
#pragma unroll
        for (int e = 0; e < ELEMENTS; e++)
        {
            if (e * 32 + lane < HEAD_DIM) { score = fmaf(q[e], to_f32(args.keys[offset + e * 32 + lane]), score); }
        }
        score = scaled(args, warp_sum(score));
        const float most = fmaxf(maximum, score), factor = fast_exp2(maximum - most), weight = fast_exp2(score - most);
        maximum = most;
        sum = sum * factor + weight;
#pragma unroll
        for (int e = 0; e < ELEMENTS; e++)
        {
            if (e * 32 + lane < HEAD_DIM) { output[e] = fmaf(weight, to_f32(args.values[offset + e * 32 + lane]), output[e] * factor); }
        }
    }

    if (lane == 0)
    {
        maxima[warp] = maximum;
        sums[warp] = sum;
    }
#pragma unroll
    for (int e = 0; e < ELEMENTS; e++)
    {
        if (e * 32 + lane < HEAD_DIM) { outputs[warp][e * 32 + lane] = output[e]; }
    }
    __syncthreads();
    float greatest = NEGATIVE_INFINITY, total = 0;
#pragma unroll
    for (int w = 0; w < WARPS; w++) { greatest = fmaxf(greatest, maxima[w]); }
#pragma unroll
    for (int w = 0; w < WARPS; w++) { total += sums[w] * fast_exp2(maxima[w] - greatest); }
    for (int d = threadIdx.x; d < HEAD_DIM; d += WARPS * 32)
    {
        float value = 0;
#pragma unroll
        for (int w = 0; w < WARPS; w++) { value += outputs[w][d] * fast_exp2(maxima[w] - greatest); }
        args.output[row * args.outputStride + head * HEAD_DIM + d] = from_f32<T>(value / total);
    }
}
