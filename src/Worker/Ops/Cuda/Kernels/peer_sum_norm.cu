// peer_sum_norm: residual += sum over ranks of delta; output = norm of the new residual, by row: peer_sum and add_rms_norm in one
// kernel, with the same bits: the sum is rounded to T, then the new residual is, and squares are added in the order of rms_norm.cu.
// Defines: T activations, W weight, RANKS, KEPT. A row of up to KEPT * 4,096 elements is done by 512 threads or, where there are clusters
// (sm_90), by KEPT groups of 512 with eight elements each, in `parts` blocks (1, 2, 4 or 8; 1 before sm_90; two groups are two blocks
// at least, so that no block has more than 512 threads with up to 128 registers each): one multiprocessor stores and polls about 64 bytes
// a cycle, so that the packets of 8 KB from three peers (48 KB) would take it 0.4 us. Rows start at multiples of 16 bytes and have whole eights.
// A thread of rms_norm.cu has elements i, i + 4,096, ... of a row: here the second group goes on with the first one's sum of squares.
#include "peer.cuh"

#define WARPS 16
#define THREADS (WARPS * 32)
#define ITEMS ((int)(8 / PER)) // of a thread's eight elements
#if __CUDA_ARCH__ >= 900
#define GROUPS KEPT
#else
#define GROUPS 1
#endif
#define EIGHTS (KEPT / GROUPS) // of a thread

struct Arguments
{
    Group group;
    const T* delta;
    T* residual;
    const W* weight;
    T* output;
    i64 deltaStride;
    i64 residualStride;
    i64 outputStride;
    int rows;
    int columns;
    int rowItems;
    int parts;
    float epsilon;
};

#if __CUDA_ARCH__ >= 900
DEVICE void cluster_arrive() { asm volatile("barrier.cluster.arrive.release;" ::: "memory"); }
DEVICE void cluster_wait() { asm volatile("barrier.cluster.wait.acquire;" ::: "memory"); }
DEVICE void cluster_store(float* p, int block, float v)
{
    asm volatile("{ .reg .u32 a; mapa.shared::cluster.u32 a, %0, %1; st.shared::cluster.f32 [a], %2; }"
        :: "r"(shared_address(p)), "r"(block), "f"(v) : "memory");
}
#else
DEVICE void cluster_arrive() {}
DEVICE void cluster_wait() {}
DEVICE void cluster_store(float* p, int block, float v) { p[0] = v; }
#endif

// Sum over the row's 512 threads. partials: of this row; two of them take turns, so that one barrier a row is enough.
// Only the last group's threads count: `last`.
DEVICE float row_sum(const Arguments& args, float sum, int thread, bool last, float* partials, bool first)
{
    sum = warp_sum(sum);
    if (args.parts == 1)
    {
        if (last && threadIdx.x % 32 == 0) { partials[thread / 32] = sum; }
        __syncthreads();
    }
    else
    {
        if (first) { cluster_wait(); } // blocks whose memory is written must have begun
        if (last && threadIdx.x % 32 < args.parts) { cluster_store(partials + thread / 32, threadIdx.x % 32, sum); }
        cluster_arrive();
        cluster_wait();
    }
    float total = 0;
#pragma unroll
    for (int i = 0; i < WARPS; i++) { total += partials[i]; }
    return total;
}

// Eight elements as they lie in memory: half the registers of eight floats.
template <typename E> struct Eight { u32 words[2 * sizeof(E)]; };
template <typename E> DEVICE void load_eight(const E* p, Eight<E>& eight)
{
#pragma unroll
    for (int i = 0; i < (int)sizeof(E) / 2; i++)
    {
        const uint4 q = ((const uint4*)p)[i];
        eight.words[4 * i] = q.x; eight.words[4 * i + 1] = q.y; eight.words[4 * i + 2] = q.z; eight.words[4 * i + 3] = q.w;
    }
}
template <typename E> DEVICE void unpack_eight(const Eight<E>& eight, float (&v)[8])
{
#pragma unroll
    for (int i = 0; i < 2 * (int)sizeof(E); i++)
    {
        if constexpr (sizeof(E) == 4) { v[i] = __uint_as_float(eight.words[i]); }
        else { unpack2<E>(eight.words[i], v[2 * i], v[2 * i + 1]); }
    }
}

DEVICE void load_words(const Arguments& args, int row, int column, u32 (&words)[4])
{
    const uint4 q = *(const uint4*)(args.delta + row * args.deltaStride + column);
    words[0] = q.x; words[1] = q.y; words[2] = q.z; words[3] = q.w;
}

