// Attention of sequences that have one row in this step, their context split over blocks (flash decoding).
//
// Grid: (splits, kvHeads * ceil(groupSize / 16), sequences). A block serves up to 16 query heads that share a KV head, as the
// 16 rows of the tensor-core tiles, over one part of the context; its warps take 16 tokens at a time, each through a ring
// of its own in shared memory, and join at the end. Parts join in one of two ways, both in their order, so results repeat exactly:
// CLUSTER 0: each block leaves maximum, sum and output (unnormalised, f32) in `partials`, and the block that arrives last joins them;
// CLUSTER 1 (sm_90): the parts are a cluster and exchange theirs through shared memory, which saves the trips through the
// second-level cache where contexts are short (store, fence, atomic and two dependent reads: more than 2 us).
// Defines besides attention.cuh's: CLUSTER; WARPS and STAGES, as many as the device's shared memory takes; ROPE 1: the
// work of rope.cu is done on the way (rotary size HEAD_DIM, a multiple of 32): q is rotated in registers; the new token's key and value
// go from the fused row into the tile that they belong to, and into the cache.
// How many parts have work follows from the position on the device: a captured launch serves any context up to its capture's.
//
// Early reads. With args.early all but the newest token is read before pdl_wait, while the launch before this one still runs, and maybe
// the one before that. What is read then must be complete when the step's first kernel begins. It is: `early` is set only
// where every sequence has one row, so no launch of this step writes another token than the newest of its sequence; positions, starts
// and block tables are copied from the host before the step. A copy, and the start of a graph, is an ordinary edge on both sides: it
// begins when the launch before it is complete - and with it, since every kernel waits before it ends, all before that one -
// and the step's first kernel begins after it. The rows q, k and v of this step are read after pdl_wait, and nothing is written
// to global memory before it.
#include "attention.cuh"

#define THREADS (WARPS * 32)
#define TOKENS 16
#define TILE_BYTES (TOKENS * ROW * 2)

// A whole part is 16 tokens for each warp or, in clusters, 16: they are few and should share evenly.
#define PART_TOKENS (CLUSTER ? TOKENS : WARPS * TOKENS)
#include "decode_join.cuh"

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

// The new token's key and value, a warp together: rotated here, or as rope.cu has just written them.
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
#else
struct NewToken
{
    uint4 key;
    uint4 value;
};

DEVICE void load_token(NewToken& token, const T* key, const T* value)
{
    const int piece = threadIdx.x & 31;
    if (piece < PARTS)
    {
        token.key = ((const uint4*)key)[piece];
        token.value = ((const uint4*)value)[piece];
    }
}

DEVICE void store_token(const NewToken& token, T* key, T* value)
{
    const int piece = threadIdx.x & 31;
    if (piece < PARTS)
    {
        ((uint4*)key)[piece] = token.key;
        ((uint4*)value)[piece] = token.value;
    }
}
#endif

extern "C" __global__ void __launch_bounds__(THREADS, 1) attention_decode(const Arguments args)
{
    extern __shared__ uint4 memory[];
    pdl_launch();
    if (!args.early) { pdl_wait(); }
    const int sequence = blockIdx.z, row = args.queryStarts[sequence], rows = args.queryStarts[sequence + 1] - row;
    const int kvHead = blockIdx.y % args.kvHeads, sixteen = blockIdx.y / args.kvHeads;
    int firstHead, heads;
    query_heads(args, kvHead, firstHead, heads);
    firstHead += sixteen * 16;
    heads = min(heads - sixteen * 16, 16);
    const int end = rows == 1 ? args.positions[row] + 1 : 0;
    if (end <= 0 || heads <= 0)
    {
        pdl_wait(); // a kernel whose blocks all ended without it would end before the one ahead of it
        if (rows != 1 || heads <= 0) { return; }
        if (blockIdx.x == 0) { clear_heads(args.output + row * args.outputStride, firstHead, heads); }
        return;
    }
    const int begin = args.window > 0 ? max(end - args.window, 0) : 0;
    const int even = (end - begin + args.splits - 1) / args.splits;
    const int part = (even + PART_TOKENS - 1) / PART_TOKENS * PART_TOKENS;
#if CLUSTER
    cluster_arrive(); // the blocks that others write to have begun
#else
    const int active = (end - begin + part - 1) / part;
    if ((int)blockIdx.x >= active)
    {
        pdl_wait();
        return;
    }
#endif
    const int from = begin + blockIdx.x * part, to = min(from + part, end);
    const int* table = args.blockTables + sequence * args.tableStride;

    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, q = lane & 3;
    const int ringElements = args.held * 2 * TOKENS * ROW; // never more than `held` tiles where that is less than STAGES
    T* ring = (T*)memory + warp * ringElements;
    if (PADDED_DIM > HEAD_DIM)
    {
        for (int i = lane; i < args.held * 2 * TOKENS; i += 32) { *(uint4*)(ring + i * ROW + HEAD_DIM) = make_uint4(0, 0, 0, 0); }
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
                const int bytes = start + token < min(to, end - 1) ? 16 : 0;
                copy_async(target + token * (ROW * 2) + piece * 16, args.keys + source, bytes);
                copy_async(target + TILE_BYTES + token * (ROW * 2) + piece * 16, args.values + source, bytes);
            }
        }
        copy_commit();
    };

#pragma unroll
    for (int i = 0; i < STAGES - 1; i++) { issue(i); }

