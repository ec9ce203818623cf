// output[t][n] = sum over k of x[t][k] * weight[n][k] (+ bias[n]) for one or two rows t, at the speed of memory.
// Defines: T bf16 or f16 (x and weight); OUT the output's type; NT rows of x (1 or 2); ROWS weight rows of a block (2, 4 or 8);
// GATED 1: the weight is [gate | up], 2 n rows, and output = act(gate . x) * (up . x): half of a block's rows are gate rows, the others
// the same rows of up.
//
// Small blocks in large numbers: multiprocessors do not get equal shares of the memory's rate, so a grid that gives each the
// same bytes waits for the slowest; here whoever is done takes the next block. 4096 x 14336 with ROWS 2: 2,048 blocks of 57 KB.
// The block's warps share K out in pieces of 256 columns. A thread keeps eight 16-byte loads of weights in flight in its
// registers: a slot is loaded again as soon as it is used up; eight blocks of 128 threads make 128 KB a multiprocessor.
// The first eight are issued before the predecessor has ended. Sums are plain f32 in a fixed order, so results repeat exactly.
#include "activation.cuh"

#define WARPS 4
#define THREADS (WARPS * 32)
#define DEPTH (8 / ROWS)
#define STEP (THREADS * 8)
#define OUTPUTS (GATED ? ROWS / 2 : ROWS) // columns of the output that a block computes

struct Arguments
{
    const T* x;
    const T* weight;
    const void* bias;
    OUT* output;
    i64 xStride;
    i64 weightStride;
    i64 outputStride;
    int tokens;
    int n;
    int k;
    int unused;
    int biasType;
    int run;  // gemv.cu
    int kind; // of the activation
};

// Weights are read once: they pass by the first-level cache, which is x's.
DEVICE uint4 load_streamed(const T* p)
{
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
    return v;
}

DEVICE void load_rows(uint4 (&w)[ROWS], const T* const (&rows)[ROWS], int column, int k)
{
#pragma unroll
    for (int r = 0; r < ROWS; r++) { w[r] = column < k ? load_streamed(rows[r] + column) : make_uint4(0, 0, 0, 0); }
}

DEVICE void accumulate(float (&sums)[ROWS][NT], const uint4 (&w)[ROWS], const uint4 (&x)[NT])
{
    float values[NT][8];
#pragma unroll
    for (int t = 0; t < NT; t++) { unpack8<T>(x[t], values[t]); }
#pragma unroll
    for (int r = 0; r < ROWS; r++)
    {
        float row[8];
        unpack8<T>(w[r], row);
#pragma unroll
        for (int t = 0; t < NT; t++)
        {
#pragma unroll
            for (int e = 0; e < 8; e++) { sums[r][t] = fmaf(row[e], values[t][e], sums[r][t]); }
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, NT == 1 && ROWS < 8 ? 8 : 6) gemv_few(const Arguments args)
{
    __shared__ float partial[WARPS][ROWS * NT];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    const int firstRow = blockIdx.x * OUTPUTS;
    const T* rows[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++)
    {
        const int row = min(firstRow + r % OUTPUTS, args.n - 1) + (r >= OUTPUTS ? args.n : 0);
        rows[r] = args.weight + (i64)row * args.weightStride;
    }

    uint4 w[DEPTH][ROWS];
#pragma unroll
    for (int d = 0; d < DEPTH; d++) { load_rows(w[d], rows, threadIdx.x * 8 + d * STEP, args.k); }
    pdl_launch();
    pdl_wait();

    float sums[ROWS][NT] = {};
    for (int column = threadIdx.x * 8; column < args.k; column += DEPTH * STEP)
    {
        uint4 x[DEPTH][NT];
#pragma unroll
        for (int d = 0; d < DEPTH; d++)
        {
            const int at = column + d * STEP;
#pragma unroll
            for (int t = 0; t < NT; t++)
            {
                x[d][t] = at < args.k ? *(const uint4*)(args.x + t * args.xStride + at) : make_uint4(0, 0, 0, 0);
            }
        }
#pragma unroll
        for (int d = 0; d < DEPTH; d++)
        {
            accumulate(sums, w[d], x[d]);
            load_rows(w[d], rows, column + (DEPTH + d) * STEP, args.k);
        }
    }

#pragma unroll
    for (int r = 0; r < ROWS; r++)
    {
#pragma unroll
        for (int t = 0; t < NT; t++)
        {
            const float sum = warp_sum(sums[r][t]);
            if (lane == 0) { partial[warp][r * NT + t] = sum; }
        }
    }
    __syncthreads();
    if (threadIdx.x < OUTPUTS * NT)
    {
        const int row = firstRow + threadIdx.x / NT, token = threadIdx.x % NT;
        if (row >= args.n) { return; }
        float sum = 0, up = 0;
#pragma unroll
        for (int i = 0; i < WARPS; i++)
        {
            sum += partial[i][threadIdx.x];
            if (GATED) { up += partial[i][threadIdx.x + OUTPUTS * NT * GATED]; }
        }
        if (args.bias != nullptr)
        {
            sum += load_any(args.bias, args.biasType, row);
            if (GATED) { up += load_any(args.bias, args.biasType, args.n + row); }
        }
        args.output[token * args.outputStride + row] = from_f32<OUT>(GATED ? activate(sum, args.kind) * up : sum);
    }
}
