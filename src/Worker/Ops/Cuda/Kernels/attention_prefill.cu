// Attention of sequences that have more than one row in this step: causal, over the paged cache, which already holds the
// step's own keys and values. (Sequences of one row belong to attention_decode.cu.) Tensor cores by mma.sync: for every head size
// and architecture; attention_wgmma.cu is faster where it applies.
//
// Grid: (kvHeads, tiles of rows of all sequences), see prefill.cuh. Each warp owns 16 * MT rows: with MT 2 a matrix of keys or
// values that was read from shared memory serves two products. One buffer of keys and one of values: values are on their way
// during q . k, the next keys during softmax and p . v; two blocks a multiprocessor fill each other's gaps.
// Defines besides prefill.cuh's: WARPS, MT, BLOCKS a multiprocessor.
#define TILE_ROWS (WARPS * MT * 16)
#include "prefill.cuh"

#define THREADS (WARPS * 32)
#define OWN (TOKENS / WARPS) // tokens that a warp copies
#define TILES (TOKENS / 8)
#define TILE_BYTES (TOKENS * ROW * 2)

// scores = q . k of 16 * MT rows; queries and keys in shared memory [row][ROW].
DEVICE void multiply_keys(float (&scores)[MT][TILES][4], u32 queries, u32 keys)
{
    const int lane = threadIdx.x & 31;
    // Matrices of q: rows 0-7 and 8-15 of d 0-7, then of d 8-15. Of k: d 0-7 and 8-15 of tokens 0-7, then of tokens 8-15.
    const u32 queryAt = queries + (lane & 15) * (ROW * 2) + (lane >> 4) * 16;
    const u32 keyAt = keys + ((lane & 7) + (lane >> 4) * 8) * (ROW * 2) + ((lane >> 3) & 1) * 16;
#pragma unroll
    for (int m = 0; m < MT; m++)
    {
#pragma unroll
        for (int n = 0; n < TILES; n++)
        {
#pragma unroll
            for (int c = 0; c < 4; c++) { scores[m][n][c] = 0; }
        }
    }
#pragma unroll
    for (int s = 0; s < STEPS; s++)
    {
        u32 query[MT][4];
#pragma unroll
        for (int m = 0; m < MT; m++) { load_matrices(query[m], queryAt + m * 16 * (ROW * 2) + s * 32); }
#pragma unroll
        for (int n = 0; n < TILES; n += 2)
        {
            u32 k[4];
            load_matrices(k, keyAt + n * 8 * (ROW * 2) + s * 32);
#pragma unroll
            for (int m = 0; m < MT; m++)
            {
                mma<T>(scores[m][n], query[m][0], query[m][1], query[m][2], query[m][3], k[0], k[1]);
                mma<T>(scores[m][n + 1], query[m][0], query[m][1], query[m][2], query[m][3], k[2], k[3]);
            }
        }
    }
}

