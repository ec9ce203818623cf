// peer_sum: x = sum over ranks of x, in place, through the ranks' mailboxes (peer.cuh). x: rows at a stride, any number of columns.
// Defines: T elements, RANKS. One thread an item of 16 bytes; sums are f32 in rank order, rounded once to T.
#include "peer.cuh"

#define THREADS 512

struct Arguments
{
    Group group;
    T* x;
    i64 stride;
    int rows;
    int columns;
    int rowItems; // items of a row; the last may be short
    int aligned;  // every row starts at a multiple of 16 bytes
};

DEVICE T* item_start(const Arguments& args, int item, int& count)
{
    const int row = args.rows == 1 ? 0 : item / args.rowItems;
    const int column = (item - row * args.rowItems) * PER;
    count = args.columns - column < PER ? args.columns - column : PER;
    return args.x + row * args.stride + column;
}

DEVICE u32 bits_of(f32 v) { return __float_as_uint(v); }
DEVICE u32 bits_of(bf16 v) { return v.bits; }
DEVICE u32 bits_of(f16 v) { return v.bits; }
DEVICE void set_bits(f32& v, u32 bits) { v = __uint_as_float(bits); }
DEVICE void set_bits(bf16& v, u32 bits) { v.bits = (u16)bits; }
DEVICE void set_bits(f16& v, u32 bits) { v.bits = (u16)bits; }

DEVICE void load_own(const Arguments& args, int item, u32 (&words)[4])
{
    int count;
    const T* p = item_start(args, item, count);
    if (args.aligned && count == PER)
    {
        const uint4 q = *(const uint4*)p;
        words[0] = q.x; words[1] = q.y; words[2] = q.z; words[3] = q.w;
        return;
    }
    constexpr int inWord = 4 / sizeof(T);
#pragma unroll
    for (int i = 0; i < 4; i++)
    {
        words[i] = 0;
#pragma unroll
        for (int e = 0; e < inWord; e++)
        {
            if (i * inWord + e < count) { words[i] |= bits_of(p[i * inWord + e]) << (16 * e); }
        }
    }
}

DEVICE void store_own(const Arguments& args, int item, const u32 (&words)[4])
{
    int count;
    T* p = item_start(args, item, count);
    if (args.aligned && count == PER)
    {
        *(uint4*)p = make_uint4(words[0], words[1], words[2], words[3]);
        return;
    }
    constexpr int inWord = 4 / sizeof(T);
#pragma unroll
    for (int i = 0; i < 4; i++)
    {
#pragma unroll
        for (int e = 0; e < inWord; e++)
        {
            if (i * inWord + e < count) { set_bits(p[i * inWord + e], words[i] >> (16 * e)); }
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) peer_sum(const Arguments args)
{
    pdl_launch();
    pdl_wait();
    const Group& group = args.group;
    const Call call = begin_call(group);
    const int items = args.rows * args.rowItems, first = blockIdx.x * blockDim.x + threadIdx.x, step = gridDim.x * blockDim.x;
    u32 words[4];
    for (int item = first; item < items; item += step)
    {
        if (group.twoShot && sums_here(group, item)) { continue; }
        load_own(args, item, words);
        send_item(group, call, item, words);
    }
    arrive(group, call);
    for (int item = first; item < items; item += step)
    {
        if (!sums_here(group, item)) { continue; }
        load_own(args, item, words);
        sum_item<T>(group, call, item, words);
        store_own(args, item, words);
    }
    if (!group.twoShot) { return; }
    for (int item = first; item < items; item += step)
    {
        if (sums_here(group, item)) { continue; }
        receive_item(group, call, item, words);
        store_own(args, item, words);
    }
}
