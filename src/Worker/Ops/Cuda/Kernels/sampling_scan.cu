// First step of a summary: blockIdx.x is a part of a row, blockIdx.y the row. Every block finds the best token of its part, and what
// else the row's settings need: the token that wins with noise, sums of exponentials, the best token of each 128.
// Defines: JOINS 1: nothing else is needed of any row, and the last block of a row to end writes the row's summary; 0: sampling_join.cu
// follows. 128,256 tokens, one row: 126 blocks, each thread reads 16 bytes; 16 rows: 16 blocks a row, eight times 16 bytes.
#include "sampling_parts.cuh"

#define THREADS 256

// Sum of exp((x - maximum) / temperature) over the visited tokens; in doubles where the filters are decided by it alone.
template <typename Each> DEVICE double sum_of(Each each, float maximum, float temperature, bool exact)
{
    double sum = 0;
    each([&](const float (&x)[QUAD], int)
    {
        float quad = 0;
#pragma unroll
        for (int j = 0; j < QUAD; j++)
        {
            if (exact) { sum += exp(((double)x[j] - maximum) / temperature); }
            else { quad += expf(__fdiv_rn(x[j] - maximum, temperature)); }
        }
        sum += quad;
    });
    return block_total(sum);
}

// The best token of a quad.
DEVICE u64 best_of_quad(const float (&x)[QUAD], int i, int n)
{
    u64 best = i < n ? key_of(x[0], i) : 0;
#pragma unroll
    for (int j = 1; j < QUAD; j++)
    {
        const u64 key = i + j < n ? key_of(x[j], i + j) : 0;
        best = key > best ? key : best;
    }
    return best;
}

extern "C" __global__ void __launch_bounds__(THREADS) sampling_scan(const Arguments args)
{
    pdl_launch();
    pdl_wait();
    const int row = blockIdx.y, start = blockIdx.x * args.tile, end = min(start + args.tile, args.columns);
    const Logits raw = raw_logits(args.logits + row * args.logitsStride, args.columns, args.firstToken, args.wide);
    const Ahead ahead = look_ahead(raw, start, end); // under way while the settings are read
    const int slot = args.rows.slots[row];
    if (slot < 0) { return; }
    const Settings& s = settings_of(args.rows, slot);
    const Logits logits = after_penalties(raw, args.rows, row, slot);
    const bool filters = has_filters(s), wantsRaw = s.logProbs > 0;
    u64* chunks = args.chunks + (i64)row * chunk_count(args);
    u64* rawChunks = args.rawChunks + (i64)row * chunk_count(args);

    Part part = {};
    part.id = -1;
    bool bad = false;
    each_quad(raw, start, end, ahead, [&](float (&x)[QUAD], int i)
    {
        const bool writes = (threadIdx.x & 31) == 0;
#pragma unroll
        for (int j = 0; j < QUAD; j++) { bad |= !(x[j] < __int_as_float(0x7f800000)); }
        if (wantsRaw)
        {
            const u64 best = warp_max(best_of_quad(x, i, args.columns));
            if (writes) { rawChunks[i / CHUNK] = best; }
            part.rawBest = best > part.rawBest ? best : part.rawBest;
        }
        logits.adjust(x, i);
        u64 best = best_of_quad(x, i, args.columns);
        if (filters)
        {
            best = warp_max(best);
            if (writes) { chunks[i / CHUNK] = best; }
        }
        part.best = best > part.best ? best : part.best;
    });

    part.notFinite = __syncthreads_or(bad);
    part.best = block_max(part.best);
    const float maximum = value_of(part.best);
    auto adjusted = [&](auto visit) { each_adjusted_quad(logits, start, end, visit); };
    if (part.best != 0 && maximum > NEGATIVE_INFINITY && !part.notFinite)
    {
        if (!is_greedy(s) && !filters)
        {
            const Drawn drawn = draw(adjusted, maximum, args.firstToken, noise_of(s, args.rows.positions[row]));
            part.id = drawn.id;
            part.score = drawn.score;
        }
        else if (filters && s.topP < 1)
        {
            part.sum = sum_of(adjusted, maximum, s.temperature, args.whole);
        }
    }
    if (wantsRaw && !part.notFinite)
    {
        part.rawBest = block_max(part.rawBest);
        const float rawMaximum = value_of(part.rawBest);
        if (part.rawBest != 0 && rawMaximum > NEGATIVE_INFINITY)
        {
            part.rawSum = sum_of(
                [&](auto visit) { each_quad(raw, start, end, look_ahead(raw, start, end), visit); }, rawMaximum, 1, false);
        }
    }
    if (threadIdx.x == 0) { args.parts[(i64)row * args.partCount + blockIdx.x] = part; }

#if JOINS
    __shared__ bool last;
    if (threadIdx.x == 0)
    {
        __threadfence();
        last = atomicAdd(args.arrivals + row, 1u) == (u32)(args.partCount - 1);
        if (last) { args.arrivals[row] = 0; }
    }
    __syncthreads();
    if (last)
    {
        __threadfence();
        join_parts(args, row, s);
    }
#endif
}
