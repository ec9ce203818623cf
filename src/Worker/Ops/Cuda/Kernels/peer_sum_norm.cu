// peer_sum_norm: residual += sum over ranks of delta; output = norm of the new residual, by row: peer_sum and add_rms_norm in one
// kernel, with the same bits: the sum is rounded to T, then the new residual is, and squares are added in the order of rms_norm.cu.
// Defines: T activations, W weight, RANKS, KEPT. A row of up to KEPT * 4,096 elements is done by 512 threads, in `parts` blocks of a
// cluster (1, 2, 4 or 8; 1 before sm_90): one multiprocessor stores and polls about 64 bytes a cycle, so that the packets of 8 KB
// from three peers (48 KB) would take it 0.4 us. Rows start at multiples of 16 bytes and have whole eights.
#include "peer.cuh"

#define WARPS 16
#define THREADS (WARPS * 32)
#define ITEMS ((int)(8 / PER)) // of a thread's eight elements
#define COUNT (KEPT * ITEMS)   // of a thread's items in a row

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
DEVICE float row_sum(const Arguments& args, float sum, int thread, float* partials, bool first)
{
    sum = warp_sum(sum);
    if (args.parts == 1)
    {
        if (threadIdx.x % 32 == 0) { partials[thread / 32] = sum; }
        __syncthreads();
    }
    else
    {
        if (first) { cluster_wait(); } // blocks whose memory is written must have begun
        if (threadIdx.x % 32 < args.parts) { cluster_store(partials + thread / 32, threadIdx.x % 32, sum); }
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

// Column of item n of a thread.
DEVICE int column_of(int thread, int n) { return (n / ITEMS * THREADS + thread) * 8 + n % ITEMS * PER; }

// Sends this thread's items of a row, all of which it loads first.
DEVICE void send_row(const Arguments& args, const Call& call, int row, int thread)
{
    u32 words[COUNT][4];
    bool sent[COUNT];
#pragma unroll
    for (int n = 0; n < COUNT; n++)
    {
        const int column = column_of(thread, n);
        sent[n] = column < args.columns && !(args.group.twoShot && sums_here(args.group, row * args.rowItems + column / PER));
        if (sent[n]) { load_words(args, row, column, words[n]); }
    }
#pragma unroll
    for (int n = 0; n < COUNT; n++)
    {
        if (sent[n]) { send_item(args.group, call, row * args.rowItems + column_of(thread, n) / PER, words[n]); }
    }
}

DEVICE void add_to(Eight<T>& kept, int n, const u32 (&words)[4])
{
    u32 (&own)[4] = *(u32(*)[4])(kept.words + 4 * (n % ITEMS));
    float sum[PER] = {};
    add_words<T>(own, sum);
    add_words<T>(words, sum);
    round_words<T>(sum, own);
}

// kept += the sums of a row: first those that this rank makes, then, in two shots, those that others do.
DEVICE void add_sums(const Arguments& args, const Call& call, int row, int thread, Eight<T> (&kept)[KEPT])
{
    constexpr int together = RANKS > 4 ? 1 : COUNT;
    Sums<T, together> sums[COUNT / together];
#pragma unroll
    for (int n = 0; n < COUNT; n++)
    {
        Sums<T, together>& s = sums[n / together];
        const int i = n % together, column = column_of(thread, n);
        s.items[i] = row * args.rowItems + column / PER;
        s.wanted[i] = column < args.columns && sums_here(args.group, s.items[i]);
        if (s.wanted[i]) { load_words(args, row, column, s.words[i]); }
    }
#pragma unroll
    for (int n = 0; n < COUNT; n += together) { sum_items<T, together>(args.group, call, sums[n / together]); }
#pragma unroll
    for (int n = 0; n < COUNT; n++)
    {
        Sums<T, together>& s = sums[n / together];
        const int i = n % together;
        if (column_of(thread, n) >= args.columns) { continue; }
        if (!s.wanted[i]) { receive_item(args.group, call, s.items[i], s.words[i]); }
        add_to(kept[n / ITEMS], n, s.words[i]);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) peer_sum_norm(const Arguments args)
{
    __shared__ float partials[2 * WARPS];
    pdl_launch();
    if (args.parts > 1) { cluster_arrive(); }
    const int part = blockIdx.x % args.parts, thread = part * blockDim.x + threadIdx.x;
    const int firstRow = blockIdx.x / args.parts, rowStep = gridDim.x / args.parts;
    Eight<W> weight[KEPT];
#pragma unroll
    for (int j = 0; j < KEPT; j++)
    {
        const int column = (j * THREADS + thread) * 8;
        if (column < args.columns) { load_eight<W>(args.weight + column, weight[j]); }
    }
    pdl_wait();
    const Call call = begin_call(args.group);
    for (int row = firstRow; row < args.rows; row += rowStep)
    {
        send_row(args, call, row, thread);
    }
    arrive(args.group, call);
    int turn = 0;
    for (int row = firstRow; row < args.rows; row += rowStep, turn ^= 1)
    {
        T* residual = args.residual + row * args.residualStride;
        Eight<T> kept[KEPT];
#pragma unroll
        for (int j = 0; j < KEPT; j++)
        {
            const int column = (j * THREADS + thread) * 8;
            if (column < args.columns) { load_eight<T>(residual + column, kept[j]); }
        }
        add_sums(args, call, row, thread, kept);
        float sum = 0;
#pragma unroll
        for (int j = 0; j < KEPT; j++)
        {
            const int column = (j * THREADS + thread) * 8;
            if (column < args.columns)
            {
                float v[8];
                unpack_eight<T>(kept[j], v);
                store8<T>(residual + column, v);
#pragma unroll
                for (int e = 0; e < 8; e++) { sum = fmaf(v[e], v[e], sum); }
            }
        }
        const float total = row_sum(args, sum, thread, partials + turn * WARPS, row == firstRow);
        const float factor = 1.0f / sqrtf(total / args.columns + args.epsilon);
#pragma unroll
        for (int j = 0; j < KEPT; j++)
        {
            const int column = (j * THREADS + thread) * 8;
            if (column < args.columns)
            {
                float v[8], w[8];
                unpack_eight<T>(kept[j], v);
                unpack_eight<W>(weight[j], w);
#pragma unroll
                for (int e = 0; e < 8; e++) { v[e] = w[e] * (v[e] * factor); }
                store8<T>(args.output + row * args.outputStride + column, v);
            }
        }
    }
}
