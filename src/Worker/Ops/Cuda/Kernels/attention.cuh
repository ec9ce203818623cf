// What the attention kernels share. Defines: T element type of q and output; KV of the cache; HEAD_DIM up to 256. The kernels
// with tensor cores take KV = T and multiples of 8.
#pragma once
#include "common.cuh"

// The head size padded to whole tensor-core steps, and the length of a row in shared memory: 16 bytes more, so that the eight
// rows of one ldmatrix fall into different banks (128: 272 bytes, 17 times 16).
#define PADDED_DIM ((HEAD_DIM + 15) / 16 * 16)
#define ROW (PADDED_DIM + 8)
#define PARTS (HEAD_DIM / 8)
#define STEPS (PADDED_DIM / 16)

struct Arguments
{
    const T* query;         // the fused rows: q heads come first
    T* output;
    const KV* keys;
    const KV* values;
    const int* positions;
    const int* rowSequences;
    const int* queryStarts;
    const int* blockTables;
    float* partials;        // decode: results of parts of a context, see attention_decode.cu
    u32* arrivals;          // decode: zero before and after every launch
    const float* cosSin;    // decode with ROPE: see rope.cu
    i64 queryStride;
    i64 outputStride;
    i64 tableStride;
    i64 cosSinStride;
    int queryStart;         // HeadLayout: first query head and first KV head of this rank in the whole model
    int queryHeads;
    int kvStart;
    int kvHeads;
    int groupSize;
    int blockTokens;
    int window;             // 0: none
    int splits;             // decode: parts of a context
    int sequences;
    float scale;
    float softCap;          // 0: none
    int held;               // decode: key/value tiles that a warp's ring has room for
    int early;              // decode: keys and values may be read before pdl_wait, see attention_decode.cu
    int spread;             // attention_wgmma.cu: which rows a block has, see there
};

// Local query heads [first, first + count) that read local KV head kvHead; rank 1 of 2 with 12 heads over 3: KV head 0 has
// heads 0, 1 and KV head 1 has 2 to 5.
DEVICE void query_heads(const Arguments& args, int kvHead, int& first, int& count)
{
    const int low = (args.kvStart + kvHead) * args.groupSize - args.queryStart;
    first = max(low, 0);
    count = min(low + args.groupSize, args.queryHeads) - first;
}

// Zeros for the heads of a row of position -1, which only fills up the step; all threads of one block.
DEVICE void clear_heads(T* output, int firstHead, int heads)
{
    for (int e = threadIdx.x; e < heads * HEAD_DIM; e += blockDim.x) { output[firstHead * HEAD_DIM + e] = from_f32<T>(0.0f); }
}

// Element offset of a token's row in the cache.
DEVICE i64 cache_row(const Arguments& args, const int* table, int kvHead, int token)
{
    const int block = (u32)token / (u32)args.blockTokens;
    const int inside = token - block * args.blockTokens;
    return (((i64)table[block] * args.kvHeads + kvHead) * args.blockTokens + inside) * HEAD_DIM;
}

// Scores in units of log 2, so that softmax needs exp2 alone.
DEVICE float scaled(const Arguments& args, float score)
{
    score *= args.scale;
    if (args.softCap > 0) { score = args.softCap * tanhf(score / args.softCap); }
    return score * LOG2E;
}

// One instruction; results below 2^-126 are 0, which no sum of a softmax notices.
DEVICE float fast_exp2(float v)
{
    float r;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
    return r;
}

DEVICE float fast_reciprocal(float v)
{
    float r;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
    return r;
}

DEVICE float quad_max(float v)
{
    v = fmaxf(v, __shfl_xor_sync(FULL_WARP, v, 1));
    return fmaxf(v, __shfl_xor_sync(FULL_WARP, v, 2));
}

DEVICE float quad_sum(float v)
{
    v += __shfl_xor_sync(FULL_WARP, v, 1);
    return v + __shfl_xor_sync(FULL_WARP, v, 2);
}

// The q fragments of 16 rows; rows[0] and rows[1] are this lane's rows g and g + 8, null for rows that are not there.
DEVICE void load_query(u32 (&fragments)[STEPS][4], const T* const (&rows)[2])
{
    const int q = threadIdx.x & 3;
#pragma unroll
    for (int s = 0; s < STEPS; s++)
    {
#pragma unroll
        for (int half = 0; half < 2; half++)
        {
            const int d = s * 16 + half * 8 + q * 2;
#pragma unroll
            for (int r = 0; r < 2; r++)
            {
                fragments[s][half * 2 + r] = rows[r] != nullptr && d < HEAD_DIM ? *(const u32*)(rows[r] + d) : 0;
            }
        }
    }
}

