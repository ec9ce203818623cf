// sum += the words of a buffer, read 16 bytes a time with eight loads a thread in flight: the plain reading rate of the memory.
#include "common.cuh"

struct Arguments
{
    const uint4* source;
    u32* sum;
    i64 quads;
};

#define LOADS 8

extern "C" __global__ void read_sum(const Arguments args)
{
    pdl_wait();
    const i64 step = (i64)gridDim.x * blockDim.x;
    i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    u32 sum = 0;
    for (; i + (LOADS - 1) * step < args.quads; i += LOADS * step)
    {
        uint4 q[LOADS];
#pragma unroll
        for (int l = 0; l < LOADS; l++) { q[l] = args.source[i + l * step]; }
#pragma unroll
        for (int l = 0; l < LOADS; l++) { sum += q[l].x + q[l].y + q[l].z + q[l].w; }
    }
    for (; i < args.quads; i += step)
    {
        const uint4 q = args.source[i];
        sum += q.x + q.y + q.z + q.w;
    }
#pragma unroll
    for (int offset = 16; offset > 0; offset >>= 1) { sum += __shfl_xor_sync(FULL_WARP, sum, offset); }
    if ((threadIdx.x & 31) == 0) { atomicAdd(args.sum, sum); }
}
