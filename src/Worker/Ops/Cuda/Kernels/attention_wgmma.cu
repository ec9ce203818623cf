// attention_prefill.cu's work on Hopper's tensor cores (sm_90a), for heads of 64, 96, 128, 192 and 256.
//
// Three warpgroups: the first copies keys and values into a ring of tiles of each (rows of a paged cache: 16-byte copies), the
// others have 64 rows each. q . k of a tile and weights . v of the tile before run while the softmax is computed, and the
// two groups take turns: while one computes its softmax, the other's products have the tensor cores. Copies announce themselves as
// they land, so that the copying group never waits for data: only for room.
//
// Later rows see more keys, and a grid of no more blocks than multiprocessors lasts as long as its longest block. So `spread` says
// which rows a block's two groups have:
//   0  128 rows side by side: where there are blocks enough that short ones fill up what long ones leave.
//   1  mirrored: 64 rows each, the n-th from the start and the n-th from the end. 2,048 rows of 4 heads are 128 times 64 rows: the
//      first block has 0 and 127, the last 63 and 64; each has as much work as any other. Not with a window.
//   2  apart: 64 rows a block, the other group has none: where that many blocks find a multiprocessor of their own.
// Bits do not depend on it: a row meets the same tiles of keys in the same order.
// Defines besides prefill.cuh's: STAGES, tiles of keys and of values in the ring.
#define TILE_ROWS 128
#include "prefill.cuh"
#include "wgmma.cuh"

#define GROUP 128 // threads of a warpgroup
#define THREADS (3 * GROUP)
#define GROUP_ROWS 64
#define PANELS ((HEAD_DIM + 63) / 64)
#define TILES (TOKENS / 8)
#define QUERY_PANEL (TILE_ROWS * 128)
#define PANEL (TOKENS * 128)
#define TILE_BYTES (PANELS * PANEL)
// Registers of a thread, together at most those of 3 * 168. With 40 or 56 of them the copying group spills: NVRTC 12.4.
#define COPYING_REGISTERS 72
#define PRODUCT_REGISTERS 216
#define OWN (TOKENS / 4) // tokens that a copying warp copies

// Values of `spread`.
#define TOGETHER 0
#define MIRRORED 1
#define APART 2

// Numbered barriers: a group's own, and its turn.
#define OWN_BARRIER(group) (1 + (group))
#define TURN_BARRIER(group) (3 + (group))

// Shared addresses.
struct Places
{
    u32 queries;
    u32 keys;
    u32 values;
    u32 barriers;
    DEVICE u32 key_tile(int t) const { return keys + (u32)t % STAGES * TILE_BYTES; }
    DEVICE u32 value_tile(int t) const { return values + (u32)t % STAGES * TILE_BYTES; }
    DEVICE u32 keys_there(int t) const { return barriers + ((u32)t % STAGES) * 8; }
    DEVICE u32 values_there(int t) const { return barriers + (STAGES + (u32)t % STAGES) * 8; }
    DEVICE u32 keys_used(int t) const { return barriers + (2 * STAGES + (u32)t % STAGES) * 8; }
    DEVICE u32 values_used(int t) const { return barriers + (3 * STAGES + (u32)t % STAGES) * 8; }
    DEVICE static int round(int t) { return (u32)t / STAGES & 1; }
};

// One warp's OWN tokens of a tile; `row` is the cache row of lane's token, or -1.
DEVICE void copy_rows(u32 target, const KV* source, int row)
{
    const int lane = threadIdx.x & 31, first = (threadIdx.x >> 5) * OWN;
#pragma unroll
    for (int j = 0; j < OWN * PARTS / 32; j++)
    {
        const int i = j * 32 + lane, token = i / PARTS, piece = i % PARTS;
        const int from = __shfl_sync(FULL_WARP, row, token);
        copy_async(
            target + panel_offset(TOKENS, first + token, piece), source + (i64)max(from, 0) * HEAD_DIM + piece * 8, from >= 0 ? 16 : 0);
    }
}

