// How attention_decode.cu joins the parts of a context: through global memory or, with CLUSTER, through the shared memory of the
// blocks of a cluster. A part is maximum, sum and unnormalised output of each head. Included by that file, after its defines.
#pragma once

#define MAX_SPLITS 128
#define PARTIAL (HEAD_DIM + 2)
#define BATCH 16
#define HEAD_PAIRS (HEAD_DIM / 2)

// Joins per-warp or per-block results: weight of part i is exp2(maximum_i - greatest maximum).
DEVICE float weight_of(float maximum, float greatest) { return maximum == NEGATIVE_INFINITY ? 0.0f : fast_exp2(maximum - greatest); }

DEVICE float2 read_through(const float* p)
{
    float2 v;
    asm volatile("ld.global.cg.v2.f32 {%0, %1}, [%2];" : "=f"(v.x), "=f"(v.y) : "l"(p) : "memory");
    return v;
}

// Maximum and sum of all parts of one head: a lane for each part, so that their reads are under way together. Leaves
// weights[part] = exp2(maximum_part - greatest) / total.
DEVICE void weigh_parts(const float* partials, int active, float* weights)
{
    const int lane = threadIdx.x & 31;
    float maxima[MAX_SPLITS / 32], sums[MAX_SPLITS / 32];
    float greatest = NEGATIVE_INFINITY, total = 0;
#pragma unroll
    for (int j = 0; j < MAX_SPLITS / 32; j++)
    {
        const int i = j * 32 + lane;
        const float2 both = i < active
            ? read_through(partials + (i64)i * 16 * PARTIAL + HEAD_DIM) : make_float2(NEGATIVE_INFINITY, 0.0f);
        maxima[j] = both.x;
        sums[j] = both.y;
    }
#pragma unroll
    for (int j = 0; j < MAX_SPLITS / 32; j++) { greatest = fmaxf(greatest, maxima[j]); }
#pragma unroll
    for (int offset = 16; offset > 0; offset >>= 1) { greatest = fmaxf(greatest, __shfl_xor_sync(FULL_WARP, greatest, offset)); }
#pragma unroll
    for (int j = 0; j < MAX_SPLITS / 32; j++)
    {
        maxima[j] = weight_of(maxima[j], greatest);
        total += maxima[j] * sums[j];
    }
    total = warp_sum(total);
#pragma unroll
    for (int j = 0; j < MAX_SPLITS / 32; j++)
    {
        if (j * 32 + lane < active) { weights[j * 32 + lane] = maxima[j] / total; }
    }
}

// The block that arrived last: output = sum over parts, in their order, of weight times part. Reads go out in batches: one
// after the other they would cost a trip to the second-level cache each (10 parts: 10 trips of 0.2 us for each element).
DEVICE void join_parts(const float* partials, T* output, int firstHead, int heads, int active, float* weights)
{
    for (int head = threadIdx.x >> 5; head < heads; head += WARPS)
    {
        weigh_parts(partials + head * PARTIAL, active, weights + head * MAX_SPLITS);
    }
    __syncthreads();
    for (int e = threadIdx.x; e < heads * HEAD_DIM / 2; e += THREADS)
    {
        const int head = e / (HEAD_DIM / 2), d = e % (HEAD_DIM / 2) * 2;
        const float* source = partials + head * PARTIAL + d;
        float2 sum = make_float2(0.0f, 0.0f);
        for (int base = 0; base < active; base += BATCH)
        {
            float2 values[BATCH];
#pragma unroll
            for (int i = 0; i < BATCH; i++)
            {
                values[i] = base + i < active
                    ? read_through(source + (i64)(base + i) * 16 * PARTIAL) : make_float2(0.0f, 0.0f);
            }
#pragma unroll
            for (int i = 0; i < BATCH; i++)
            {
                if (base + i >= active) { break; }
                const float weight = weights[head * MAX_SPLITS + base + i];
                sum.x = fmaf(weight, values[i].x, sum.x);
                sum.y = fmaf(weight, values[i].y, sum.y);
            }
        }
        *(u32*)(output + (firstHead + head) * HEAD_DIM + d) = pack2<T>(sum.x, sum.y);
    }
}

#if CLUSTER
DEVICE void cluster_arrive() { asm volatile("barrier.cluster.arrive.release;" ::: "memory"); }
DEVICE void cluster_wait() { asm volatile("barrier.cluster.wait.acquire;" ::: "memory"); }
DEVICE void cluster_store(float2* p, int block, float2 v)
{
    asm volatile("{ .reg .u32 a; mapa.shared::cluster.u32 a, %0, %1; st.shared::cluster.v2.f32 [a], {%2, %3}; }"
        :: "r"(shared_address(p)), "r"(block), "f"(v.x), "f"(v.y) : "memory");
}

// A cluster's blocks are the parts: each sends every block its share of the outputs and all maxima and sums, and then adds up its own
// share. 4 heads of 128 over 8 blocks: 256 pairs, 32 to a block.
struct Shares
{
    float2* values;         // [part][pairs of a block]
    float2* sums;           // [part][head]: maximum, sum
    int heads;
    int each;               // pairs of a block
};

DEVICE Shares shares_in(float2* memory, int heads)
{
    Shares shares;
    shares.heads = heads;
    shares.each = (heads * HEAD_PAIRS + gridDim.x - 1) / gridDim.x;
    shares.values = memory;
    shares.sums = memory + gridDim.x * shares.each;
    return shares;
}

DEVICE void send_pair(const Shares& shares, int pair, float2 value, float maximum, float sum)
{
    const int block = pair / shares.each, head = pair / HEAD_PAIRS;
    cluster_store(shares.values + blockIdx.x * shares.each + pair - block * shares.each, block, value);
    for (int b = pair % HEAD_PAIRS; b < (int)gridDim.x; b += HEAD_PAIRS)
    {
        cluster_store(shares.sums + blockIdx.x * shares.heads + head, b, make_float2(maximum, sum));
    }
}

// After the barrier that ends the sending: nobody reads another block's memory, so a block may end at once.
DEVICE void join_shares(const Shares& shares, T* output)
{
    for (int i = threadIdx.x; i < shares.each; i += blockDim.x)
    {
        const int pair = blockIdx.x * shares.each + i, head = pair / HEAD_PAIRS;
        if (pair >= shares.heads * HEAD_PAIRS) { return; }
        float greatest = NEGATIVE_INFINITY, total = 0;
        float2 sum = make_float2(0.0f, 0.0f);
        for (int b = 0; b < (int)gridDim.x; b++) { greatest = fmaxf(greatest, shares.sums[b * shares.heads + head].x); }
        for (int b = 0; b < (int)gridDim.x; b++)
        {
            const float2 both = shares.sums[b * shares.heads + head], value = shares.values[b * shares.each + i];
            const float weight = weight_of(both.x, greatest);
            total = fmaf(weight, both.y, total);
            sum.x = fmaf(weight, value.x, sum.x);
            sum.y = fmaf(weight, value.y, sum.y);
        }
        *(u32*)(output + pair * 2) = pack2<T>(sum.x / total, sum.y / total);
    }
}
#endif