// scores[n][..] = q . k for 16 rows and tokens [8n, 8n + 8), keys in shared memory [token][ROW]. TILES is even.
template <int TILES> DEVICE void query_key(float (&scores)[TILES][4], const u32 (&query)[STEPS][4], u32 keys)
{
    const int lane = threadIdx.x & 31;
    // Matrices 0, 1: d 0-7 and 8-15 of tokens 0-7; 2, 3: the same of tokens 8-15.
    const u32 address = keys + ((lane & 7) + (lane >> 4) * 8) * (ROW * 2) + ((lane >> 3) & 1) * 16;
#pragma unroll
    for (int n = 0; n < TILES; n++)
    {
#pragma unroll
        for (int c = 0; c < 4; c++) { scores[n][c] = 0; }
    }
#pragma unroll
    for (int s = 0; s < STEPS; s++)
    {
#pragma unroll
        for (int n = 0; n < TILES; n += 2)
        {
            u32 k[4];
            load_matrices(k, address + n * 8 * (ROW * 2) + s * 32);
            mma<T>(scores[n], query[s][0], query[s][1], query[s][2], query[s][3], k[0], k[1]);
            mma<T>(scores[n + 1], query[s][0], query[s][1], query[s][2], query[s][3], k[2], k[3]);
        }
    }
}

// output += p . v: p are the scores after exp2, values in shared memory [token][ROW].
template <int TILES> DEVICE void weigh_values(float (&output)[PADDED_DIM / 8][4], const float (&p)[TILES][4], u32 values)
{
    const int lane = threadIdx.x & 31;
    // Matrices 0, 1: tokens 0-7 and 8-15 of d 0-7; 2, 3: the same of d 8-15; transposed on the way in.
    const u32 address = values + (lane & 15) * (ROW * 2) + (lane >> 4) * 16;
#pragma unroll
    for (int n = 0; n < TILES; n += 2)
    {
        const u32 a0 = pack2<T>(p[n][0], p[n][1]), a1 = pack2<T>(p[n][2], p[n][3]);
        const u32 a2 = pack2<T>(p[n + 1][0], p[n + 1][1]), a3 = pack2<T>(p[n + 1][2], p[n + 1][3]);
#pragma unroll
        for (int d = 0; d < STEPS; d++)
        {
            u32 v[4];
            load_matrices_transposed(v, address + n * 8 * (ROW * 2) + d * 32);
            mma<T>(output[2 * d], a0, a1, a2, a3, v[0], v[1]);
            mma<T>(output[2 * d + 1], a0, a1, a2, a3, v[2], v[3]);
        }
    }
}

// Online softmax of two rows (r = 0: row g, 1: row g + 8): scores become exp2(score - maximum), sums and outputs are rescaled.
// A row that has seen only masked scores keeps maximum -inf and sum 0.
template <int TILES> DEVICE void soften(
    float (&scores)[TILES][4], float (&maximum)[2], float (&sum)[2], float (&output)[PADDED_DIM / 8][4])
{
#pragma unroll
    for (int r = 0; r < 2; r++)
    {
        float most = maximum[r];
#pragma unroll
        for (int n = 0; n < TILES; n++) { most = fmaxf(most, fmaxf(scores[n][2 * r], scores[n][2 * r + 1])); }
        most = quad_max(most);
        const float base = most == NEGATIVE_INFINITY ? 0.0f : most;
        const float factor = fast_exp2(maximum[r] - base);
        maximum[r] = most;
        float added = 0;
#pragma unroll
        for (int n = 0; n < TILES; n++)
        {
            scores[n][2 * r] = fast_exp2(scores[n][2 * r] - base);
            scores[n][2 * r + 1] = fast_exp2(scores[n][2 * r + 1] - base);
            added += scores[n][2 * r] + scores[n][2 * r + 1];
        }
        sum[r] = sum[r] * factor + added; // of this lane's columns; lanes of a quad are added up at the end
#pragma unroll
        for (int d = 0; d < PADDED_DIM / 8; d++)
        {
            output[d][2 * r] *= factor;
            output[d][2 * r + 1] *= factor;
        }
    }
}