// The copying group.
DEVICE void copy_tiles(const Arguments& args, const PrefillTile& tile, const Places& places, int kvHead)
{
    const int* table = args.blockTables + tile.sequence * args.tableStride;
    const int mine = tile.begin + (threadIdx.x >> 5) * OWN + (threadIdx.x & (OWN - 1));
    int row = cache_index(args, table, kvHead, mine, tile.high);
    for (int t = 0; t < tile.tiles; t++)
    {
        const int next = cache_index(args, table, kvHead, mine + (t + 1) * TOKENS, tile.high);
        barrier_wait(places.keys_used(t), places.round(t) ^ 1);
        copy_rows(places.key_tile(t), args.keys, row);
        barrier_arrive_copied(places.keys_there(t));
        barrier_wait(places.values_used(t), places.round(t) ^ 1);
        copy_rows(places.value_tile(t), args.values, row);
        barrier_arrive_copied(places.values_there(t));
        row = next;
    }
    copy_wait_all();
}

// Waits for a tile. Copies that announce themselves are made visible to the products by those who read them.
DEVICE void wait_for_tile(u32 there, int t)
{
    barrier_wait(there, Places::round(t));
    fence_for_products();
}

// The rows of a group: the first, and the tiles of keys that they need. Those of the longer group are the block's.
struct GroupRows
{
    int first; // pair, counted in the sequence; not less than its pairs: none
    int tiles;
};

DEVICE int tiles_until(int position) { return position < 0 ? 0 : position / TOKENS + 1; }

// Which rows the groups have; sets what the block needs for both.
DEVICE void spread_rows(const Arguments& args, PrefillTile& tile, GroupRows& lower, GroupRows& upper)
{
    lower = { tile.pairs, 0 };
    upper = { tile.first, tile.tiles };
    if (args.spread == TOGETHER)
    {
        lower = upper;
        upper.first += GROUP_ROWS;
    }
    else if (args.spread == MIRRORED)
    {
        const int halves = (tile.pairs + GROUP_ROWS - 1) / GROUP_ROWS, place = tile.first / TILE_ROWS, other = halves - 1 - place;
        if (place < other)
        {
            lower = { place * GROUP_ROWS, tiles_until(args.positions[pair_row(tile, (place + 1) * GROUP_ROWS - 1)]) };
        }
        tile.high = args.positions[pair_row(tile, (other + 1) * GROUP_ROWS - 1)];
        tile.tiles = tiles_until(tile.high);
        upper = { other * GROUP_ROWS, tile.tiles };
    }
}

// A group's 64 rows of q, by the group itself; rows that are not there are zeros.
DEVICE void place_query(const Arguments& args, const PrefillTile& tile, int group, int firstPair, char* queries)
{
    for (int i = threadIdx.x % GROUP; i < GROUP_ROWS * PARTS; i += GROUP)
    {
        const int row = i / PARTS, piece = i % PARTS, pair = firstPair + row;
        const T* source = args.query + pair_row(tile, pair) * args.queryStride + pair_head(tile, pair) * HEAD_DIM + piece * 8;
        *(uint4*)(queries + panel_offset(TILE_ROWS, group * GROUP_ROWS + row, piece)) =
            pair < tile.pairs ? *(const uint4*)source : make_uint4(0, 0, 0, 0);
    }
    fence_for_products();
}

// Starts scores = q . k.
DEVICE void start_scores(float (&scores)[TILES][4], u32 queries, u32 keys)
{
    const u64 q = matrix_descriptor(queries, 16), k = matrix_descriptor(keys, 16);
#pragma unroll
    for (int s = 0; s < HEAD_DIM / 16; s++)
    {
        const u32 inside = s % 4 * 32;
        wgmma_along<T, TOKENS>(
            scores, q + ((s / 4 * QUERY_PANEL + inside) >> 4), k + ((s / 4 * PANEL + inside) >> 4), s > 0);
    }
    wgmma_commit();
}

// Starts output += weights . v.
DEVICE void start_output(float (&output)[HEAD_DIM / 8][4], const u32 (&weights)[TOKENS / 16][4], u32 values)
{
    const u64 v = matrix_descriptor(values, PANEL);
#pragma unroll
    for (int s = 0; s < TOKENS / 16; s++) { wgmma_across<T, HEAD_DIM>(output, weights[s], v + (s * 16 * 128 >> 4)); }
    wgmma_commit();
}