#if ROPE
    float* cosSin = (float*)((T*)memory + WARPS * ringElements) + warp * HEAD_DIM; // a copy for each warp needs no barrier of the block
    for (int i = lane * 4; i < HEAD_DIM; i += 128)
    {
        *(float4*)(cosSin + i) = *(const float4*)(args.cosSin + (i64)(end - 1) * args.cosSinStride + i);
    }
    __syncwarp();
#endif
    // The warp with the tile that ends the context has the newest token, which was in no cache before this step.
    const int lastTile = first + (tiles - 1) * WARPS * TOKENS;
    const bool owner = tiles > 0 && lastTile < end && lastTile + TOKENS >= end;
    const i64 newest = owner ? cache_row(args, table, kvHead, end - 1) : 0;
    if (args.early) { pdl_wait(); }

    u32 query[STEPS][4];
    NewToken token;
    const T* queryRow = args.query + row * args.queryStride;
    const T* queries[2] = {
        g < heads ? queryRow + (firstHead + g) * HEAD_DIM : nullptr,
        g + 8 < heads ? queryRow + (firstHead + g + 8) * HEAD_DIM : nullptr };
    load_query(query, queries);
#if ROPE
    if (owner)
    {
        const T* key = queryRow + (args.queryHeads + kvHead) * HEAD_DIM;
        load_token(token, key, key + args.kvHeads * HEAD_DIM, cosSin);
        if (sixteen == 0) { store_token(token, (T*)args.keys + newest, (T*)args.values + newest); }
    }
    rotate_query(query, cosSin);
#else
    if (owner) { load_token(token, args.keys + newest, args.values + newest); }
#endif

    float output[PADDED_DIM / 8][4] = {};
    float maximum[2] = { NEGATIVE_INFINITY, NEGATIVE_INFINITY }, sum[2] = {};
    for (int tile = 0; tile < tiles; tile++)
    {
        copy_wait<STAGES - 2>();
        __syncwarp(); // every lane's copies of this tile are there, and every lane is done with the tile before
        issue(tile + STAGES - 1);
        const u32 keys = ringAddress + (tile % STAGES) * 2 * TILE_BYTES;
        if (owner && tile == tiles - 1)
        {
            T* place = ring + tile % STAGES * 2 * TOKENS * ROW + (end - 1 - lastTile) * ROW;
            store_token(token, place, place + TOKENS * ROW);
            __syncwarp();
        }
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
    __syncwarp(); // the warp's ring becomes the place of its result; it is larger: 16 rows of PADDED_DIM + 2 floats fit a tile

    const int jointRow = PADDED_DIM + 2, jointWarp = ringElements / 2; // in floats
    float* joint = (float*)memory;                                     // [warp][head][jointRow], warps jointWarp apart
#pragma unroll
    for (int r = 0; r < 2; r++)
    {
        const float total = quad_sum(sum[r]);
        if (tiles == 0 || g + r * 8 >= heads) { continue; }
        float* target = joint + warp * jointWarp + (g + r * 8) * jointRow;
#pragma unroll
        for (int d = 0; d < PADDED_DIM / 8; d++)
        {
            *(float2*)(target + d * 8 + q * 2) = make_float2(output[d][2 * r], output[d][2 * r + 1]);
        }
        if (q == 0) { *(float2*)(target + PADDED_DIM) = make_float2(maximum[r], total); }
    }
    __syncthreads();

    T* outputRow = args.output + row * args.outputStride;
    const int busy = min((to - from + TOKENS - 1) / TOKENS, WARPS); // below 1 where a cluster has more blocks than tiles
#if CLUSTER
    const Shares shares = shares_in((float2*)((T*)memory + WARPS * ringElements) + (ROPE ? WARPS * HEAD_DIM / 2 : 0), heads);
    cluster_wait();
#else
    const i64 group = (i64)blockIdx.z * gridDim.y + blockIdx.y;
    float* partials = args.partials + group * args.splits * 16 * PARTIAL;
#endif
    for (int e = threadIdx.x; e < heads * HEAD_PAIRS; e += THREADS)
    {
        const int head = e / HEAD_PAIRS, d = e % HEAD_PAIRS * 2;
        float greatest = NEGATIVE_INFINITY, total = 0;
        float2 value = make_float2(0.0f, 0.0f);
        for (int w = 0; w < busy; w++) { greatest = fmaxf(greatest, joint[w * jointWarp + head * jointRow + PADDED_DIM]); }
        for (int w = 0; w < busy; w++)
        {
            const float* source = joint + w * jointWarp + head * jointRow;
            const float2 both = *(const float2*)(source + PADDED_DIM), own = *(const float2*)(source + d);
            const float factor = weight_of(both.x, greatest);
            total += factor * both.y;
            value.x += factor * own.x;
            value.y += factor * own.y;
        }
#if CLUSTER
        send_pair(shares, e, value, greatest, total);
#else
        if (active == 1)
        {
            *(u32*)(outputRow + (firstHead + head) * HEAD_DIM + d) = pack2<T>(value.x / total, value.y / total);
        }
        else
        {
            float* target = partials + (i64)(blockIdx.x * 16 + head) * PARTIAL;
            *(float2*)(target + d) = value;
            if (d == 0) { *(float2*)(target + HEAD_DIM) = make_float2(greatest, total); }
        }
#endif
    }
#if CLUSTER
    cluster_arrive();
    cluster_wait();
    join_shares(shares, outputRow + firstHead * HEAD_DIM);
#else
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
#endif
}
