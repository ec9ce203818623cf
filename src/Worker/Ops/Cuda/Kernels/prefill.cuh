// What the prefill attention kernels share: which rows a block has and which keys they see, masks, softmax.
// Defines besides attention.cuh's: TOKENS of a key tile; TILE_ROWS of a block, before this file is included.
//
// A tile is TILE_ROWS rows (or another number that the caller names), each a pair (step row, query head) of one KV head, head fastest: keys and values are read once for
// all query heads that share them. 128 rows with 4 heads a KV head: 32 step rows.
#pragma once
#include "attention.cuh"

struct PrefillTile
{
    int sequence;
    int firstRow;  // of the sequence, in the step
    int firstHead; // query heads that read this KV head
    int heads;
    int first;     // first pair of the tile, counted in the sequence
    int pairs;     // of the sequence
    int high;      // position of the last row: the last token that any row sees
    int begin;     // first token that any row sees; blocks before it may be gone
    int tiles;     // key tiles; 0 where all rows are padding
};

DEVICE int pair_row(const PrefillTile& tile, int pair) { return tile.firstRow + min(pair, tile.pairs - 1) / tile.heads; }
DEVICE int pair_head(const PrefillTile& tile, int pair) { return tile.firstHead + min(pair, tile.pairs - 1) % tile.heads; }

// The tile that is number `wanted` among all tiles of sequences with more than one row; false past the last. Within a sequence
// later tiles, which see more keys, come first, so that the last blocks to run are short ones. Every warp finds out for itself.
DEVICE bool prefill_tile(const Arguments& args, int kvHead, int wanted, PrefillTile& tile, int tileRows = TILE_ROWS)
{
    query_heads(args, kvHead, tile.firstHead, tile.heads);
    if (tile.heads <= 0) { return false; }
    const int lane = threadIdx.x & 31;
    for (int base = 0; base < args.sequences; base += 32)
    {
        const int sequence = min(base + lane, args.sequences - 1);
        const int start = args.queryStarts[sequence], rows = args.queryStarts[sequence + 1] - start;
        const int tiles = rows > 1 && base + lane < args.sequences ? (rows * tile.heads + tileRows - 1) / tileRows : 0;
        int until = tiles; // tiles of this lane's sequence and of those before it
#pragma unroll
        for (int offset = 1; offset < 32; offset <<= 1)
        {
            const int before = __shfl_up_sync(FULL_WARP, until, offset);
            if (lane >= offset) { until += before; }
        }
        const u32 beyond = __ballot_sync(FULL_WARP, wanted < until);
        if (beyond == 0)
        {
            wanted -= __shfl_sync(FULL_WARP, until, 31);
            continue;
        }
        const int which = __ffs(beyond) - 1;
        tile.sequence = base + which;
        tile.firstRow = __shfl_sync(FULL_WARP, start, which);
        tile.pairs = __shfl_sync(FULL_WARP, rows, which) * tile.heads;
        tile.first = (__shfl_sync(FULL_WARP, until, which) - 1 - wanted) * tileRows;
        const int low = args.positions[pair_row(tile, tile.first)];
        tile.high = args.positions[pair_row(tile, tile.first + tileRows - 1)];
        tile.begin = args.window > 0 ? max(low - args.window + 1, 0) : 0;
        tile.tiles = tile.high < 0 ? 0 : (tile.high - tile.begin) / TOKENS + 1;
        return true;
    }
    return false;
}

// Row of a token in the cache's [rows, HEAD_DIM], or -1 for tokens that no row sees: those are read as zeros (their scores are
// masked, but their values are multiplied by 0 and must not be NaN).
DEVICE int cache_index(const Arguments& args, const int* table, int kvHead, int token, int high)
{
    if (token > high) { return -1; }
    const int block = (u32)token / (u32)args.blockTokens;
    return (table[block] * args.kvHeads + kvHead) * args.blockTokens + token - block * args.blockTokens;
}

// Positions of a lane's two rows, g and g + 8 of 16.
struct PairRows
{
    int position[2];
};