DEVICE void pack_weights(u32 (&weights)[TOKENS / 16][4], const float (&scores)[TILES][4])
{
#pragma unroll
    for (int s = 0; s < TOKENS / 16; s++)
    {
        weights[s][0] = pack2<T>(scores[2 * s][0], scores[2 * s][1]);
        weights[s][1] = pack2<T>(scores[2 * s][2], scores[2 * s][3]);
        weights[s][2] = pack2<T>(scores[2 * s + 1][0], scores[2 * s + 1][1]);
        weights[s][3] = pack2<T>(scores[2 * s + 1][2], scores[2 * s + 1][3]);
    }
}

// The rows' results go through the place of their q, for whole 16-byte pieces.
DEVICE void store_output(
    const Arguments& args, const PrefillTile& tile, int group, int firstPair, char* queries, const float (&output)[HEAD_DIM / 8][4],
    const float (&factor)[2])
{
    const int lane = threadIdx.x & 31, inGroup = threadIdx.x % GROUP / 32 * 16, place = group * GROUP_ROWS + inGroup;
    const int row = place + (lane >> 2);
#pragma unroll
    for (int d = 0; d < HEAD_DIM / 8; d++)
    {
#pragma unroll
        for (int r = 0; r < 2; r++)
        {
            *(u32*)(queries + panel_offset(TILE_ROWS, row + r * 8, d) + (lane & 3) * 4) =
                pack2<T>(output[d][2 * r] * factor[r], output[d][2 * r + 1] * factor[r]);
        }
    }
    __syncwarp();
    for (int i = lane; i < 16 * PARTS; i += 32)
    {
        const int pair = firstPair + inGroup + i / PARTS, piece = i % PARTS;
        if (pair >= tile.pairs) { break; }
        T* target = args.output + pair_row(tile, pair) * args.outputStride + pair_head(tile, pair) * HEAD_DIM + piece * 8;
        *(uint4*)target = *(const uint4*)(queries + panel_offset(TILE_ROWS, place + i / PARTS, piece));
    }
}

// What a group does with tiles that only the other one needs: it makes room for those that follow, once each is there.
DEVICE void pass_tiles(const Places& places, int from, int until)
{
    const int lane = threadIdx.x & 31;
    for (int t = from; t < until; t++)
    {
        barrier_wait(places.keys_there(t), Places::round(t));
        if (lane == 0) { barrier_arrive(places.keys_used(t)); }
        barrier_wait(places.values_there(t), Places::round(t));
        if (lane == 0) { barrier_arrive(places.values_used(t)); }
    }
}

