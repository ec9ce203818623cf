// Attention of sequences that have one row in this step, their context split over blocks (flash decoding).
//
// Grid: (splits, kvHeads * ceil(groupSize / 16), sequences). A block serves up to 16 query heads that share a KV head, as the
// 16 rows of the tensor-core tiles, over one part of the context; its warps take 16 tokens at a time, each through a ring
// of its own in shared memory, and join at the end. With more than one part, each block leaves maximum, sum and output
// (unnormalised, f32) in `partials`; the block that arrives last joins the parts in their order, so results repeat exactly.
// Defines besides attention.cuh's: WARPS and STAGES, as many as the device's shared memory takes (4 and 3 where it can); ROPE 1: the
// work of rope.cu is done on the way (rotary size HEAD_DIM, a multiple of 32): q is rotated in registers; the new token's key and value
// go from the fused row into the tile that they belong to, and into the cache.
// How many parts have work follows from the position on the device: a captured launch serves any context up to its capture's.
#include "attention.cuh"

#define THREADS (WARPS * 32)
#define TOKENS 16
#define TILE_BYTES (TOKENS * ROW * 2)
#define MAX_SPLITS 128
#define PARTIAL (HEAD_DIM + 2)
#define BATCH 16

// Joins per-warp or per-block results: weight of part i is exp2(maximum_i - greatest maximum).
DEVICE float weight_of(float maximum, float greatest) { return maximum == NEGATIVE_INFINITY ? 0.0f : fast_exp2(maximum - greatest); }

DEVICE float2 read_through(const float* p)
{
    float2 v;
    asm volatile("ld.global.cg.v2.f32 {%0, %1}, [%2];" : "=f"(v.x), "=f"(v.y) : "l"(p) : "memory");
    return v;
}

#if ROPE
#define HALF (HEAD_DIM / 2)
#define PAIRS ((HEAD_DIM / 4 + 31) / 32) // of elements that lie side by side, in each half of a head, by a lane
#define PAIR (p * 32 + (threadIdx.x & 31))

// (x1, x2) -> (x1 cos - x2 sin, x2 cos + x1 sin) for two elements that lie side by side in each half; rounded as they are stored.
DEVICE void rotate_pair(u32& low, u32& high, const float* cosSin, int d)
{
    const float2 c = *(const float2*)(cosSin + d), s = *(const float2*)(cosSin + HALF + d);
    float a0, a1, b0, b1;
    unpack2<T>(low, a0, a1);
    unpack2<T>(high, b0, b1);
    low = pack2<T>(a0 * c.x - b0 * s.x, a1 * c.y - b1 * s.y);
    high = pack2<T>(b0 * c.x + a0 * s.x, b1 * c.y + a1 * s.y);
}

// A q fragment holds d and d + HEAD_DIM / 2 of a row in the same lane, STEPS / 2 steps apart.
DEVICE void rotate_query(u32 (&fragments)[STEPS][4], const float* cosSin)
{
#pragma unroll
    for (int s = 0; s < STEPS / 2; s++)
    {
#pragma unroll
        for (int i = 0; i < 4; i++)
        {
            rotate_pair(fragments[s][i], fragments[s + STEPS / 2][i], cosSin, s * 16 + (i >> 1) * 8 + (threadIdx.x & 3) * 2);
        }
    }
}

// The new token's key and value, a warp together.
struct NewToken
{
    u32 key[2][PAIRS];
    u32 value[2][PAIRS];
};

DEVICE void load_token(NewToken& token, const T* key, const T* value, const float* cosSin)
{
#pragma unroll
    for (int p = 0; p < PAIRS; p++)
    {
        const int d = PAIR * 2;
        if (d >= HALF) { continue; }
#pragma unroll
        for (int half = 0; half < 2; half++)
        {
            token.key[half][p] = *(const u32*)(key + half * HALF + d);
            token.value[half][p] = *(const u32*)(value + half * HALF + d);
        }
        rotate_pair(token.key[0][p], token.key[1][p], cosSin, d);
    }
}

DEVICE void store_token(const NewToken& token, T* key, T* value)
{
#pragma unroll
    for (int p = 0; p < PAIRS; p++)
    {
        const int d = PAIR * 2;
        if (d >= HALF) { continue; }
#pragma unroll
        for (int half = 0; half < 2; half++)
        {
            *(u32*)(key + half * HALF + d) = token.key[half][p];
            *(u32*)(value + half * HALF + d) = token.value[half][p];
        }
    }
}
#endif

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

