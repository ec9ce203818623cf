// Best tokens of a row, sorted, and bounds that cut a row's tokens by number or by weight.
#pragma once
#include "sampling.cuh"

#define CAPACITY 2048
#define CHOSEN_CHUNKS 256
#define BINS 2048

#define LIMBS 3

// Scratch in shared memory; the keys of a selection and the sums of a cut take turns.
struct Room
{
    union
    {
        u64 keys[CAPACITY];
        u32 limbs[LIMBS][BINS];
    };
    u32 counts[BINS];
    int chunks[CHOSEN_CHUNKS];
    int found;
    u32 bin;
    u32 inBin;
    u64 above;
    u64 bound;
};

// Sorts keys, largest first. There is room for the next power of two, at least 2; zeros fill it up.
// A bitonic network. Pairs up to 32 apart lie in the 64 keys that one warp works on, so most steps need no barrier of the block.
CALLED void sort_falling(u64* keys, int count)
{
    int size = 2;
    while (size < count) { size <<= 1; }
    for (int i = count + threadIdx.x; i < size; i += blockDim.x) { keys[i] = 0; }
    __syncthreads();
    for (int run = 2; run <= size; run <<= 1)
    {
        for (int apart = run >> 1; apart > 0; apart >>= 1)
        {
            for (int p = threadIdx.x; p < size >> 1; p += blockDim.x)
            {
                const int a = 2 * p - (p & (apart - 1)), b = a + apart;
                const u64 x = keys[a], y = keys[b];
                if ((x < y) == ((a & run) == 0))
                {
                    keys[a] = y;
                    keys[b] = x;
                }
            }
            if (apart > 32 || (apart == 1 && run > 32)) { __syncthreads(); } else { __syncwarp(); }
        }
    }
    __syncthreads();
}

// From the top bin down, the one in which the sum reaches need(total): room.bin, and what is in it and above it.
// False where all is 0. sum(bin) is asked for the bins of this thread alone; blockDim.x divides bins.
template <typename Sum, typename Need> DEVICE bool find_bin(Room& room, int bins, Sum sum, Need need)
{
    const int each = bins / blockDim.x, top = bins - 1 - threadIdx.x * each;
    u64 own = 0, total;
    for (int b = 0; b < each; b++) { own += sum(top - b); }
    u64 before = block_scan(own, total) - own;
    if (total == 0) { return false; }
    const u64 wanted = need(total);
    for (int b = 0; b < each; b++)
    {
        const u64 here = sum(top - b);
        if (before < wanted && wanted <= before + here)
        {
            room.bin = top - b;
            room.inBin = room.counts[top - b];
            room.above = before;
        }
        before += here;
    }
    __syncthreads();
    return true;
}

// A bound: keys from it on are the fewest best ones that are at least `need`, except that keys which agree in the bits looked at
// stay together. Bits are looked at from the top, 11, 11 and 10 of the logit, then of the id, at most `digits` times; it ends early
// where the keys from the bound on are no more than `enough`. visit(take) calls take(key) for all keys of this thread.
template <typename Visit> DEVICE u64 cut_by_count(Room& room, Visit visit, u64 low, u32 need, int digits, u32 enough)
{
    u64 prefix = 0;
    u32 countAbove = 0;
    int shift = 64;
    for (int digit = 0; digit < digits; digit++)
    {
        const int width = digit % 3 == 2 ? 10 : 11, upper = shift, bins = 1 << width;
        shift -= width;
        for (int b = threadIdx.x; b < bins; b += blockDim.x) { room.counts[b] = 0; }
        __syncthreads();
        visit([&](u64 key)
        {
            if (key < low || (digit > 0 && key >> upper != prefix)) { return; }
            atomicAdd(&room.counts[(u32)(key >> shift) & (bins - 1)], 1u);
        });
        __syncthreads();
        const bool any = find_bin(
            room, bins, [&](int b) { return (u64)room.counts[b]; },
            [&](u64 total) { return need - countAbove < total ? (u64)(need - countAbove) : total; });
        if (!any) { return low; }
        countAbove += (u32)room.above;
        prefix = prefix << width | room.bin;
        const u32 inBin = room.inBin;
        __syncthreads();
        if (inBin == 1 || countAbove + inBin <= enough) { break; }
    }
    const u64 bound = prefix << shift;
    return bound > low ? bound : low;
}

// The best keys of what visit shows, sorted into room.keys: all keys from some bound on, at least `want` where there are so many, at
// most CAPACITY. want is at most CAPACITY. Returns their number.
template <typename Visit> DEVICE int select_best(Room& room, Visit visit, u64 low, int want)
{
    for (;;)
    {
        if (threadIdx.x == 0) { room.found = 0; }
        __syncthreads();
        visit([&](u64 key)
        {
            if (key < low) { return; }
            const int at = atomicAdd(&room.found, 1);
            if (at < CAPACITY) { room.keys[at] = key; }
        });
        __syncthreads();
        const int found = room.found;
        __syncthreads();
        if (found <= CAPACITY)
        {
            sort_falling(room.keys, found);
            return found;
        }
        low = cut_by_count(room, visit, low, want, 6, CAPACITY);
    }
}

// Calls take(key) for the tokens of a quad.
template <typename Take> DEVICE void each_key(const float (&x)[QUAD], int i, int n, Take take)
{
#pragma unroll
    for (int j = 0; j < QUAD; j++)
    {
        if (i + j < n) { take(key_of(x[j], i + j)); }
    }
}

// The best tokens of a row, sorted, by their indices in the row; as select_best. chunkBest: the best token of each 128. The want-th
// best of those bounds the row's want-th best token from below, so only `want` chunks need to be looked at.
CALLED int best_tokens(Room& room, const Logits logits, const u64* chunkBest, int want)
{
    const int chunks = chunk_count_of(logits.n);
    const bool all = chunks <= want;
    u64 low = 1;
    if (!all)
    {
        if (chunks <= CAPACITY)
        {
            for (int c = threadIdx.x; c < chunks; c += blockDim.x) { room.keys[c] = chunkBest[c]; }
            sort_falling(room.keys, chunks);
        }
        else
        {
            select_best(room, [&](auto take)
            {
                for (int c = threadIdx.x; c < chunks; c += blockDim.x) { take(chunkBest[c]); }
            }, 1, want);
        }
        low = room.keys[want - 1];
        for (int c = threadIdx.x; c < want; c += blockDim.x) { room.chunks[c] = id_of(room.keys[c]) / CHUNK; }
        __syncthreads();
    }
    return select_best(room, [&](auto take)
    {
        const int visited = all ? chunks : want;
        auto index = [&](int c) { return (all ? c : room.chunks[c]) * CHUNK + QUAD * (int)(threadIdx.x & 31); };
        auto load = [&](int c) { return c < visited ? logits.quad(index(c)) : no_quad(); };
        Ahead ahead;
#pragma unroll
        for (int a = 0; a < AHEAD; a++) { ahead.quads[a] = load((threadIdx.x >> 5) + a * WARPS_OF_BLOCK); }
        for (int c = threadIdx.x >> 5; c < visited; c += WARPS_OF_BLOCK)
        {
            const int i = index(c);
            const float4 quad = ahead.shift(load(c + AHEAD * WARPS_OF_BLOCK));
            float x[QUAD] = { quad.x, quad.y, quad.z, quad.w };
            logits.adjust(x, i);
            each_key(x, i, logits.n, take);
        }
    }, low, want);
}