// kept += the sums of the items at a column that this rank makes (pass 0) or waits for (pass 1).
DEVICE void add_sums(const Arguments& args, const Call& call, int row, int column, int pass, Eight<T>& kept)
{
#pragma unroll
    for (int k = 0; k < ITEMS; k++)
    {
        const int item = row * args.rowItems + column / PER + k;
        if (sums_here(args.group, item) != (pass == 0)) { continue; }
        u32 words[4];
        if (pass == 0)
        {
            load_words(args, row, column + k * PER, words);
            sum_item<T>(args.group, call, item, words);
        }
        else { receive_item(args.group, call, item, words); }
        u32 (&own)[4] = *(u32(*)[4])(kept.words + 4 * k);
        float sum[PER] = {};
        add_words<T>(own, sum);
        add_words<T>(words, sum);
        round_words<T>(sum, own);
    }
}

DEVICE void add_squares(const float (&v)[8], float& sum)
{
#pragma unroll
    for (int e = 0; e < 8; e++) { sum = fmaf(v[e], v[e], sum); }
}

extern "C" __global__ void __launch_bounds__(THREADS) peer_sum_norm(const Arguments args)
{
    __shared__ float partials[2 * WARPS];
    __shared__ float squares[GROUPS == 1 ? 1 : THREADS / 2];
    pdl_launch();
    if (args.parts > 1) { cluster_arrive(); }
    const int each = blockDim.x / GROUPS, group = GROUPS == 1 ? 0 : threadIdx.x / each, place = threadIdx.x - group * each;
    const int part = blockIdx.x % args.parts, thread = part * each + place;
    const int firstRow = blockIdx.x / args.parts, rowStep = gridDim.x / args.parts;
    Eight<W> weight[EIGHTS];
#pragma unroll
    for (int j = 0; j < EIGHTS; j++)
    {
        const int column = ((group + j) * THREADS + thread) * 8;
        if (column < args.columns) { load_eight<W>(args.weight + column, weight[j]); }
    }
    pdl_wait();
    const Call call = begin_call(args.group);
    for (int row = firstRow; row < args.rows; row += rowStep)
    {
#pragma unroll
        for (int i = 0; i < EIGHTS * ITEMS; i++)
        {
            const int column = ((group + i / ITEMS) * THREADS + thread) * 8, k = i % ITEMS;
            const int item = row * args.rowItems + column / PER + k;
            if (column >= args.columns || (args.group.twoShot && sums_here(args.group, item))) { continue; }
            u32 words[4];
            load_words(args, row, column + k * PER, words);
            send_item(args.group, call, item, words);
        }
    }
    arrive(args.group, call);
    int turn = 0;
    for (int row = firstRow; row < args.rows; row += rowStep, turn ^= 1)
    {
        T* residual = args.residual + row * args.residualStride;
        Eight<T> kept[EIGHTS] = {};
#pragma unroll
        for (int j = 0; j < EIGHTS; j++)
        {
            const int column = ((group + j) * THREADS + thread) * 8;
            if (column < args.columns) { load_eight<T>(residual + column, kept[j]); }
        }
        for (int pass = 0; pass <= args.group.twoShot; pass++)
        {
#pragma unroll
            for (int j = 0; j < EIGHTS; j++)
            {
                const int column = ((group + j) * THREADS + thread) * 8;
                if (column < args.columns) { add_sums(args, call, row, column, pass, kept[j]); }
            }
        }
        float sum = 0;
#pragma unroll
        for (int j = 0; j < EIGHTS; j++)
        {
            const int column = ((group + j) * THREADS + thread) * 8;
            if (column >= args.columns) { continue; }
            float v[8];
            unpack_eight<T>(kept[j], v);
            store8<T>(residual + column, v);
            if (group == 0) { add_squares(v, sum); }
        }
        if (GROUPS == 2)
        {
            if (group == 0) { squares[place] = sum; }
            __syncthreads();
            if (group == 1)
            {
                float v[8];
                unpack_eight<T>(kept[0], v); // zeros beyond the row
                sum = squares[place];
                add_squares(v, sum);
            }
        }
        const float total = row_sum(args, sum, thread, group == GROUPS - 1, partials + turn * WARPS, row == firstRow);
        const float factor = 1.0f / sqrtf(total / args.columns + args.epsilon);
#pragma unroll
        for (int j = 0; j < EIGHTS; j++)
        {
            const int column = ((group + j) * THREADS + thread) * 8;
            if (column >= args.columns) { continue; }
            float v[8], w[8];
            unpack_eight<T>(kept[j], v);
            unpack_eight<W>(weight[j], w);
#pragma unroll
            for (int e = 0; e < 8; e++) { v[e] = w[e] * (v[e] * factor); }
            store8<T>(args.output + row * args.outputStride + column, v);
        }
    }
}