extern "C" __global__ void __launch_bounds__(THREADS) attention_decode(const Arguments args)
{
    extern __shared__ uint4 memory[];
    pdl_launch();
    pdl_wait();
    const int sequence = blockIdx.z, row = args.queryStarts[sequence];
    if (args.queryStarts[sequence + 1] - row != 1) { return; }
    const int kvHead = blockIdx.y % args.kvHeads, sixteen = blockIdx.y / args.kvHeads;
    int firstHead, heads;
    query_heads(args, kvHead, firstHead, heads);
    firstHead += sixteen * 16;
    heads = min(heads - sixteen * 16, 16);
    if (heads <= 0) { return; }

    const int end = args.positions[row] + 1;
    if (end <= 0)
    {
        if (blockIdx.x == 0) { clear_heads(args.output + row * args.outputStride, firstHead, heads); }
        return;
    }
    const int begin = args.window > 0 ? max(end - args.window, 0) : 0;
    const int even = (end - begin + args.splits - 1) / args.splits;
    const int part = (even + WARPS * TOKENS - 1) / (WARPS * TOKENS) * (WARPS * TOKENS);
    const int active = (end - begin + part - 1) / part;
    if ((int)blockIdx.x >= active) { return; }
    const int from = begin + blockIdx.x * part, to = min(from + part, end);
    const int* table = args.blockTables + sequence * args.tableStride;

    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, q = lane & 3;
    T* ring = (T*)memory + warp * STAGES * 2 * TOKENS * ROW;
    if (PADDED_DIM > HEAD_DIM)
    {
        for (int i = lane; i < STAGES * 2 * TOKENS; i += 32) { *(uint4*)(ring + i * ROW + HEAD_DIM) = make_uint4(0, 0, 0, 0); }
    }
    const u32 ringAddress = shared_address(ring);
    const int first = from + warp * TOKENS;
    const int tiles = first < to ? (to - first + WARPS * TOKENS - 1) / (WARPS * TOKENS) : 0;
    auto issue = [&](int tile)
    {
        if (tile < tiles)
        {
            const int start = first + tile * WARPS * TOKENS;
            // Lanes 0-15 look up one token's row each; tokens past the end are zeros (their scores are masked, their values
            // are multiplied by 0 and must not be NaN).
            const int mine = min(start + (lane & 15), to - 1);
            const i64 offset = cache_row(args, table, kvHead, mine);
            const u32 target = ringAddress + (tile % STAGES) * 2 * TILE_BYTES;
#pragma unroll 4
            for (int i = lane; i < (TOKENS * PARTS + 31) / 32 * 32; i += 32)
            {
                const int token = i / PARTS, piece = i % PARTS;
                const i64 source = __shfl_sync(FULL_WARP, offset, token & (TOKENS - 1)) + piece * 8;
                if (token >= TOKENS) { continue; } // half a warp is left over where PARTS is odd
                const int bytes = start + token < (ROPE ? min(to, end - 1) : to) ? 16 : 0;
                copy_async(target + token * (ROW * 2) + piece * 16, args.keys + source, bytes);
                copy_async(target + TILE_BYTES + token * (ROW * 2) + piece * 16, args.values + source, bytes);
            }
        }
        copy_commit();
    };

#pragma unroll
    for (int i = 0; i < STAGES - 1; i++) { issue(i); }

    u32 query[STEPS][4];
    const T* queryRow = args.query + row * args.queryStride;
    const T* rows[2] = {
        g < heads ? queryRow + (firstHead + g) * HEAD_DIM : nullptr,
        g + 8 < heads ? queryRow + (firstHead + g + 8) * HEAD_DIM : nullptr };
    load_query(query, rows);
#if ROPE
    const float* cosSin = args.cosSin + (i64)(end - 1) * args.cosSinStride;
    rotate_query(query, cosSin);
    // The warp with the tile that ends the context has the new token, which is in no cache yet.
    const int lastTile = first + (tiles - 1) * WARPS * TOKENS;
    const bool owner = tiles > 0 && lastTile < end && lastTile + TOKENS >= end;
    NewToken token;
    if (owner)
    {
        const T* key = queryRow + (args.queryHeads + kvHead) * HEAD_DIM;
        load_token(token, key, key + args.kvHeads * HEAD_DIM, cosSin);
        if (sixteen == 0)
        {
            const i64 offset = cache_row(args, table, kvHead, end - 1);
            store_token(token, (T*)args.keys + offset, (T*)args.values + offset);
        }
    }
#endif

    float output[PADDED_DIM / 8][4] = {};
    float maximum[2] = { NEGATIVE_INFINITY, NEGATIVE_INFINITY }, sum[2] = {};
    for (int tile = 0; tile < tiles; tile++)
    {
        copy_wait<STAGES - 2>();
        __syncwarp(); // every lane's copies of this tile are there, and every lane is done with the tile before
        issue(tile + STAGES - 1);
        const u32 keys = ringAddress + (tile % STAGES) * 2 * TILE_BYTES;
#if ROPE
        if (owner && tile == tiles - 1)
        {
            T* place = ring + tile % STAGES * 2 * TOKENS * ROW + (end - 1 - lastTile) * ROW;
            store_token(token, place, place + TOKENS * ROW);
            __syncwarp();
        }
#endif
        float scores[TOKENS / 8][4];
        query_key<TOKENS / 8>(scores, query, keys);
        const int start = first + tile * WARPS * TOKENS;
#pragma unroll
        for (int n = 0; n < TOKENS / 8; n++)
        {
#pragma unroll
            for (int c = 0; c < 4; c++)
            {
                const bool seen = start + n * 8 + q * 2 + (c & 1) < to;
                scores[n][c] = seen ? scaled(args, scores[n][c]) : NEGATIVE_INFINITY;
            }
        }
        soften<TOKENS / 8>(scores, maximum, sum, output);
        weigh_values<TOKENS / 8>(output, scores, keys + TILE_BYTES);
    }
    copy_wait<0>();
    __syncthreads(); // the rings become the place where warps join

    float* joint = (float*)memory;                       // [warp][16][PADDED_DIM + 2]
    const int jointRow = PADDED_DIM + 2;
#pragma unroll
    for (int r = 0; r < 2; r++)
    {
        float* target = joint + (warp * 16 + g + r * 8) * jointRow;
        const float total = quad_sum(sum[r]);
#pragma unroll
        for (int d = 0; d < PADDED_DIM / 8; d++)
        {
            target[d * 8 + q * 2] = output[d][2 * r];
            target[d * 8 + q * 2 + 1] = output[d][2 * r + 1];
        }
        if (q == 0)
        {
            target[PADDED_DIM] = maximum[r];
            target[PADDED_DIM + 1] = total;
        }
    }
    __syncthreads();

    T* outputRow = args.output + row * args.outputStride;
    const i64 group = (i64)blockIdx.z * gridDim.y + blockIdx.y;
    float* partials = args.partials + group * args.splits * 16 * PARTIAL;
    for (int e = threadIdx.x; e < heads * HEAD_DIM; e += THREADS)
    {
        const int head = e / HEAD_DIM, d = e % HEAD_DIM;
        float greatest = NEGATIVE_INFINITY, total = 0, value = 0;
#pragma unroll
        for (int w = 0; w < WARPS; w++) { greatest = fmaxf(greatest, joint[(w * 16 + head) * jointRow + PADDED_DIM]); }
#pragma unroll
        for (int w = 0; w < WARPS; w++)
        {
            const float* source = joint + (w * 16 + head) * jointRow;
            const float factor = weight_of(source[PADDED_DIM], greatest);
            total += factor * source[PADDED_DIM + 1];
            value += factor * source[d];
        }
        if (active == 1)
        {
            outputRow[(firstHead + head) * HEAD_DIM + d] = from_f32<T>(value / total);
        }
        else
        {
            float* target = partials + (i64)(blockIdx.x * 16 + head) * PARTIAL;
            target[d] = value;
            if (d == 0)
            {
                target[HEAD_DIM] = greatest;
                target[HEAD_DIM + 1] = total;
            }
        }
    }
    if (active == 1) { return; }

    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0)
    {
        last = atomicAdd(args.arrivals + group, 1u) == (u32)(active - 1);
        if (last) { args.arrivals[group] = 0; }
    }
    __syncthreads();
    if (last)
    {
        __threadfence();
        join_parts(partials, outputRow, firstHead, heads, active, joint);
    }
}
