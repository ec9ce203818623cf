// output[t][n] = sum over k of x[t][k] * weight[n][k] (+ bias[n]) for up to ROWS rows t on Hopper's tensor cores (sm_90a), at the speed
// of memory: up to 64 rows a product takes as long as its weights take to be read, if reading never rests.
// Defines: T bf16 or f16 (x and weight); OUT the output's type; ROWS of x that there is room for (16, 32 or 64); STAGES of the ring;
// GATED 1: the weight is [gate | up], 2 n rows, and output = act(gate . x) * (up . x).
//
// A block has 128 weight rows (gated: 64 of gate and the same 64 of up) and a part of K; the blocks of a cluster have the same rows and
// share K out. One warp copies tiles of 64 columns into a ring by tensor maps (the copy engine permutes them as the products want
// them); two warpgroups multiply, 64 weight rows each, the weight as the first operand: x's few rows are the columns of the result. The
// whole ring of weights is on its way before the predecessor has ended: 9 stages on 128 multiprocessors are 19 MB, or 4.5 us of reading,
// while a sum between GPUs goes on. Blocks of a cluster then add up their parts through each other's shared memory, in the
// order of K, so results repeat exactly.
// (Asking for later tiles in the second-level cache while the ring is full cost 15 to 40 % of a step: they were read twice.)
#include "activation.cuh"
#include "wgmma.cuh"

#define TILE 128  // weight rows of a block
#define DEPTH 64  // columns of a stage: 128 bytes
#define GROUP 128 // threads of a warpgroup
#define GROUP_ROWS 64
#define PRODUCT_THREADS (2 * GROUP)
#define THREADS (PRODUCT_THREADS + 32)
#define WEIGHT_BYTES (TILE * 128)
#define X_BYTES (ROWS * 128)
#define STAGE_BYTES (WEIGHT_BYTES + X_BYTES)
#define PADDED (TILE + 4) // of a token's part, so that the lanes of a warp store into different banks
#define OUTPUTS (GATED ? GROUP_ROWS : TILE)
#define MOST_PARTS 8

// Opaque to all but the copy engine: CudaTensorMap.cs.
struct __align__(64) TensorMap { u64 words[16]; };

struct Arguments
{
    TensorMap weight; // boxes of 64 rows and 64 columns
    TensorMap x;      // boxes of ROWS rows and 64 columns; what is outside of x is zeros
    const void* bias;
    OUT* output;
    i64 outputStride;
    int tokens;
    int n;            // columns of the output
    int k;
    int biasType;
    int kind;         // of the activation
    int wide;         // rows of the output start at multiples of four elements
};

// Tiles of columns of this block, and its ring.
struct Ring
{
    u32 stages;
    u32 barriers;
    int first;
    int count;
    DEVICE u32 weight(int t) const { return stages + (u32)t % STAGES * STAGE_BYTES; }
    DEVICE u32 x(int t) const { return weight(t) + WEIGHT_BYTES; }
    DEVICE u32 there(int t) const { return barriers + (u32)t % STAGES * 8; }
    DEVICE u32 used(int t) const { return barriers + (STAGES + (u32)t % STAGES) * 8; }
    DEVICE static int round(int t) { return (u32)t / STAGES & 1; }
};

// Starts copying a box at (column, row) into shared memory; the barrier counts its bytes.
DEVICE void copy_box(u32 target, const TensorMap& map, int column, int row, u32 barrier)
{
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];"
        :: "r"(target), "l"(&map), "r"(column), "r"(row), "r"(barrier) : "memory");
}

DEVICE void copy_weight(const Arguments& args, const Ring& ring, int t)
{
    const u32 there = ring.there(t);
    const int column = (ring.first + t) * DEPTH, row = blockIdx.y * OUTPUTS;
    asm volatile("{ .reg .b64 s; mbarrier.arrive.expect_tx.shared::cta.b64 s, [%0], %1; }" :: "r"(there), "n"(STAGE_BYTES) : "memory");
    copy_box(ring.weight(t), args.weight, column, row, there);
    copy_box(ring.weight(t) + GROUP_ROWS * 128, args.weight, column, GATED ? args.n + row : row + GROUP_ROWS, there);
}

DEVICE void copy_x(const Arguments& args, const Ring& ring, int t)
{
    copy_box(ring.x(t), args.x, (ring.first + t) * DEPTH, 0, ring.there(t));
}

// The copying warp: its first lane copies, the others keep step.
DEVICE void copy_tiles(const Arguments& args, const Ring& ring)
{
    const bool leads = (threadIdx.x & 31) == 0;
    const int ahead = min(ring.count, STAGES);
    for (int t = 0; t < ahead && leads; t++) { copy_weight(args, ring, t); }
    pdl_wait();
    for (int t = 0; t < ahead && leads; t++) { copy_x(args, ring, t); }
    for (int t = STAGES; t < ring.count; t++)
    {
        barrier_wait(ring.used(t), ring.round(t) ^ 1);
        if (!leads) { continue; }
        copy_weight(args, ring, t);
        copy_x(args, ring, t);
    }
}

