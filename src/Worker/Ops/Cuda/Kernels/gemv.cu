// output[t][n] = sum over k of x[t][k] * weight[n][k] (+ bias[n]) for 1 to 16 rows t, at the speed of memory.
// Defines: T bf16 or f16 (x and weight); OUT the output's type; MT 16-row tiles of weights a block; NT 8-row tiles of x;
// GATED 1: the weight is [gate | up], 2 n rows, and output = act(gate . x) * (up . x): a tile is 8 gate rows and the same rows of up.
//
// A block owns up to 16 * MT weight rows; its 8 warps share K out in steps of 32 and add up at the end in shared memory, in
// a fixed order. Each thread streams its own 16-byte pieces through a ring of its own in shared memory (no barrier needed: it
// reads only what it copied), so 64 KB a block are in flight whatever the compiler does with registers.
// Tensor cores serve even one row: a step costs two mma and no unpacking. The sum over k takes any order, so lane (g, q)
// feeds 8 consecutive elements of row g as it finds them: elements 0-3 are its part of one mma, 4-7 of the next, on both sides.
// rowsPerBlock is chosen by the launcher so that blocks come out even over the multiprocessors; 1,536 rows: 128 blocks of 12.
// A warp takes runs of steps that lie side by side: 64 bytes of a row at a time from eight warps in turn would open the same page of
// memory again and again; a run of four is 256 bytes.
#include "activation.cuh"

#define WARPS 8
#define THREADS (WARPS * 32)
#define STAGES (8 / MT)
#define PIECES (2 * MT)
#define AHEAD 4
#define TILE (16 * MT)
#define PADDED (TILE + 4)
#define OUTPUTS (GATED ? TILE / 2 : TILE) // columns of the output that a block may compute

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
    int rowsPerBlock; // columns of the output that a block computes
    int biasType;
    int run;          // log2 of the steps of a run
    int kind;         // of the activation
};

// Column of this lane's part of the warp's step i.
DEVICE int column_of(const Arguments& args, int warp, int i, int q)
{
    const int step = ((((i >> args.run) * WARPS) + warp) << args.run) + (i & ((1 << args.run) - 1));
    return step * 32 + q * 8;
}

// The x pieces of AHEAD steps; rows past the last repeat it (their columns of the result are dropped).
DEVICE void load_x(uint4 (&v)[AHEAD][NT], const T* const (&rows)[NT], const Arguments& args, int warp, int first, int q)
{
#pragma unroll
    for (int a = 0; a < AHEAD; a++)
    {
        const int at = column_of(args, warp, first + a, q);
#pragma unroll
        for (int t = 0; t < NT; t++)
        {
            v[a][t] = at < args.k ? *(const uint4*)(rows[t] + at) : make_uint4(0, 0, 0, 0);
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) gemv(const Arguments args)
{
    extern __shared__ uint4 ring[];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, q = lane & 3;
    const int firstRow = blockIdx.x * args.rowsPerBlock;
    const int rows = min(args.rowsPerBlock, args.n - firstRow);
    // Whole runs; the last may reach past the end, where everything is 0.
    const int runs = (((args.k + 31) / 32 - 1) >> args.run) + 1;
    const int own = runs > warp ? ((runs - warp + WARPS - 1) / WARPS) << args.run : 0;

    const T* sources[PIECES];
    bool present[PIECES];
#pragma unroll
    for (int p = 0; p < PIECES; p++)
    {
        const int row = (GATED ? p / 2 : p) * 8 + g;
        present[p] = row < rows;
        sources[p] = args.weight + (i64)(firstRow + (present[p] ? row : 0) + (GATED && p % 2 ? args.n : 0)) * args.weightStride;
    }

    const u32 slots = shared_address(ring + threadIdx.x);
    auto issue = [&](int i)
    {
        const int at = column_of(args, warp, i, q);
        const bool inside = i < own && at < args.k;
#pragma unroll
        for (int p = 0; p < PIECES; p++)
        {
            const bool real = inside && present[p];
            copy_async(slots + ((i & (STAGES - 1)) * PIECES + p) * (THREADS * 16), sources[p] + (real ? at : 0), real ? 16 : 0);
        }
        copy_commit();
    };

#pragma unroll
    for (int i = 0; i < STAGES - 1; i++) { issue(i); }
    pdl_launch();
    pdl_wait();

    const T* xRows[NT];
#pragma unroll
    for (int t = 0; t < NT; t++) { xRows[t] = args.x + (i64)min(t * 8 + g, args.tokens - 1) * args.xStride; }

    float sums[MT][NT][4] = {};
    uint4 next[AHEAD][NT];
    load_x(next, xRows, args, warp, 0, q);
    for (int base = 0; base < own; base += AHEAD)
    {
        uint4 x[AHEAD][NT];
#pragma unroll
        for (int a = 0; a < AHEAD; a++)
        {
#pragma unroll
            for (int t = 0; t < NT; t++) { x[a][t] = next[a][t]; }
        }
        load_x(next, xRows, args, warp, base + AHEAD, q);
#pragma unroll
        for (int a = 0; a < AHEAD; a++)
        {
            if (base + a >= own) { break; }
            copy_wait<STAGES - 2>();
            uint4 w[PIECES];
#pragma unroll
            for (int p = 0; p < PIECES; p++) { w[p] = ring[(((base + a) & (STAGES - 1)) * PIECES + p) * THREADS + threadIdx.x]; }
            issue(base + a + STAGES - 1); // into the slot of the step before, whose values are used up
#pragma unroll
            for (int m = 0; m < MT; m++)
            {
#pragma unroll
                for (int t = 0; t < NT; t++)
                {
                    mma<T>(sums[m][t], w[2 * m].x, w[2 * m + 1].x, w[2 * m].y, w[2 * m + 1].y, x[a][t].x, x[a][t].y);
                    mma<T>(sums[m][t], w[2 * m].z, w[2 * m + 1].z, w[2 * m].w, w[2 * m + 1].w, x[a][t].z, x[a][t].w);
                }
            }
        }
    }

    copy_wait<0>();
    __syncthreads(); // the ring becomes the place where warps add up
    float* partial = (float*)ring;
#pragma unroll
    for (int m = 0; m < MT; m++)
    {
#pragma unroll
        for (int t = 0; t < NT; t++)
        {
#pragma unroll
            for (int c = 0; c < 4; c++)
            {
                const int token = t * 8 + q * 2 + (c & 1), row = m * 16 + g + (c >> 1) * 8;
                partial[(warp * NT * 8 + token) * PADDED + row] = sums[m][t][c];
            }
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < args.tokens * OUTPUTS; i += THREADS)
    {
        const int token = i / OUTPUTS, row = i % OUTPUTS;
        if (row >= rows) { continue; }
        const int at = GATED ? row / 8 * 16 + row % 8 : row;
        float sum = 0, up = 0;
#pragma unroll
        for (int s = 0; s < WARPS; s++)
        {
            sum += partial[(s * NT * 8 + token) * PADDED + at];
            if (GATED) { up += partial[(s * NT * 8 + token) * PADDED + at + 8]; }
        }
        if (args.bias != nullptr)
        {
            sum += load_any(args.bias, args.biasType, firstRow + row);
            if (GATED) { up += load_any(args.bias, args.biasType, args.n + firstRow + row); }
        }
        args.output[token * args.outputStride + firstRow + row] = from_f32<OUT>(GATED ? activate(sum, args.kind) * up : sum);
    }
}
