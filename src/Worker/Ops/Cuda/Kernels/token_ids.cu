// ids[t] = given[t] where that is 0 or more, else lastTokens[slots[t]], or -1 where the slot is -1. No defines.
#include "common.cuh"

struct Arguments
{
    const int* given;
    const int* slots;
    const int* lastTokens;
    int* ids;
    int tokens;
};

extern "C" __global__ void token_ids(const Arguments args)
{
    pdl_launch();
    pdl_wait();
    const int t = blockIdx.x * blockDim.x + threadIdx.x;
    if (t >= args.tokens) { return; }
    const int given = args.given[t], slot = args.slots[t];
    args.ids[t] = given >= 0 ? given : slot < 0 ? -1 : args.lastTokens[slot];
}