// A warpgroup's 64 weight rows times x, into partial[token][weight row].
DEVICE void multiply(const Ring& ring, int group, float* partial)
{
    const int lane = threadIdx.x & 31, warp = threadIdx.x / 32 % 4;
    float sums[ROWS / 8][4] = {};
    auto start = [&](int t)
    {
        barrier_wait(ring.there(t), ring.round(t));
        const u64 a = matrix_descriptor(ring.weight(t) + group * GROUP_ROWS * 128, 16), b = matrix_descriptor(ring.x(t), 16);
        wgmma_fence();
#pragma unroll
        for (int s = 0; s < DEPTH / 16; s++) { wgmma_along<T, ROWS>(sums, a + (s * 32 >> 4), b + (s * 32 >> 4), 1); }
        wgmma_commit();
    };
    start(0);
    for (int t = 1; t < ring.count; t++)
    {
        start(t);
        wgmma_wait<1>();
        if (lane == 0) { barrier_arrive(ring.used(t - 1)); }
    }
    wgmma_wait<0>();
    hold(sums);
    numbered_meet(1, PRODUCT_THREADS); // the ring becomes the place of the sums
#pragma unroll
    for (int j = 0; j < ROWS / 8; j++)
    {
#pragma unroll
        for (int c = 0; c < 4; c++)
        {
            const int token = j * 8 + (lane & 3) * 2 + (c & 1);
            partial[token * PADDED + group * GROUP_ROWS + warp * 16 + (lane >> 2) + (c >> 1) * 8] = sums[j][c];
        }
    }
}

DEVICE void cluster_meet() { asm volatile("barrier.cluster.arrive.release; barrier.cluster.wait.acquire;" ::: "memory"); }

// Four sums over the blocks of the cluster, in their order.
DEVICE void add_parts(const float* own, int parts, float (&sum)[4])
{
    const u32 address = shared_address(own);
    float v[MOST_PARTS][4];
#pragma unroll
    for (int r = 0; r < MOST_PARTS; r++)
    {
        if (r >= parts) { break; }
        asm volatile("{ .reg .u32 a; mapa.shared::cluster.u32 a, %4, %5; ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [a]; }"
            : "=f"(v[r][0]), "=f"(v[r][1]), "=f"(v[r][2]), "=f"(v[r][3]) : "r"(address), "r"(r) : "memory");
    }
#pragma unroll
    for (int e = 0; e < 4; e++) { sum[e] = 0; }
#pragma unroll
    for (int r = 0; r < MOST_PARTS; r++)
    {
        if (r >= parts) { break; }
#pragma unroll
        for (int e = 0; e < 4; e++) { sum[e] += v[r][e]; }
    }
}

DEVICE float bias_of(const Arguments& args, int row) { return args.bias == nullptr ? 0.0f : load_any(args.bias, args.biasType, row); }

template <typename E> DEVICE void store_four(const Arguments& args, int token, int row, const float (&v)[4])
{
    E* target = args.output + token * args.outputStride + row;
    if (args.wide && row + 4 <= args.n)
    {
        if constexpr (sizeof(E) == 4) { *(float4*)target = make_float4(v[0], v[1], v[2], v[3]); }
        else { *(uint2*)target = make_uint2(pack2<E>(v[0], v[1]), pack2<E>(v[2], v[3])); }
        return;
    }
#pragma unroll
    for (int e = 0; e < 4; e++)
    {
        if (row + e < args.n) { target[e] = from_f32<E>(v[e]); }
    }
}

// This block's share of the tile's outputs, four weight rows of a token at a time.
DEVICE void store_share(const Arguments& args, const float* partial)
{
    const int parts = gridDim.x, fours = OUTPUTS / 4, all = args.tokens * fours;
    const int end = all * (blockIdx.x + 1) / parts;
    for (int i = all * blockIdx.x / parts + threadIdx.x; i < end; i += PRODUCT_THREADS)
    {
        const int token = i / fours, inTile = i % fours * 4, row = blockIdx.y * OUTPUTS + inTile;
        if (row >= args.n) { continue; }
        float v[4];
        add_parts(partial + token * PADDED + inTile, parts, v);
        if constexpr (GATED)
        {
            float up[4];
            add_parts(partial + token * PADDED + GROUP_ROWS + inTile, parts, up);
#pragma unroll
            for (int e = 0; e < 4; e++)
            {
                const int at = min(row + e, args.n - 1);
                v[e] = activate(v[e] + bias_of(args, at), args.kind) * (up[e] + bias_of(args, args.n + at));
            }
        }
        else
        {
#pragma unroll
            for (int e = 0; e < 4; e++) { v[e] += bias_of(args, min(row + e, args.n - 1)); }
        }
        store_four<OUT>(args, token, row, v);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, STAGES < 7 ? 2 : 1) gemm_stream(const __grid_constant__ Arguments args)
{
    extern __shared__ uint4 memory[];
    __shared__ u64 barriers[2 * STAGES];
    const u32 start = shared_address(memory), skipped = (1024 - start % 1024) % 1024;
    const int tiles = (args.k + DEPTH - 1) / DEPTH, parts = gridDim.x, part = blockIdx.x;
    Ring ring;
    ring.stages = start + skipped;
    ring.barriers = shared_address(barriers);
    ring.first = (int)((i64)tiles * part / parts);
    ring.count = (int)((i64)tiles * (part + 1) / parts) - ring.first;
    if (threadIdx.x == 0)
    {
        for (int i = 0; i < STAGES; i++)
        {
            barrier_create(ring.barriers + i * 8, 1);                                    // there: who copies, and the bytes
            barrier_create(ring.barriers + (STAGES + i) * 8, PRODUCT_THREADS / 32);      // used: every warp of both groups
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); // the copy engine sees them
    }
    __syncthreads();
    pdl_launch();

    float* partial = (float*)((char*)memory + skipped);
    const int group = __shfl_sync(FULL_WARP, threadIdx.x / GROUP, 0);
    if (group == 2) { copy_tiles(args, ring); }
    else
    {
        pdl_wait();
        multiply(ring, group, partial);
        if (parts == 1) { numbered_meet(1, PRODUCT_THREADS); }
    }
    if (parts > 1) { cluster_meet(); } // all sums are there
    if (group < 2) { store_share(args, partial); }
    if (parts > 1) { cluster_meet(); } // nobody reads this block's sums any more
}
