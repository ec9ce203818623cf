// Attention of sequences that have more than one row in this step: causal, over the paged cache, which already holds the
// step's own keys and values. (Sequences of one row belong to attention_decode.cu; this kernel passes over them.)
//
// Grid: (tiles of rows, kvHeads, sequences). A tile is WARPS * 16 rows, each a pair (step row, query head) of one KV head,
// head fastest: keys and values are read once for all query heads that share them. Each warp owns 16 rows; key and value tiles
// of TOKENS tokens pass through two buffers of shared memory. Defines besides attention.cuh's: TOKENS 64 or 32.
#include "attention.cuh"

#define WARPS 8
#define THREADS (WARPS * 32)
#define TILE_ROWS (WARPS * 16)
#define TILE_BYTES (TOKENS * ROW * 2)

extern "C" __global__ void __launch_bounds__(THREADS, 1) attention_prefill(const Arguments args)
{
    extern __shared__ uint4 memory[];
    pdl_launch();
    pdl_wait();
    const int sequence = blockIdx.z, kvHead = blockIdx.y;
    const int firstRow = args.queryStarts[sequence], rows = args.queryStarts[sequence + 1] - firstRow;
    int firstHead, heads;
    query_heads(args, kvHead, firstHead, heads);
    const int pairs = rows * heads;
    // Later tiles see more keys: they start first, so that the last blocks to run are the short ones.
    const int tile = (int)(gridDim.x - 1 - blockIdx.x) * TILE_ROWS;
    if (rows <= 1 || heads <= 0 || tile >= pairs) { return; }

    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, q = lane & 3;
    const int* table = args.blockTables + sequence * args.tableStride;
    const int low = args.positions[firstRow + tile / heads];
    const int high = args.positions[firstRow + (min(tile + TILE_ROWS, pairs) - 1) / heads];
    const int begin = args.window > 0 ? max(low - args.window + 1, 0) : 0; // blocks before it may be gone
    const int tiles = (high + 1 - begin + TOKENS - 1) / TOKENS;

    T* buffers = (T*)memory;
    if (PADDED_DIM > HEAD_DIM)
    {
        for (int i = threadIdx.x; i < 4 * TOKENS; i += THREADS) { *(uint4*)(buffers + i * ROW + HEAD_DIM) = make_uint4(0, 0, 0, 0); }
    }
    const u32 bufferAddress = shared_address(buffers);
    auto issue = [&](int t)
    {
        if (t < tiles)
        {
            const int start = begin + t * TOKENS;
            const u32 target = bufferAddress + (t & 1) * 2 * TILE_BYTES;
            for (int i = threadIdx.x; i < TOKENS * PARTS; i += THREADS)
            {
                const int token = i / PARTS, piece = i % PARTS;
                const bool real = start + token <= high;
                const i64 source = cache_row(args, table, kvHead, real ? start + token : high) + piece * 8;
                copy_async(target + token * (ROW * 2) + piece * 16, args.keys + source, real ? 16 : 0);
                copy_async(target + TILE_BYTES + token * (ROW * 2) + piece * 16, args.values + source, real ? 16 : 0);
            }
        }
        copy_commit();
    };
    issue(0);

    // This lane's two rows: g and g + 8 of the warp's 16.
    int position[2];
    i64 outputAt[2];
    const T* queryRows[2];
    bool present[2];
#pragma unroll
    for (int r = 0; r < 2; r++)
    {
        const int pair = tile + warp * 16 + g + r * 8;
        present[r] = pair < pairs;
        const int row = firstRow + min(pair, pairs - 1) / heads, head = firstHead + min(pair, pairs - 1) % heads;
        position[r] = args.positions[row];
        queryRows[r] = present[r] ? args.query + row * args.queryStride + head * HEAD_DIM : nullptr;
        outputAt[r] = row * args.outputStride + head * HEAD_DIM;
    }
    u32 query[STEPS][4];
    load_query(query, queryRows);

    float output[PADDED_DIM / 8][4] = {};
    float maximum[2] = { NEGATIVE_INFINITY, NEGATIVE_INFINITY }, sum[2] = {};
    for (int t = 0; t < tiles; t++)
    {
        issue(t + 1);
        copy_wait<1>();
        __syncthreads();
        const u32 keys = bufferAddress + (t & 1) * 2 * TILE_BYTES;
        const int start = begin + t * TOKENS;
        float scores[TOKENS / 8][4];
        query_key<TOKENS / 8>(scores, query, keys);
        const bool inside = start + TOKENS - 1 <= low && (args.window <= 0 || start > high - args.window);
#pragma unroll
        for (int n = 0; n < TOKENS / 8; n++)
        {
#pragma unroll
            for (int c = 0; c < 4; c++)
            {
                scores[n][c] = scaled(args, scores[n][c]);
                if (!inside)
                {
                    const int token = start + n * 8 + q * 2 + (c & 1), at = position[c >> 1];
                    if (token > at || (args.window > 0 && token <= at - args.window)) { scores[n][c] = NEGATIVE_INFINITY; }
                }
            }
        }
        soften<TOKENS / 8>(scores, maximum, sum, output);
        weigh_values<TOKENS / 8>(output, scores, keys + TILE_BYTES);
        __syncthreads(); // before the next but one tile overwrites this buffer
    }

#pragma unroll
    for (int r = 0; r < 2; r++)
    {
        const float factor = 1.0f / quad_sum(sum[r]);
        if (!present[r]) { continue; }
#pragma unroll
        for (int d = 0; d < PADDED_DIM / 8; d++)
        {
            const int column = d * 8 + q * 2;
            if (column < HEAD_DIM)
            {
                *(u32*)(args.output + outputAt[r] + column) = pack2<T>(output[d][2 * r] * factor, output[d][2 * r + 1] * factor);
            }
        }
    }
}
