// target[r, c] = mean + unit * (byte sum of a Philox4x32-10 word - 510) for the element's index in the whole tensor: RandomFill.cs.
// A thread computes blocks of the generator, four elements each. blockIdx.y is the row. Define: T.
#include "common.cuh"

struct Arguments
{
    T* target;
    i64 targetStride;
    i64 firstRow;
    i64 firstColumn;
    i64 fullColumns;
    int rows;
    int columns;
    u32 keyLow;
    u32 keyHigh;
    float mean;
    float unit;
};

DEVICE uint4 philox(i64 block, u32 k0, u32 k1)
{
    u32 c0 = (u32)block, c1 = (u32)(block >> 32), c2 = 0, c3 = 0;
#pragma unroll
    for (int round = 0; round < 10; round++)
    {
        const u32 high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
        const u32 high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return make_uint4(c0, c1, c2, c3);
}

// One rounding each for product and sum, as on the processor: no fused multiply-add.
DEVICE float element(u32 word, float mean, float unit)
{
    const u32 pairs = (word & 0x00FF00FFu) + ((word >> 8) & 0x00FF00FFu);
    const int sum = (int)((pairs + (pairs >> 16)) & 0xFFFFu);
    return __fadd_rn(mean, __fmul_rn(unit, (float)(sum - 510)));
}

template <typename E> DEVICE void store4(E* p, const float (&v)[4])
{
    *(uint2*)p = make_uint2(pack2<E>(v[0], v[1]), pack2<E>(v[2], v[3]));
}
template <> DEVICE void store4<f32>(f32* p, const float (&v)[4]) { *(float4*)p = make_float4(v[0], v[1], v[2], v[3]); }

extern "C" __global__ void random_fill(const Arguments args)
{
    pdl_wait();
    for (i64 row = blockIdx.y; row < args.rows; row += gridDim.y)
    {
        const i64 first = (args.firstRow + row) * args.fullColumns + args.firstColumn;
        const i64 end = first + args.columns;
        T* target = args.target + row * args.targetStride;
        for (i64 block = (first >> 2) + blockIdx.x * blockDim.x + threadIdx.x; block * 4 < end; block += gridDim.x * blockDim.x)
        {
            const uint4 words = philox(block, args.keyLow, args.keyHigh);
            const float v[4] = {
                element(words.x, args.mean, args.unit), element(words.y, args.mean, args.unit),
                element(words.z, args.mean, args.unit), element(words.w, args.mean, args.unit) };
            const i64 column = block * 4 - first;
            if (column >= 0 && column + 4 <= args.columns && (unsigned long long)(target + column) % (4 * sizeof(T)) == 0)
            {
                store4<T>(target + column, v);
            }
            else
            {
#pragma unroll
                for (int e = 0; e < 4; e++)
                {
                    if (column + e >= 0 && column + e < args.columns) { target[column + e] = from_f32<T>(v[e]); }
                }
            }
        }
    }
}