// output += weights . v.
DEVICE void multiply_values(float (&output)[MT][PADDED_DIM / 8][4], const float (&weights)[MT][TILES][4], u32 values)
{
    const int lane = threadIdx.x & 31;
    // Matrices: tokens 0-7 and 8-15 of d 0-7, then of d 8-15; transposed on the way in.
    const u32 valueAt = values + (lane & 15) * (ROW * 2) + (lane >> 4) * 16;
#pragma unroll
    for (int n = 0; n < TILES; n += 2)
    {
        u32 p[MT][4];
#pragma unroll
        for (int m = 0; m < MT; m++)
        {
            p[m][0] = pack2<T>(weights[m][n][0], weights[m][n][1]);
            p[m][1] = pack2<T>(weights[m][n][2], weights[m][n][3]);
            p[m][2] = pack2<T>(weights[m][n + 1][0], weights[m][n + 1][1]);
            p[m][3] = pack2<T>(weights[m][n + 1][2], weights[m][n + 1][3]);
        }
#pragma unroll
        for (int d = 0; d < STEPS; d++)
        {
            u32 v[4];
            load_matrices_transposed(v, valueAt + n * 8 * (ROW * 2) + d * 32);
#pragma unroll
            for (int m = 0; m < MT; m++)
            {
                mma<T>(output[m][2 * d], p[m][0], p[m][1], p[m][2], p[m][3], v[0], v[1]);
                mma<T>(output[m][2 * d + 1], p[m][0], p[m][1], p[m][2], p[m][3], v[2], v[3]);
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) attention_prefill(const Arguments args)
{
    extern __shared__ uint4 memory[];
    pdl_launch();
    pdl_wait();
    const int kvHead = blockIdx.x;
    PrefillTile tile;
    if (!prefill_tile(args, kvHead, blockIdx.y, tile)) { return; }

    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, q = lane & 3;
    const int* table = args.blockTables + tile.sequence * args.tableStride;
    T* shared = (T*)memory; // q [TILE_ROWS][ROW], then k and v [TOKENS][ROW]
    const u32 queries = shared_address(shared), keys = queries + TILE_ROWS * ROW * 2, values = keys + TILE_BYTES;
    if (PADDED_DIM > HEAD_DIM)
    {
        for (int i = threadIdx.x; i < TILE_ROWS + 2 * TOKENS; i += THREADS)
        {
            *(uint4*)(shared + i * ROW + HEAD_DIM) = make_uint4(0, 0, 0, 0);
        }
    }

    auto look_up = [&](int t)
    {
        return cache_index(args, table, kvHead, tile.begin + t * TOKENS + warp * OWN + (lane & (OWN - 1)), tile.high);
    };
    auto copy_tile = [&](u32 target, const KV* source, int row)
    {
        for (int i = lane; i < (OWN * PARTS + 31) / 32 * 32; i += 32)
        {
            const int token = i / PARTS, piece = i % PARTS;
            const int from = __shfl_sync(FULL_WARP, row, token & (OWN - 1));
            if (token >= OWN) { continue; }
            copy_async(
                target + (warp * OWN + token) * (ROW * 2) + piece * 16, source + (i64)max(from, 0) * HEAD_DIM + piece * 8,
                from >= 0 ? 16 : 0);
        }
        copy_commit();
    };

    for (int i = threadIdx.x; i < TILE_ROWS * PARTS; i += THREADS)
    {
        const int pair = tile.first + i / PARTS, piece = i % PARTS;
        const T* source = args.query + pair_row(tile, pair) * args.queryStride + pair_head(tile, pair) * HEAD_DIM + piece * 8;
        copy_async(queries + i / PARTS * (ROW * 2) + piece * 16, source, pair < tile.pairs ? 16 : 0);
    }
    int row = look_up(0); // of this lane's token: of the keys asked for last and of the values asked for next
    copy_tile(keys, args.keys, row);

    PairRows rows[MT];
#pragma unroll
    for (int m = 0; m < MT; m++) { rows[m] = pair_rows(args, tile, tile.first + (warp * MT + m) * 16 + g); }
    // Tokens up to `common` are seen by all rows of this warp, as far as they lie after `hidden`.
    const int common = args.positions[pair_row(tile, tile.first + warp * MT * 16)];
    const int hidden = args.window > 0 ? args.positions[pair_row(tile, tile.first + (warp + 1) * MT * 16 - 1)] - args.window : -1;
    const bool bent = bends(args);
    const float factor = score_factor(args);

    float output[MT][PADDED_DIM / 8][4] = {};
    float maximum[MT][2], sum[MT][2] = {};
#pragma unroll
    for (int m = 0; m < MT; m++) { maximum[m][0] = maximum[m][1] = NEGATIVE_INFINITY; }
    for (int t = 0; t < tile.tiles; t++)
    {
        copy_wait<0>();
        __syncthreads(); // these keys are there; the values before them are used up
        copy_tile(values, args.values, row);
        row = look_up(t + 1);
        float scores[MT][TILES][4];
        multiply_keys(scores, queries + warp * MT * 16 * (ROW * 2), keys);
        copy_wait<0>();
        __syncthreads(); // the values are there; the keys are used up
        if (t + 1 < tile.tiles) { copy_tile(keys, args.keys, row); }

        const int start = tile.begin + t * TOKENS;
        const bool masked = start + TOKENS - 1 > common || start <= hidden;
#pragma unroll
        for (int m = 0; m < MT; m++)
        {
            if (bent)
            {
#pragma unroll
                for (int n = 0; n < TILES; n++)
                {
#pragma unroll
                    for (int c = 0; c < 4; c++) { scores[m][n][c] = bend(args, scores[m][n][c]); }
                }
            }
            if (masked) { mask_scores<TILES>(args, scores[m], rows[m], start); }
            float rescale[2];
            soften_tile<TILES>(scores[m], factor, maximum[m], sum[m], rescale);
            rescale_output(output[m], rescale);
        }
        multiply_values(output, scores, values);
    }

    if (tile.tiles == 0)
    {
        copy_wait<0>(); // q is still on its way to where the zeros go
        __syncthreads();
    }

    // Through this warp's own rows of q, which nobody reads any more, to whole 16-byte pieces.
    T* own = shared + warp * MT * 16 * ROW;
#pragma unroll
    for (int m = 0; m < MT; m++)
    {
        finish_sums(sum[m]);
#pragma unroll
        for (int r = 0; r < 2; r++)
        {
#pragma unroll
            for (int d = 0; d < PADDED_DIM / 8; d++)
            {
                *(u32*)(own + (m * 16 + g + r * 8) * ROW + d * 8 + q * 2) =
                    pack2<T>(output[m][d][2 * r] * sum[m][r], output[m][d][2 * r + 1] * sum[m][r]);
            }
        }
    }
    __syncwarp();
    for (int i = lane; i < MT * 16 * PARTS; i += 32)
    {
        const int pair = tile.first + warp * MT * 16 + i / PARTS, piece = i % PARTS;
        if (pair >= tile.pairs) { break; }
        T* target = args.output + pair_row(tile, pair) * args.outputStride + pair_head(tile, pair) * HEAD_DIM + piece * 8;
        *(uint4*)target = *(const uint4*)(own + i / PARTS * ROW + piece * 8);
    }
}
