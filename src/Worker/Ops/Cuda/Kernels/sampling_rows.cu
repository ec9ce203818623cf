// The small operations of sampling. count_tokens: adds ids to one sequence's counts. adjust: one row's logits after penalties.
// pick_logits: raw logits of drawn tokens. commit: remembers drawn tokens. A thread has one id, one quad of tokens or one row.
#include "sampling.cuh"

struct Arguments
{
    Rows rows;
    const float* logits;
    const int* tokens;  // drawn, or to be counted
    void* output;       // counts, logits after penalties, picked logits or last tokens
    i64 logitsStride;
    int items;          // rows or ids
    int columns;
    int firstToken;
    int rowOrGenerated; // adjust: the row; count_tokens: 1 generated, 0 in the prompt
};

DEVICE void count(int* counts, int index, int columns, bool generated)
{
    if (index < 0 || index >= columns) { return; }
    if (generated) { atomicAdd(counts + index, 1); } else { atomicOr(counts + index, IN_PROMPT); }
}

extern "C" __global__ void count_tokens(const Arguments args)
{
    pdl_launch();
    pdl_wait();
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < args.items)
    {
        count((int*)args.output, args.tokens[i] - args.firstToken, args.columns, args.rowOrGenerated != 0);
    }
}

extern "C" __global__ void adjust_logits(const Arguments args)
{
    pdl_launch();
    pdl_wait();
    const int i = (blockIdx.x * blockDim.x + threadIdx.x) * QUAD, row = args.rowOrGenerated, slot = args.rows.slots[row];
    if (i >= args.columns || slot < 0) { return; }
    const Logits logits = after_penalties(
        raw_logits(args.logits + row * args.logitsStride, args.columns, args.firstToken, 0), args.rows, row, slot);
    const float4 quad = logits.quad(i);
    float x[QUAD] = { quad.x, quad.y, quad.z, quad.w };
    logits.adjust(x, i);
#pragma unroll
    for (int j = 0; j < QUAD; j++)
    {
        if (i + j < args.columns) { ((float*)args.output)[i + j] = x[j]; }
    }
}

extern "C" __global__ void pick_logits(const Arguments args)
{
    pdl_launch();
    pdl_wait();
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= args.items) { return; }
    const int index = args.tokens[row] - args.firstToken;
    ((float*)args.output)[row] = index >= 0 && index < args.columns ? args.logits[row * args.logitsStride + index] : 0.0f;
}

extern "C" __global__ void commit_tokens(const Arguments args)
{
    pdl_launch();
    pdl_wait();
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= args.items) { return; }
    const int slot = args.rows.slots[row], token = args.tokens[row];
    if (slot < 0 || token < 0) { return; }
    ((int*)args.output)[slot] = token;
    if (has_penalties(settings_of(args.rows, slot)))
    {
        count(args.rows.counts + slot * args.rows.countsStride, token - args.firstToken, args.columns, true);
    }
}
