// Rotates q and k inside the fused rows [q | k | v] and writes k and v into the paged cache. Defines: T activations, KV cache.
// One block a row and a slice of its heads. Work items of a row: for each q and k head, pairs (d, d + rotary / 2) and the
// elements past rotary, which stay; for each v head, its elements. Items are VEC elements wide: 8 where rotary / 2 and the
// head size are multiples of 8, else 1.
#include "common.cuh"

struct Arguments
{
    T* fused;
    const float* cosSin;
    const int* positions;
    const int* rowSequences;
    const int* blockTables;
    KV* keys;
    KV* values;
    i64 fusedStride;
    i64 cosSinStride;
    i64 tableStride;
    int queryHeads;
    int kvHeads;
    int headDim;
    int rotaryDim;
    int blockTokens;
    int wide;
};

template <int VEC> DEVICE void rotate(const Arguments& args, T* head, KV* cached, const float* cosSin, int item)
{
    const int pairs = args.rotaryDim / 2 / VEC;
    if (item < pairs)
    {
        const int d = item * VEC, half = args.rotaryDim / 2;
        float a[VEC], b[VEC], c[VEC], s[VEC];
        load_n<VEC, T>(head + d, a);
        load_n<VEC, T>(head + d + half, b);
        load_n<VEC, float>(cosSin + d, c);
        load_n<VEC, float>(cosSin + d + half, s);
#pragma unroll
        for (int e = 0; e < VEC; e++)
        {
            const float first = a[e] * c[e] - b[e] * s[e];
            b[e] = to_f32(from_f32<T>(b[e] * c[e] + a[e] * s[e])); // the cache gets what the row gets
            a[e] = to_f32(from_f32<T>(first));
        }
        store_n<VEC, T>(head + d, a);
        store_n<VEC, T>(head + d + half, b);
        if (cached != nullptr)
        {
            store_n<VEC, KV>(cached + d, a);
            store_n<VEC, KV>(cached + d + half, b);
        }
    }
    else if (cached != nullptr)
    {
        const int d = args.rotaryDim + (item - pairs) * VEC;
        float v[VEC];
        load_n<VEC, T>(head + d, v);
        store_n<VEC, KV>(cached + d, v);
    }
}

template <int VEC> DEVICE void row_items(const Arguments& args)
{
    const i64 row = blockIdx.x;
    const int position = args.positions[row];
    if (position < 0) { return; } // the row only fills up the step
    const int block = args.blockTables[args.rowSequences[row] * args.tableStride + position / args.blockTokens];
    const int perHead = (args.headDim - args.rotaryDim / 2) / VEC, perValue = args.headDim / VEC;
    const int rotated = (args.queryHeads + args.kvHeads) * perHead;
    T* fused = args.fused + row * args.fusedStride;
    const float* cosSin = args.cosSin + position * args.cosSinStride;
    for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < rotated + args.kvHeads * perValue; i += gridDim.y * blockDim.x)
    {
        const bool value = i >= rotated;
        const int head = value ? (i - rotated) / perValue : i / perHead;
        const int kvHead = value ? head : head - args.queryHeads;
        const i64 slot = (((i64)block * args.kvHeads + kvHead) * args.blockTokens + position % args.blockTokens) * args.headDim;
        if (value)
        {
            const int d = (i - rotated) % perValue * VEC;
            float v[VEC];
            load_n<VEC, T>(fused + (i64)(args.queryHeads + args.kvHeads + head) * args.headDim + d, v);
            store_n<VEC, KV>(args.values + slot + d, v);
        }
        else
        {
            rotate<VEC>(args, fused + (i64)head * args.headDim, kvHead >= 0 ? args.keys + slot : nullptr, cosSin, i % perHead);
        }
    }
}

extern "C" __global__ void rope_and_write_kv(const Arguments args)
{
    pdl_launch();
    pdl_wait();
    if (args.wide) { row_items<8>(args); } else { row_items<1>(args); }
}