// A group of 64 rows. They take `turns` at the tensor cores with the other group's, as many as both have tiles.
DEVICE void attend(
    const Arguments& args, const PrefillTile& tile, const GroupRows& mine, int turns, const Places& places, int group, char* queries)
{
    const int lane = threadIdx.x & 31, firstPair = mine.first, tiles = mine.tiles;
    const PairRows rows = pair_rows(args, tile, firstPair + threadIdx.x % GROUP / 32 * 16 + (lane >> 2));
    // Tokens up to `common` are seen by all rows of the group, as far as they lie after `hidden`.
    const int common = args.positions[pair_row(tile, firstPair)];
    const int hidden = args.window > 0 ? args.positions[pair_row(tile, firstPair + GROUP_ROWS - 1)] - args.window : -1;
    const bool bent = bends(args);
    const float factor = score_factor(args);
    place_query(args, tile, group, firstPair, queries);
    numbered_meet(OWN_BARRIER(group), GROUP);
    const u32 own = places.queries + group * GROUP_ROWS * 128;

    float scores[TILES][4], output[HEAD_DIM / 8][4] = {};
    u32 weights[TOKENS / 16][4];
    float maximum[2] = { NEGATIVE_INFINITY, NEGATIVE_INFINITY }, sum[2] = {}, rescale[2];
    auto soften = [&](int t)
    {
        const int start = tile.begin + t * TOKENS;
        if (bent)
        {
#pragma unroll
            for (int n = 0; n < TILES; n++)
            {
#pragma unroll
                for (int c = 0; c < 4; c++) { scores[n][c] = bend(args, scores[n][c]); }
            }
        }
        if (start + TOKENS - 1 > common || start <= hidden) { mask_scores<TILES>(args, scores, rows, start); }
        soften_tile<TILES>(scores, factor, maximum, sum, rescale);
    };

    if (tiles > 0)
    {
        if (group == 1 && turns > 1) { numbered_join(TURN_BARRIER(0), 2 * GROUP); }
        wait_for_tile(places.keys_there(0), 0);
        wgmma_fence();
        start_scores(scores, own, places.key_tile(0));
        wgmma_wait<0>();
        hold(scores);
        if (lane == 0) { barrier_arrive(places.keys_used(0)); }
        soften(0);
        pack_weights(weights, scores);
        for (int t = 1; t < tiles; t++)
        {
            wait_for_tile(places.keys_there(t), t);
            if (t < turns) { numbered_meet(TURN_BARRIER(group), 2 * GROUP); }
            wgmma_fence();
            start_scores(scores, own, places.key_tile(t));
            wait_for_tile(places.values_there(t - 1), t - 1);
            start_output(output, weights, places.value_tile(t - 1));
            // Whoever has the last turn leaves none behind.
            if (t + group < turns) { numbered_join(TURN_BARRIER(group ^ 1), 2 * GROUP); }
            wgmma_wait<1>();
            hold(scores);
            if (lane == 0) { barrier_arrive(places.keys_used(t)); }
            soften(t);
            wgmma_wait<0>();
            hold(output);
            if (lane == 0) { barrier_arrive(places.values_used(t - 1)); }
            rescale_output(output, rescale);
            pack_weights(weights, scores);
        }
        wait_for_tile(places.values_there(tiles - 1), tiles - 1);
        wgmma_fence();
        start_output(output, weights, places.value_tile(tiles - 1));
        wgmma_wait<0>();
        hold(output);
        if (lane == 0) { barrier_arrive(places.values_used(tiles - 1)); }
    }
    finish_sums(sum);
    numbered_meet(OWN_BARRIER(group), GROUP); // all of the group's products are done with q
    store_output(args, tile, group, firstPair, queries, output, sum);
    pass_tiles(places, tiles, tile.tiles);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) attention_wgmma(const Arguments args)
{
    extern __shared__ uint4 memory[];
    __shared__ u64 barriers[4 * STAGES];
    pdl_launch();
    pdl_wait();
    PrefillTile tile;
    if (!prefill_tile(args, blockIdx.x, blockIdx.y, tile, args.spread == APART ? GROUP_ROWS : TILE_ROWS)) { return; }
    GroupRows lower, upper;
    spread_rows(args, tile, lower, upper);

    const u32 start = shared_address(memory), skipped = (1024 - start % 1024) % 1024;
    Places places;
    places.queries = start + skipped;
    places.keys = places.queries + PANELS * QUERY_PANEL;
    places.values = places.keys + STAGES * TILE_BYTES;
    places.barriers = shared_address(barriers);
    if (threadIdx.x == 0)
    {
        for (int i = 0; i < 2 * STAGES; i++)
        {
            barrier_create(places.barriers + i * 8, GROUP);                // there: every copying thread
            barrier_create(places.barriers + (2 * STAGES + i) * 8, 2 * 4); // used: every warp of both groups
        }
    }
    __syncthreads();

    const int group = __shfl_sync(FULL_WARP, threadIdx.x / GROUP, 0);
    if (group == 0)
    {
        give_registers<COPYING_REGISTERS>();
        copy_tiles(args, tile, places, blockIdx.x);
    }
    else
    {
        take_registers<PRODUCT_REGISTERS>();
        const GroupRows mine = group == 1 ? lower : upper;
        attend(args, tile, mine, min(lower.tiles, upper.tiles), places, group - 1, (char*)memory + skipped);
    }
}