DEVICE PairRows pair_rows(const Arguments& args, const PrefillTile& tile, int pair)
{
    PairRows rows;
#pragma unroll
    for (int r = 0; r < 2; r++) { rows.position[r] = args.positions[pair_row(tile, pair + r * 8)]; }
    return rows;
}

// Softmax of raw scores s takes exp2(s * factor - maximum * factor): one multiply-add a score. A soft cap bends the scores first.
DEVICE bool bends(const Arguments& args) { return args.softCap > 0 || args.scale <= 0; }
DEVICE float score_factor(const Arguments& args) { return bends(args) ? 1.0f : args.scale * LOG2E; }

// c * tanh(s / c) = c * (1 - 2 / (exp(2 s / c) + 1)), in units of log 2. Overflow gives 1 - 0, underflow 1 - 2.
DEVICE float bend(const Arguments& args, float score)
{
    score *= args.scale;
    if (args.softCap > 0)
    {
        const float e = fast_exp2(score * (2.0f * LOG2E / args.softCap));
        score = args.softCap * (1.0f - 2.0f * fast_reciprocal(e + 1.0f));
    }
    return score * LOG2E;
}

// Scores of tokens [start, start + 8 TILES): what a row does not see becomes -inf.
template <int TILES> DEVICE void mask_scores(const Arguments& args, float (&scores)[TILES][4], const PairRows& rows, int start)
{
    const int window = args.window > 0 ? args.window : 0x7fffffff;
    const int first = start + (threadIdx.x & 3) * 2;
#pragma unroll
    for (int n = 0; n < TILES; n++)
    {
#pragma unroll
        for (int c = 0; c < 4; c++)
        {
            const int before = rows.position[c >> 1] - (first + n * 8 + (c & 1)); // tokens between, if it is not negative
            if (before < 0 || before >= window) { scores[n][c] = NEGATIVE_INFINITY; }
        }
    }
}

// Online softmax: scores become weights relative to the new maximum; what was summed up so far is to be multiplied by `rescale`.
// A row that has seen only masked scores keeps maximum -inf and sum 0. Sums are of this lane's columns.
template <int TILES> DEVICE void soften_tile(
    float (&scores)[TILES][4], float factor, float (&maximum)[2], float (&sum)[2], float (&rescale)[2])
{
#pragma unroll
    for (int r = 0; r < 2; r++)
    {
        float most = fmaxf(scores[0][2 * r], scores[0][2 * r + 1]);
#pragma unroll
        for (int n = 1; n < TILES; n++) { most = fmaxf(most, fmaxf(scores[n][2 * r], scores[n][2 * r + 1])); }
        most = fmaxf(maximum[r], quad_max(most));
        const float base = most == NEGATIVE_INFINITY ? 0.0f : most * factor;
        rescale[r] = fast_exp2(maximum[r] * factor - base);
        maximum[r] = most;
        float added = 0;
#pragma unroll
        for (int n = 0; n < TILES; n++)
        {
            scores[n][2 * r] = fast_exp2(fmaf(scores[n][2 * r], factor, -base));
            scores[n][2 * r + 1] = fast_exp2(fmaf(scores[n][2 * r + 1], factor, -base));
            added += scores[n][2 * r] + scores[n][2 * r + 1];
        }
        sum[r] = sum[r] * rescale[r] + added;
    }
}

template <int COUNT> DEVICE void rescale_output(float (&output)[COUNT][4], const float (&rescale)[2])
{
#pragma unroll
    for (int d = 0; d < COUNT; d++)
    {
        output[d][0] *= rescale[0];
        output[d][1] *= rescale[0];
        output[d][2] *= rescale[1];
        output[d][3] *= rescale[1];
    }
}

// Factors that turn sums over weights into averages; rows without tokens (padding) become zeros.
DEVICE void finish_sums(float (&sum)[2])
{
#pragma unroll
    for (int r = 0; r < 2; r++)
    {
        const float total = quad_sum(sum[r]);
        sum[r] = total > 0 ? 1.0f / total : 0.0f;
    }
}
